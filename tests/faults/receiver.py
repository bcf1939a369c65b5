"""The programs at the other end of push channels, as a process of its own: one lane for each, with books on disk.

`python -m tests.faults.receiver PORT JOURNAL`; POST /_lane {"lane", "secret"} tells what a lane's sender signs with,
POST /_fail {"lane", "kind", "seconds", "times", "share"} lets requests go wrong: the next so many, or a share of all
from now on. What arrives is in the books before it is answered.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from graph_runtime.cli.lifeline import follow_supervisor
from graph_runtime.contract import signatures
from graph_runtime.contract.channels import SignatureRefused
from tests.fakes.webhook_receiver import Arrived, Fault, Lane, WebhookReceiver, answer
from tests.faults.journal import Journal


@dataclass
class SharedLane(Lane):
    """A lane that can also fail for a share of its requests."""

    share: float = 0.0
    shared: Fault | None = None
    secret: str = ""
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    def next_fault(self) -> Fault | None:
        """Queued faults come first."""
        queued = super().next_fault()
        if queued is None and self.shared is not None and self.chance.random() < self.share:
            return self.shared
        return queued


class Receiver(WebhookReceiver):
    """Refuses what is not signed; notes the rest."""

    def __init__(self, port: int, journal: Journal) -> None:
        super().__init__()
        self.port = port
        self.journal = journal

    def lane(self, name: str = "") -> SharedLane:
        """The lane of that name."""
        lane = self.lanes.setdefault(name, SharedLane(name))
        assert isinstance(lane, SharedLane)
        return lane

    def arrived(self, lane: Lane, arrived: Arrived) -> None:
        """One request, in the books."""
        super().arrived(lane, arrived)
        data = arrived.data
        self.journal.note(
            "arrived", lane=lane.name, key=arrived.key, to=data["user_id"], seq=data["seq"], text=data["text"],
            conversation_id=data["conversation_id"], hash=arrived.body_hash, fault=arrived.fault,
            accepted=arrived.accepted,
        )  # fmt: skip

    def refuses(self, lane: Lane, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the signature is wrong."""
        assert isinstance(lane, SharedLane)
        try:
            signatures.verify([lane.secret], headers, body, datetime.now(UTC))
        except SignatureRefused:
            self.journal.note("not_signed", lane=lane.name)
            return True
        return False

    async def told(self, path: str, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """What the harness says."""
        said: dict[str, Any] = json.loads(body)
        lane = self.lane(said["lane"])
        if path == "/_lane":
            lane.secret = said["secret"]
        elif said.get("share") is not None:
            lane.share, lane.shared = said["share"], Fault(said["kind"], seconds=said["seconds"])
        else:
            lane.fail(said["kind"], times=said["times"], seconds=said["seconds"])
        self.journal.note("told", path=path, lane=lane.name, what=said.get("kind", ""))
        return await answer(writer, 200, {})


def main(arguments: list[str]) -> None:
    """Run until killed."""
    follow_supervisor()
    Receiver(int(arguments[0]), Journal(Path(arguments[1]))).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
