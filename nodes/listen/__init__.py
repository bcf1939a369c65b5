"""Listen: what the caller says or keys in."""
