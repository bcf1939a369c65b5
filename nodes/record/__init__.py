"""Record: a voice message from the caller."""
