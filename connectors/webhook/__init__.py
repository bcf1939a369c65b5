"""The generic webhook channel."""
