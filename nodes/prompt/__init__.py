"""Prompt step."""
