"""Store in, findings and lessons out: what the runs say, and how sure one may be of it."""
