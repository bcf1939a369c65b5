"""Services that put what was found into a better order."""
