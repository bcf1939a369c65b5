"""The editor's side of the server: who has a flow open, and the socket that keeps them in step."""
