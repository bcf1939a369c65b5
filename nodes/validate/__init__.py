"""Validate step."""
