"""A customer system of your own, behind a REST interface."""
