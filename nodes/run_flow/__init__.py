"""Sub-flow step."""
