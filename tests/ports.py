"""Ports for programs that the tests start, and that cannot choose one themselves."""

from __future__ import annotations

import random
import socket

_BELOW_OUTGOING = range(15_000, 32_000)
"""Linux takes the ports of outgoing connections from 32768 on: one of those may be gone before its program starts."""


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of this machine that nobody uses now, and no outgoing connection will be given."""
    for port in random.SystemRandom().sample(_BELOW_OUTGOING, 200):
        with socket.socket(type=kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("200 ports were tried, and none is free")
