"""Chroma, a store of vectors."""
