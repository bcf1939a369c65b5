"""The wire between a process and its helpers: a JSON head and raw bytes, such as audio, both preceded by their lengths."""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

HEAD = struct.Struct("<II")
LARGEST = 64 * 1024 * 1024
"""Bytes in one message."""

Message = tuple[dict[str, Any], bytes]


def pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    """One message."""
    text = json.dumps(head).encode()
    return HEAD.pack(len(text), len(body)) + text + body


def read(stream: BinaryIO) -> Message | None:
    """The next message, waiting for it; None at the end."""
    lengths = stream.read(HEAD.size)
    if len(lengths) < HEAD.size:
        return None
    of_head, of_body = HEAD.unpack(lengths)
    return json.loads(stream.read(of_head)), stream.read(of_body)
