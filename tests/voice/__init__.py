"""Phone calls: decisions on a virtual clock, sockets against a strict stand-in for Asterisk."""
