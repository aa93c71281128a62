"""The analyzers, one file each: what they look for, as hypotheses that the core judges."""
