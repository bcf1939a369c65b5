"""One module per group of routes; each router names who may call it."""
