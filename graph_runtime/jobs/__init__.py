"""Work to be done by another process, as data, and the ways it travels; nothing depends on its arrival."""
