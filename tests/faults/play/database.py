"""The database is killed, away, cut off, and without room."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.faults.hands import Hands
from tests.faults.history import History
from tests.faults.plan import Shape
from tests.faults.stage import Stage, p95
from tests.faults.system import Layout

RECOVERED_WITHIN_SECONDS = 60.0
DISK_MEGABYTES = 420


async def kill_database(stage: Stage) -> None:
    """F4. SIGKILL of the server and of every backend."""
    kills = stage.size("kills", 4, 20)
    shape = Shape(conversations=stage.size("conversations", 200, 2_000, promised=10_000), turns=3, pause=1.5)

    async def deeds(stage: Stage, hands: Hands) -> None:
        took: list[float] = []
        await asyncio.sleep(1.5)
        while len(took) < kills:
            took.append(await hands.kill_database())
            await asyncio.sleep(stage.chance.uniform(0.5, 3))
        stage.result.figures["start of the database p95, s"] = p95(took)

    history = await stage.play(Layout(web=2), shape, deeds, keep_talking=True)
    _gate_recovery(stage, history)


def _gate_recovery(stage: Stage, history: History) -> None:
    stage.result.gate("recovery p95, s", p95(_recoveries(history) or [0.0]), "<=", RECOVERED_WITHIN_SECONDS)


def _recoveries(history: History) -> list[float]:
    """From each return of the database to the first turn that was completed after it."""
    ends = [a["at"] for a in history.actions if a["kind"] == "hurt" and "database" in (a["who"], a["what"])]
    done = sorted(e["at"] for e in history.noted("complete"))
    return [next(d for d in done if d > end) - end for end in ends if done and done[-1] > end]


async def database_away(stage: Stage) -> None:
    """F7. Clients that repeat get a 503, never a 2xx for what is not stored."""
    seconds = stage.size("seconds away", 20, 120)
    shape = Shape(conversations=stage.size("conversations", 80, 500, promised=1_000), turns=4, pause=2.0)

    async def deeds(stage: Stage, hands: Hands) -> None:
        await asyncio.sleep(3.0)
        await hands.kill_database(seconds)

    history = await stage.play(Layout(web=2), shape, deeds, patience=150 + seconds, keep_talking=True)
    answers: dict[int, int] = {}
    for entry in history.noted("status"):
        answers[entry["status"]] = answers.get(entry["status"], 0) + 1
    stage.result.figures |= {f"answers {status}": count for status, count in sorted(answers.items())}
    stage.result.gate("5xx other than 503", sum(n for s, n in answers.items() if s >= 500 and s != 503), "==", 0)
    _gate_recovery(stage, history)
    stage.result.note = "no spool: there is no channel yet whose vendor never repeats"


async def partitions(stage: Stage) -> None:
    """F16. Whoever is cut off neither loses nor doubles anything; nothing passes for longer than a lease."""
    count = stage.size("partitions", 2, 6, promised=10)
    seconds = stage.size("seconds each", 33, 33)
    shape = Shape(
        conversations=stage.size("conversations", 100, 2_000), turns=3, pause=2.0,
        flags={"model slow3": 0.3, "model": 0.2, "timer": 0.1},
    )  # fmt: skip

    async def deeds(stage: Stage, hands: Hands) -> None:
        await asyncio.sleep(2.0)
        for n in range(count):
            relays = ("web1", "redis" if stage.redis else "receiver", "worker1", "model", "web2", "receiver")
            relay = relays[n % len(relays)]
            await hands.partition(relay, 12.0 if relay == "model" else seconds)
            await hands.end_sessions()

    await stage.play(Layout(web=2, workers=2, relayed=True), shape, deeds, patience=200, keep_talking=True)
    stage.result.note = "" if stage.redis else "process–Redis is cut in the layout with Redis"


async def disk_full(stage: Stage) -> None:
    """F18. A file system of its own, filled to the last byte, then emptied again."""
    folder = Path(tempfile.mkdtemp(prefix="pf-disk-"))
    mounted = os.geteuid() == 0 and _mount(folder)
    if not mounted:
        stage.result.missing, stage.result.note = "not run", "mounting a small file system needs root"
        shutil.rmtree(folder, ignore_errors=True)
        return
    seconds = stage.size("seconds full", 10, 60)
    shape = Shape(conversations=stage.size("conversations", 60, 500, promised=1_000), turns=4, pause=2.0)

    async def deeds(stage: Stage, hands: Hands) -> None:
        await asyncio.sleep(2.0)
        ballast = folder / "ballast"
        with hands.noted("disk full", "database"):
            _fill(ballast)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                await asyncio.sleep(0.2)
                _fill(ballast)
            ballast.unlink()
            began = time.monotonic()
            if not stage.system.database.postgres.is_running():
                # What `up` does when the server is gone: no manual step.
                stage.result.figures["database ended by itself"] = 1
                await asyncio.to_thread(stage.system.database.restart)
            for name in stage.system.named("web"):
                await stage.system.until_ready(name)
        stage.result.gate("ready again, s", round(time.monotonic() - began, 2), "<=", RECOVERED_WITHIN_SECONDS)

    try:
        layout = Layout(web=2, data_folder=folder / "data")
        history = await stage.play(layout, shape, deeds, patience=180, keep_talking=True)
    finally:
        await asyncio.to_thread(subprocess.run, ["umount", "-l", str(folder)], check=False)
        shutil.rmtree(folder, ignore_errors=True)
    statuses = {e["status"] for e in history.noted("status") if e["status"] >= 500}
    stage.result.gate("5xx other than 503 and 507", len(statuses - {503, 507}), "==", 0)
    stage.result.note = "the database's disk; there is no spool"


def _mount(folder: Path) -> bool:
    folder.chmod(0o755)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m,mode=755", "tmpfs", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _fill(ballast: Path) -> None:
    with contextlib.suppress(OSError), ballast.open("ab") as file:
        while True:
            os.write(file.fileno(), b"\0" * 65_536)
