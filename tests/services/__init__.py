"""Services on the real embedded PostgreSQL."""
