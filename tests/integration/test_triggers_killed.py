"""Workers of triggers die before, within and after their commits: everybody is written to exactly once."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.testing import FakeClock
from tests.trigger_world import World

ROOT = Path(__file__).resolve().parents[2]
NAMES = [f"p{n}" for n in range(6)]
DEATHS = [("tick", 0), ("acts", 1), ("commit", 0), ("acts", 2)]
DAILY = {"kind": "schedule", "schedule": {"every": "day", "at": "09:00"}}


async def test_everybody_is_written_to_exactly_once(
    services: Services, owner: Principal, admin: Any, clock: FakeClock, postgres: EmbeddedPostgres
) -> None:
    clock.at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1)
    world = await World(services, owner, admin, clock).open()
    for name in NAMES:
        world.contact(name)
    row = await world.trigger(
        DAILY, actions=[{"do": "start_flow", "flow_id": world.other_id}, {"do": "notify", "text": "{{ contact.name }}"}]
    )  # fmt: skip
    assert row.next_at
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.mortal_triggers", stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    said = []
    for where, times in [*DEATHS, ("nowhere", 0)]:
        process.stdin.write(f"{postgres.app_url} {row.next_at.isoformat()} {where} {times}\n".encode())
        async with asyncio.timeout(60):
            said.append((await process.stdout.readline()).decode().strip())
    process.stdin.close()
    await process.stdin.wait_closed()
    await process.wait()
    assert said == ["died"] * len(DEATHS) + ["done"]
    # What was begun and not run is found by whoever lives: a second after nobody took it up, or when PostgreSQL has noticed
    # that the one who did is gone.
    admin.execute("UPDATE inbox SET received_at = received_at - interval '2 seconds'")
    async with asyncio.timeout(30):
        while admin.execute("SELECT 1 FROM inbox WHERE state = 'pending'").fetchone():
            for workspace_id, conversation_id in await services.conversation_side.sweep.pending(100):
                await services.conversations.run_pending(workspace_id, conversation_id)
    assert sorted(world.said()) == [f"Would you like an offer, {name}?" for name in NAMES]
    notes = admin.execute("SELECT text FROM trigger_note ORDER BY text").fetchall()
    assert [n[0] for n in notes] == NAMES
    log = await world.log(row)
    assert [(o.state, o.spreads) for o in log] == [("fired", True)] + [("fired", False)] * len(NAMES)
    begun = admin.execute("SELECT count(*), count(DISTINCT contact_id) FROM conversation").fetchone()
    assert begun == (len(NAMES), len(NAMES))
    again = await services.triggers.get(owner, row.id)
    assert again.next_at == row.next_at + timedelta(days=1)
