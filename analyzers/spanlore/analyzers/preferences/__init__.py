"""What agents propose and users end with: choices by slot, user and group."""
