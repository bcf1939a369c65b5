"""Jobs as data. A job holds ids only and may be lost, late or repeated: what it asks for stands in the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol

Queue = Literal["voice", "chat", "integrations", "bulk", "ingest"]
QUEUES: Final[tuple[Queue, ...]] = ("voice", "chat", "integrations", "bulk", "ingest")
"""Bulkheads: each has a concurrency of its own, so that none can starve another."""


@dataclass(frozen=True, slots=True)
class HandleTurn:
    """Run what waits in a conversation."""

    workspace_id: str
    conversation_id: str


class Jobs(Protocol):
    """A way to the workers."""

    def send(self, job: HandleTurn, queue: Queue = "chat") -> None:
        """Ask for a job after its commit. Returns at once and never fails."""
        ...

    async def close(self) -> None:
        """Send what is left."""
        ...


class NoJobs:
    """Where one process does everything, or the sweeper is quick enough."""

    def send(self, job: HandleTurn, queue: Queue = "chat") -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing is left."""
