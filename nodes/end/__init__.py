"""End step."""
