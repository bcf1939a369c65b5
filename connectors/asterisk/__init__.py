"""Phone lines through Asterisk."""
