"""More requests than the database can serve: those that would wait too long are refused at once, the others are served."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import httpx2

from graph_runtime.api import limits
from graph_runtime.bootstrap import Services


async def test_whoever_would_wait_too_long_is_refused_at_once(services: Services, program: httpx2.AsyncClient) -> None:
    many = limits.MOST_WAITING
    path = "/api/v1/conversations"
    assert (await program.get(path)).status_code == 200
    async with AsyncExitStack() as held, asyncio.TaskGroup() as group:
        for _ in range(12):
            await held.enter_async_context(services.database.direct())
        waiting = [group.create_task(_use(services)) for _ in range(many + 1)]
        while services.database.waiting <= many:  # noqa: ASYNC110  # a queue tells nobody
            await asyncio.sleep(0)
        refused = await program.get(path)
        assert (refused.status_code, refused.json()["code"]) == (503, "busy")
        assert refused.headers["Retry-After"] == "2"
        assert (await program.get("/health/live")).status_code == 200
        await held.aclose()
        await asyncio.gather(*waiting)
        assert (await program.get(path)).status_code == 200


async def _use(services: Services) -> None:
    async with services.database.direct() as connection:
        await connection.execute("SELECT 1")
