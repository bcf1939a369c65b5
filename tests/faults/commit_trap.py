"""Hears PostgreSQL's wire and strikes exactly before or after a turn's commit: no hook in the product is needed."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Literal

Moment = Literal["before", "after"]
COMMIT = b"commit_turn("
_ENCRYPTION_REQUESTS = (80877103, 80877104)


class Wire:
    """Cuts a stream into messages (type, body); a client's first message has no type."""

    def __init__(self, *, from_client: bool) -> None:
        self._buffer = b""
        self._is_greeting = from_client

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Whole messages so far."""
        self._buffer += data
        while True:
            head = 4 if self._is_greeting else 5
            if len(self._buffer) < head:
                return
            (length,) = struct.unpack_from("!I", self._buffer, head - 4)
            end = head - 4 + length
            if len(self._buffer) < end:
                return
            kind, body = self._buffer[: head - 4], self._buffer[head:end]
            self._buffer = self._buffer[end:]
            if self._is_greeting:
                self._is_greeting = struct.unpack_from("!I", body)[0] in _ENCRYPTION_REQUESTS
                continue
            yield kind, body


class CommitTrap:
    """Arm it, and at the n-th commit from then on `strike` is called and the connection breaks. One per process.

    "before": the statement does not reach the server. "after": the server has committed, its answer is swallowed.
    """

    def __init__(self) -> None:
        self.struck = 0
        self._armed: tuple[Moment, Callable[[], None]] | None = None
        self._left = 0

    def arm(self, moment: Moment, strike: Callable[[], None], *, nth: int = 1) -> None:
        """Wait for the n-th commit."""
        self._left = nth
        self._armed = (moment, strike)

    @property
    def is_armed(self) -> bool:
        """Whether it still waits."""
        return self._armed is not None

    def commit_seen(self) -> Moment | None:
        """A commit goes by: the moment to strike at, if this is the one."""
        if self._armed is None:
            return None
        self._left -= 1
        return self._armed[0] if self._left <= 0 else None

    def strike(self) -> None:
        """Now."""
        armed, self._armed = self._armed, None
        if armed is not None:
            self.struck += 1
            armed[1]()

    def ear(self) -> CommitEar:
        """For one connection."""
        return CommitEar(self)


class CommitEar:
    """Follows prepared statements: after a few uses only their name travels."""

    def __init__(self, trap: CommitTrap) -> None:
        self._trap = trap
        self._up = Wire(from_client=True)
        self._down = Wire(from_client=False)
        self._names: set[bytes] = set()
        self._waits_for_answer = False

    def upward(self, data: bytes) -> bytes | None:
        """From the process to the server."""
        for kind, body in self._up.feed(data):
            if kind == b"P":
                name, text = body.split(b"\0", 2)[:2]
                (self._names.add if COMMIT in text else self._names.discard)(name)
            elif kind == b"B" and body.split(b"\0", 2)[1] in self._names:
                moment = self._trap.commit_seen()
                if moment == "before":
                    self._trap.strike()
                    return None
                self._waits_for_answer = moment == "after"
        return data

    def downward(self, data: bytes) -> bytes | None:
        """From the server to the process; "Z" says that the statement's transaction is over."""
        kinds = [kind for kind, _ in self._down.feed(data)]
        if self._waits_for_answer and b"Z" in kinds:
            self._waits_for_answer = False
            self._trap.strike()
            return None
        return data
