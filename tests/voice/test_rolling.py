"""Voice processes are replaced and killed while many people talk: nobody's call ends, nothing is said twice or left out.

A hundred of them are F26 of `./patchcord faults`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from graph_runtime.api.app import create_app
from graph_runtime.bootstrap import Services
from graph_runtime.contract.catalog import Catalog, load_catalog
from graph_runtime.places import REPOSITORY
from graph_runtime.services.principal import Principal
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.api.conftest import serving
from tests.phone_world import new_line
from tests.ports import free_port
from tests.voice.accounts import Blow, account, transcripts
from tests.voice.asterisk_stand_in import Mouths
from tests.voice.people import curl, flow, person

PLUGINS = ("nodes", "connectors", "tests.faults.plugins")
PEOPLE = 10


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """With the voice that can be read."""
    return load_catalog(PLUGINS)


@dataclass
class Pair:
    """The process that holds the port, and the one that waits for it."""

    environment: dict[str, str]
    port: int
    folder: Path
    running: list[asyncio.subprocess.Process] = field(default_factory=list)
    started: int = 0

    async def start(self) -> None:
        """Both; the first one holds the port."""
        await self._start()
        await self._until(self._listens)
        await self.add()

    async def add(self) -> None:
        """A spare beside the one that is left, as a supervisor starts it; returns when it is ready."""
        log = await self._start()
        await self._until(lambda: b"voice_spare" in log.read_bytes())

    async def stop(self, number: signal.Signals) -> float:
        """The one that holds the port, and when it was told; returns when it is gone."""
        holder = self.running.pop(0)
        at = time.monotonic()
        holder.send_signal(number)
        assert await holder.wait() == (0 if number is signal.SIGTERM else -signal.SIGKILL)
        return at

    async def close(self) -> None:
        for process in self.running:
            process.kill()
            await process.wait()

    async def _start(self) -> Path:
        self.started += 1
        log = self.folder / f"voice{self.started}.log"
        with log.open("wb") as out:
            self.running.append(
                await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-P",
                    "-m",
                    "graph_runtime",
                    "voice",
                    env=self.environment,
                    cwd=REPOSITORY,
                    stdout=out,
                    stderr=out,
                )
            )
        return log

    def _listens(self) -> bool:
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0

    async def _until(self, condition: Any) -> None:
        async with asyncio.timeout(150):
            while not condition():  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.05)


@pytest.fixture
async def pair(postgres: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[Pair]:
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PATCHCORD_", "DATABASE"))}
    environment = kept | {
        "PYTHONPATH": str(REPOSITORY), "DATABASE_URL": postgres.app_url, "PATCHCORD_SECRET_KEY": "for tests only, " * 3,
        "PATCHCORD_VOICE_PORT": str(port), "PATCHCORD_DATA_DIR": str(tmp_path), "PATCHCORD_VOICE_HAS_SPARE": "yes",
        "PATCHCORD_PLUGIN_PACKAGES": '["nodes", "connectors", "tests.faults.plugins"]',
    }  # fmt: skip
    found = Pair(environment, port, tmp_path)
    await found.start()
    yield found
    await found.close()


@pytest.mark.timeout(400)
async def test_ten_calls_outlive_a_replaced_and_a_killed_process(
    services: Services, owner: Principal, pair: Pair, admin: psycopg.Connection[Any]
) -> None:
    line = await new_line(services, owner, flow(has_model=False), no_input_ms=60_000)
    for slot in ("transcriber", "synthesizer"):
        await services.agents.bind(owner, line.agent_id, slot, credential_id=None, connector="fake_talk", model="")
    blows: list[Blow] = []
    mouths = Mouths()
    speaking = asyncio.create_task(mouths.run())
    async with serving(create_app(services), services) as web, httpx2.AsyncClient(base_url=web.http) as client:

        async def ask(path: str, query: dict[str, str]) -> str:
            return await curl(client, f"/phone/{line.secret}/{path}", query)

        people = [
            person(3000 + n, ("echo", "long") if n % 3 else ("long", "echo"), ask, pair.port, mouths, pause=0.2 + n * 0.15)
            for n in range(PEOPLE)
        ]  # fmt: skip
        calls = [asyncio.create_task(one.run()) for one in people]

        async def until_all_have_given(codes: int) -> None:
            async with asyncio.timeout(150):
                while any(one.at < codes and not call.done() for one, call in zip(people, calls, strict=True)):  # noqa: ASYNC110 (people)
                    await asyncio.sleep(0.05)

        await until_all_have_given(1)
        blows.append(Blow("replaced", await pair.stop(signal.SIGTERM)))
        await pair.add()
        await until_all_have_given(3)
        blows.append(Blow("killed", await pair.stop(signal.SIGKILL)))
        given = max(one.at for one in people)
        await until_all_have_given(min(given, 5))
        for one in people:
            one.may_go.set()
        async with asyncio.timeout(150):
            await asyncio.gather(*calls)
    speaking.cancel()
    await asyncio.gather(speaking, return_exceptions=True)
    found = account(people, blows, transcripts(admin))
    assert found.troubles == {}, "\n".join(one.timeline(blows[0].at) for one in people)
    assert [len(one.legs) for one in people] == [3] * PEOPLE
    print({n: [round(s, 2) for s in sorted(found.back[n])] for n in found.back}, found.again, found.bridges)
