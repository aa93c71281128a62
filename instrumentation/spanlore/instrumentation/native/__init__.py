"""Libraries that trace themselves: told, a small file each, to do it and through our provider."""
