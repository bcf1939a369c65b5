"""Storage on the real embedded PostgreSQL."""
