"""Choice step."""
