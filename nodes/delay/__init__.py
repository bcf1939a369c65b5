"""Delay step."""
