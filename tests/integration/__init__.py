"""Parts working together on a real PostgreSQL."""
