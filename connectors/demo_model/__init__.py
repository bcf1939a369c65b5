"""A stand-in for a language model that needs no key and no network."""
