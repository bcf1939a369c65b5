"""Message step."""
