"""Weaviate, a store of vectors."""
