"""Classify step."""
