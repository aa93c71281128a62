"""From counts to findings: the statistics, and the one place that decides what may be believed."""
