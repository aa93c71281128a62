"""From findings to lessons: which layer, what words or diff, and what becomes of old ones."""
