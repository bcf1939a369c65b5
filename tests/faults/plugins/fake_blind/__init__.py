"""A channel of send class BLIND."""
