"""The command line: the composition root, and the only part that knows all the others."""
