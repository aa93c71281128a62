"""Asking a language model, where the user configured one; nothing of spanlore needs it."""
