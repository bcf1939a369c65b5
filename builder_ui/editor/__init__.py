"""The page that shows the flow editor."""
