"""The reading process: hostile and broken files are opened here, with a limit on memory and without any secret.

Standard input carries jobs, standard output answers; a JSON head and a body, both preceded by their lengths.
"""

from __future__ import annotations

import contextlib
import json
import struct
import sys
from typing import Any, BinaryIO, Final

HEAD: Final = struct.Struct("<II")
BATCH: Final = 200
MEMORY_BYTES: Final = 1_500_000_000


def pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    """One message."""
    return pack_head(head, len(body)) + body


def pack_head(head: dict[str, Any], of_body: int) -> bytes:
    """The beginning of a message whose body follows in parts."""
    text = json.dumps(head, ensure_ascii=False).encode("utf-8", "replace")
    return HEAD.pack(len(text), of_body) + text


def receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """The next message, waiting for it; None at the end."""
    lengths = stream.read(HEAD.size)
    if len(lengths) < HEAD.size:
        return None
    of_head, of_body = HEAD.unpack(lengths)
    return json.loads(stream.read(of_head)), stream.read(of_body)


def main() -> None:
    """Read files until the other side is gone."""
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever a library prints must not reach the wire
    from graph_runtime.knowledge.pipeline import FileReader

    _limit_memory()
    reader = FileReader()
    outgoing.write(pack({"ready": True}))
    outgoing.flush()
    while (message := receive(incoming)) is not None:
        for answer in _answers(reader, *message):
            outgoing.write(pack(answer))
        outgoing.flush()


def _answers(reader: Any, head: dict[str, Any], body: bytes) -> list[dict[str, Any]]:
    from graph_runtime.knowledge.conversion import Unreadable

    try:
        read = reader.read(body, head["name"], head.get("extension", ""))
    except Unreadable as error:
        return [{"error": error.code, "about": error.about}]
    except MemoryError:
        return [{"error": "too_large", "about": ""}]
    except Exception as error:  # noqa: BLE001 (a library's own mistake; the next file must still be read)
        return [{"error": "damaged", "about": type(error).__name__}]
    rows = [[p.text, p.heading, p.page] for p in read.passages]
    batches = [{"passages": rows[at : at + BATCH]} for at in range(0, len(rows), BATCH)]
    return [*batches, {"end": True, "title": read.title, "language": read.language, "pictures": list(read.pictures)}]


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


if __name__ == "__main__":
    main()
