"""A channel of send class RECONCILE."""
