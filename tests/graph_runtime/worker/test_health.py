"""A worker tells its health and figures over plain HTTP, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from graph_runtime.worker.health import Health


class State:
    """What the endpoint is told."""

    why_not = ""


async def figures() -> bytes:
    return b"lease_steals_total 3.0\n"


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
async def address(state: State) -> AsyncIterator[str]:
    async def ready() -> str:
        return state.why_not

    health = Health(ready, figures, token="", is_production=True)
    yield f"http://127.0.0.1:{await health.open('127.0.0.1', 0)}"
    await health.close()


async def test_it_says_whether_it_lives_and_can_work(address: str, state: State) -> None:
    async with httpx2.AsyncClient(base_url=address) as client:
        assert (await client.get("/health/live")).json() == {"status": "live"}
        assert (await client.get("/health/ready")).status_code == 200
        state.why_not = "stopping"
        answer = await client.get("/health/ready")
        assert (answer.status_code, answer.json()) == (503, {"status": "stopping"})
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/metrics")).text == "lease_steals_total 3.0\n"
        assert (await client.get("/")).status_code == 404
        assert (await client.post("/health/live")).status_code == 405


async def test_figures_need_the_token_when_there_is_one() -> None:
    async def ready() -> str:
        return ""

    health = Health(ready, figures, token="a token of tests", is_production=True)
    port = await health.open("127.0.0.1", 0)
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        assert (await client.get("/metrics")).status_code == 403
        assert (await client.get("/metrics", headers={"Authorization": "Bearer wrong"})).status_code == 403
        told = await client.get("/metrics", headers={"Authorization": "Bearer a token of tests"})
        assert told.text.startswith("lease_steals_total")
    await health.close()


@pytest.mark.parametrize(
    "said", [b"\r\n\r\n", b"GET\r\n\r\n", b"\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"x" * 20000]
)
async def test_nonsense_harms_nobody(address: str, said: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
    writer.write(said)
    async with asyncio.timeout(10):
        await reader.read()
    writer.close()
    async with httpx2.AsyncClient(base_url=address) as client:
        assert (await client.get("/health/live")).status_code == 200
