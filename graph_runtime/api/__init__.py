"""HTTP and WebSocket: translates requests into calls of services, and their results into answers."""
