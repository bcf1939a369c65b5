"""The background process: conversations left behind, timers."""
