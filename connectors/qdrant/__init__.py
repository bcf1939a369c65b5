"""Qdrant, a store of vectors."""
