"""The flow editor: one client-owned React application, wrapped once as a Reflex component."""
