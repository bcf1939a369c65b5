"""HTTP and WebSocket, tested on a real socket over real PostgreSQL."""
