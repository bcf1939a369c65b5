"""One folder per node type."""
