"""The public REST API, version 1: Bearer keys with scopes, described at /api/docs."""
