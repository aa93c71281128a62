"""Gates before a lesson is approved, and what it did after: on runs it was not learned from."""
