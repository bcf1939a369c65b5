"""Knowledge: words, splitting, reading, searching."""
