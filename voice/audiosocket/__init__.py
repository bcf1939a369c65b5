"""Asterisk's AudioSocket: the bytes, and the server that Asterisk connects to."""
