"""Pinecone, a store of vectors."""
