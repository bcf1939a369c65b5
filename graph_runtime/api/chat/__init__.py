"""The web chat's side of the server: visitors' sockets and what they are told."""
