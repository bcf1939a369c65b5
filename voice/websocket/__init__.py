"""The second way in: Asterisk's channel driver for WebSockets."""
