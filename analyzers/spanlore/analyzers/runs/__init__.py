"""What a run says, as it is read: calls, messages, values."""
