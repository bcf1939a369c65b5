"""What authors of nodes and connectors import: pure data and protocols, no I/O, no framework."""
