"""Branch step."""
