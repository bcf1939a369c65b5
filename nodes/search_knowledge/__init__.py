"""Search knowledge step."""
