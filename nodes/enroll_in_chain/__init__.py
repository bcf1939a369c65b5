"""Hang up: last words, then the call is over."""
