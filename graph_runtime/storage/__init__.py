"""Tables and queries, one module per aggregate, and the database they live in."""
