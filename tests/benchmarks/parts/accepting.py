"""Webhooks at a steady rate over real HTTP: database, web process, worker and load generator each a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from graph_runtime.places import REPOSITORY
from tests.faults.system import Layout, System

CONTACTS = 500
SETTLED_WITHIN_SECONDS = 240.0
LAYOUT = Layout(web=1, workers=1, environment={"PATCHCORD_TURNS": "workers"})
"""The web process takes in, the worker answers."""


async def measure(rate: int, seconds: float) -> dict[str, float]:
    """Milliseconds from the moment at which a request was due to its answer; what was refused; what was lost."""
    with tempfile.TemporaryDirectory() as folder:
        system = System(LAYOUT, Path(folder))
        try:
            await system.start()
            await asyncio.sleep(3)  # the processes' own first seconds
            await _load(system, 50, 3.0, "warm")
            made = await _load(system, rate, seconds, "load")
            lost = await _unanswered(system, set(made["acknowledged"]))
        finally:
            await system.close()
    took = made["latencies"]  # status 0: no answer within a minute
    return {
        "accept_per_s": rate,
        "accept_seconds": seconds,
        "accept_p50_ms": took[len(took) // 2] * 1000,
        "accept_p99_ms": took[int(len(took) * 0.99)] * 1000,
        "accept_slowest_ms": took[-1] * 1000,
        "accept_other_than_2xx": sum(n for status, n in made["statuses"].items() if not 200 <= int(status) < 300),
        "accept_lost": lost,
    } | {f"accept_answers_{status}": n for status, n in made["statuses"].items()}


async def _load(system: System, rate: int, seconds: float, prefix: str) -> dict[str, Any]:
    hook = system.world.hooks["webhook"]
    report = system.folder / f"{prefix}.json"
    wanted = {
        "addresses": system.addresses, "path": hook.path, "secret": hook.secret, "rate": rate, "seconds": seconds,
        "contacts": CONTACTS, "prefix": f"{prefix}.", "report": str(report),
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "tests.faults.webhook_load", json.dumps(wanted),
        stdin=asyncio.subprocess.PIPE, cwd=REPOSITORY, env={"PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert await process.wait() == 0, "the load generator failed"
    return json.loads(report.read_text("utf-8"))  # type: ignore[no-any-return]


async def _unanswered(system: System, acknowledged: set[str]) -> int:
    """Messages that we said we had and that no turn has taken up once all is quiet."""

    def stored() -> tuple[int, set[str]]:
        with system.database.look() as connection:
            rows = connection.execute("SELECT dedupe_key, state FROM inbox WHERE dedupe_key LIKE 'hook:%'").fetchall()
        waiting = sum(state == "pending" for _, state in rows)
        return waiting, {key.removeprefix("hook:") for key, state in rows if state == "done"}

    async with asyncio.timeout(SETTLED_WITHIN_SECONDS):
        while True:
            waiting, done = await asyncio.to_thread(stored)
            if not waiting:
                return len(acknowledged - done)
            await asyncio.sleep(1.0)
