"""A load generator as a process of its own: so many signed webhooks a second, whether or not the ones before are answered.

`python -m tests.faults.webhook_load SPECIFICATION` (JSON: addresses, path, secret, rate, seconds, contacts, prefix,
report). Latency counts from the moment at which a request was due, so a stall is felt by every request behind it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from graph_runtime.cli.lifeline import follow_supervisor
from graph_runtime.contract import signatures
from tests.faults.connections import NO_ANSWER, Connections

LAST_ANSWER_SECONDS = 60.0


class Load:
    """Sends on a timetable and keeps what became of it."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        self.wanted = wanted
        self.latencies: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.acknowledged: list[str] = []
        self._connections = Connections(LAST_ANSWER_SECONDS)

    async def run(self) -> None:
        """Until the last answer."""
        count = int(self.wanted["rate"] * self.wanted["seconds"])
        began = time.monotonic()
        async with asyncio.timeout(self.wanted["seconds"] + LAST_ANSWER_SECONDS), asyncio.TaskGroup() as group:
            for n in range(count):
                due = began + n / self.wanted["rate"]
                if (wait := due - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                group.create_task(self._one(n, due))
                if n % 50 == 0:
                    await asyncio.sleep(0)

    async def _one(self, n: int, due: float) -> None:
        name = f"{self.wanted['prefix']}{n % self.wanted['contacts']}"
        message_id = f"{name}.n{n}"
        body = json.dumps({"user_id": name, "text": f"{name} message {n}"}).encode()
        headers = signatures.signed_headers([self.wanted["secret"]], message_id, datetime.now(UTC), body)
        address = self.wanted["addresses"][n % len(self.wanted["addresses"])]
        try:
            status = (await self._connections.request("POST", address, self.wanted["path"], headers, body)).status
        except NO_ANSWER:
            status = 0
        self.latencies.append(time.monotonic() - due)
        self.statuses[status] += 1
        if status == 202:
            self.acknowledged.append(message_id)

    def close(self) -> None:
        """Hang up everywhere."""
        self._connections.close()

    def report(self) -> dict[str, Any]:
        """Latencies in seconds, in order of size."""
        return {
            "latencies": [round(seconds, 5) for seconds in sorted(self.latencies)],
            "statuses": dict(self.statuses),
            "acknowledged": self.acknowledged,
        }


def main(arguments: list[str]) -> None:
    """Run and write the report."""
    follow_supervisor()
    load = Load(json.loads(arguments[0]))
    asyncio.run(load.run())
    Path(load.wanted["report"]).write_text(json.dumps(load.report()), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
