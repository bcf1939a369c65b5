"""Vectors from a model on this machine."""
