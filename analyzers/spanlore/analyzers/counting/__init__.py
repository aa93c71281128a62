"""Counting facts over all runs, in SQL: from what was seen in each run to counts by cell."""
