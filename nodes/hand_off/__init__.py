"""Hand to a person step."""
