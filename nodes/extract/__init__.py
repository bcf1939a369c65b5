"""Extract step."""
