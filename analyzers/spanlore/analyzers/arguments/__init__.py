"""What calls of tools are made with, and what of it makes them fail."""
