"""The launcher of PostgreSQL and what lies around it."""
