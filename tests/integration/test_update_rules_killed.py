"""Workers of update rules die while the model is asked, before the write and around the commit: each change is made once."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.update_world import UpdateWorld

ROOT = Path(__file__).resolve().parents[2]
DEATHS = ("asking", "asked", "written", "nowhere")


async def test_each_change_is_made_once(
    services: Services, owner: Principal, admin: Any, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    world = await UpdateWorld(services, owner, admin).open()
    await world.field("visits", "number")
    await world.rule("visits", overwrite="always")
    await world.rule("tags", source="fixed", value="regular")
    await world.say("ten times", look=False)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.mortal_updates", stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    orders, answers = process.stdin, process.stdout
    assert orders is not None
    assert answers is not None
    asked = tmp_path / "asked"

    async def one(where: str) -> str:
        orders.write(f"{postgres.app_url} {asked} {where}\n".encode())
        async with asyncio.timeout(60):
            said = (await answers.readline()).decode().strip()
        admin.execute("UPDATE update_check SET leased_until = now() - interval '1 second' WHERE state = 'waiting'")
        return said

    assert [await one(where) for where in DEATHS] == ["died", "died", "died", "done"]
    assert asked.read_text().count("asked") == 2, "the call that was in flight, and the one whose answer was kept"
    first = await world.history()
    assert [(c.field, c.after) for c in first] == [("visits", 10), ("tags", ["regular"])]
    await services.contacts.update(owner, world.contact_id, {"tags": [], "fields": {"visits": 1}})
    await world.say("ten times, I said", look=False)
    assert [await one("committed"), await one("nowhere")] == ["died", "done"]
    orders.close()
    await orders.wait_closed()
    await process.wait()
    assert [(c.field, c.before, c.after) for c in (await world.history())[2:]] == [
        ("visits", 1, 10), ("tags", None, ["regular"])
    ]  # fmt: skip
    assert admin.execute("SELECT state, attempts FROM update_check ORDER BY id").fetchall() == [
        ("done", 4),
        ("done", 1),
    ]
