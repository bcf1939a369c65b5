"""A step that ruins the process it runs in."""
