"""Set step."""
