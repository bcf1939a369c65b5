"""kill -9 while a store is filled, followed and emptied, before and after what it was asked for: nothing is lost or there twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Literal

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.fakes.vectors.qdrant import QdrantFake
from tests.fakes.vectors.serving import serving
from tests.integration.store_world import SOON, Admin, World, new_world

WORKER = """
import asyncio
from graph_runtime.bootstrap import build
from graph_runtime.services import knowledge_copying
from graph_runtime.settings import Settings
from graph_runtime.worker.ingest import Ingest

knowledge_copying.AT_ONCE = 4

async def main():
    services = await build(Settings.load(), is_worker=True)
    await Ingest(services.knowledge_copying, services.database.listen).run()

asyncio.run(main())
"""
When = Literal["before", "after"]


class Mortal(QdrantFake):
    """Kills whoever makes the request of this number: before it is carried out, or before it is answered."""

    process: asyncio.subprocess.Process | None = None
    at: int = 0
    when: When = "before"
    seen: int = 0

    def answer(self, method: str, target: str, headers: Mapping[str, str], raw: bytes) -> tuple[int, bytes]:
        """See `FakeStore`."""
        self.seen += 1
        strikes = self.process is not None and self.seen == self.at
        if strikes and self.when == "before":
            self._kill()
            return 503, b""
        found = super().answer(method, target, headers, raw)
        if strikes:
            self._kill()
        return found

    def _kill(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)


@pytest.fixture
async def world(
    services: Services, owner: Principal, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async with new_world(services, owner, admin, monkeypatch) as made:
        yield made


async def killed_at(world: World, fake: Mortal, url: str, folder: Path, place: tuple[int, When]) -> None:
    """A worker of its own that dies at a request."""
    world.admin.execute(SOON)
    environment = {
        **os.environ, "DATABASE_URL": url, "PATCHCORD_SECRET_KEY": "for tests only, " * 3, "PATCHCORD_DATA_DIR": str(folder),
    }  # fmt: skip
    fake.seen, (fake.at, fake.when) = 0, place
    fake.process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        WORKER,
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        assert await fake.process.wait() == -signal.SIGKILL
    fake.process = None


async def test_workers_that_are_killed_lose_and_double_nothing(
    world: World, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    url = postgres.app_url
    with serving(Mortal()) as fake:
        await world.services.knowledge_copies.choose(world.owner, world.base.id, await world.key_of(fake))
        filling: tuple[tuple[int, When], ...] = (
            (2, "after"),
            (5, "before"),
            (11, "after"),
            (3, "before"),
            (4, "after"),
        )
        for place in filling:
            await killed_at(world, fake, url, tmp_path, place)
            assert await world.states() == ["filling"]
            assert await world.numbers(30, k=3) == [30, 28, 32]
        assert 0 < len(fake.ids()) < 40
        await world.copy_all()
        assert await world.states() == ["serving"]
        world.is_copied(fake)

        odd = await world.write("Odd", range(1, 40, 2))
        await killed_at(world, fake, url, tmp_path, (3, "after"))
        await world.rewrite(odd, "Odd", range(1, 20, 2))
        await killed_at(world, fake, url, tmp_path, (2, "before"))
        assert await world.numbers(30, k=3) == [30, 28, 32]
        assert await world.numbers(9, k=3) == [9, 8, 10]
        await world.copy_all()
        world.is_copied(fake)

        await world.services.knowledge_bases.delete(world.owner, world.base.id)
        await killed_at(world, fake, url, tmp_path, (1, "after"))
        assert world.admin.execute("SELECT state FROM knowledge_copy").fetchall() == [("leaving",)]
        await world.copy_all()
        assert fake.ids() == set()
        assert world.admin.execute("SELECT count(*) FROM knowledge_copy").fetchone() == (0,)
