"""Start step."""
