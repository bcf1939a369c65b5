"""Stores of vectors over real sockets: strict about what they are asked, comparing by cosine, failing on request."""
