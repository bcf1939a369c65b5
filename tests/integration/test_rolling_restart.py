"""A rolling restart of real processes: each says first that it ends, nobody gets a 5xx, nothing is lost or said twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.conversation_world import publish
from tests.fakes.redis_server import RedisServer, redis_server
from tests.integration.test_turns import ECHO
from tests.ports import free_port

pytestmark = [pytest.mark.timeout(240, func_only=True), pytest.mark.slow]
Admin = psycopg.Connection[tuple[Any, ...]]
REPOSITORY = Path(__file__).resolve().parents[2]
START = """
import sys
from graph_runtime.__main__ import main
from graph_runtime.contract import catalog
import graph_runtime.bootstrap as bootstrap
from tests.engine.small_nodes import CATALOG
bootstrap.load_catalog = lambda _: CATALOG
sys.exit(main(sys.argv[1:]))
"""
"""The command, with the small steps of the tests."""
NOTICE_SECONDS = 1.0
PROCESSES = {"here": ("web", "web"), "workers": ("web", "worker", "worker")}
"""By where turns run, what is replaced."""


@asynccontextmanager
async def command(name: str, port: int, folder: Path, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """One process of the program, ready."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PATCHCORD_", "DATABASE", "REDIS"))}
    told = {
        "PYTHONPATH": str(REPOSITORY), "PATCHCORD_DATA_DIR": str(folder), "PATCHCORD_SCREENS": "none",
        "PATCHCORD_PORT": str(port), "PATCHCORD_WORKER_PORT": str(port), "PATCHCORD_DRAIN_SECONDS": "10",
        "PATCHCORD_DRAIN_NOTICE_SECONDS": str(NOTICE_SECONDS),
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", START, name, env=kept | told | environment)
    try:
        async with asyncio.timeout(90):
            while await readiness(port) != 200:
                assert process.returncode is None, f"{name} ended with {process.returncode}"
                await asyncio.sleep(0.1)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def readiness(port: int) -> int:
    """The status of /health/ready, 0 when nobody listens. A plain socket: a client of its own each time costs 30 ms."""
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"GET /health/ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                first = await reader.readline()
            finally:
                writer.close()
            return int(first.split()[1]) if first else 0
    except (OSError, TimeoutError):
        return 0


@dataclass
class Client:
    """Talks to whichever process says that it is ready, as a proxy would choose, and notes every status."""

    ports: list[int]
    key: str
    statuses: list[int] = field(default_factory=list)
    broken: int = 0

    async def post(self, http: httpx2.AsyncClient, path: str, body: dict[str, Any]) -> Any:
        """The answer, repeated after a broken connection with the same Idempotency-Key, as a client has to."""
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": body.pop("key")}
        while True:
            for port in [*self.ports]:
                if await readiness(port) != 200:
                    continue
                try:
                    answer = await http.post(f"http://127.0.0.1:{port}{path}", json=body, headers=headers, timeout=60)
                except httpx2.TransportError:
                    self.broken += 1
                    continue
                if answer.status_code == 409 and answer.json()["code"] == "still_running":
                    break
                self.statuses.append(answer.status_code)
                return answer.json()
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@dataclass
class Load:
    """Four people who talk without a pause; what each said, by conversation."""

    client: Client
    agent_id: str
    texts: dict[str, list[str]] = field(default_factory=dict)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def talk(self, n: int) -> None:
        async with httpx2.AsyncClient() as http:
            begun = await self.client.post(http, f"/api/v1/agents/{self.agent_id}/conversations", {"key": f"s{n}"})
            path = f"/api/v1/conversations/{begun['conversation_id']}/messages"
            said = self.texts[begun["conversation_id"]] = []
            while not self.stop.is_set():
                said.append(f"{n} and {len(said)}")
                await self.client.post(http, path, {"key": f"m{n}-{len(said)}", "text": said[-1]})
                await asyncio.sleep(0.25)  # one key may ask 20 times a second


async def until(holds: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Look again and again."""
    async with asyncio.timeout(seconds):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.02)


def key_of(admin: Admin, workspace_id: str) -> Principal:
    """An owner in a workspace that has none, to make an API key."""
    row = admin.execute(
        "INSERT INTO member (workspace_id, email, name, role, password_hash) VALUES (%s, %s, 'O', 'owner', '')"
        " RETURNING id::text",
        (workspace_id, f"{workspace_id}@example.org"),
    ).fetchone()
    assert row is not None
    return Principal(workspace_id, row[0], "owner", PERMISSIONS["owner"])


async def replace(
    stack: AsyncExitStack, names: tuple[str, ...], client: Client, folder: Path, told: dict[str, str]
) -> None:
    """They are started, then one after the other is replaced by a new one."""
    ports = [free_port() for _ in names]
    starts = [
        stack.enter_async_context(command(name, port, folder, **told)) for name, port in zip(names, ports, strict=True)
    ]
    old = dict(zip(ports, zip(names, await asyncio.gather(*starts), strict=True), strict=True))
    client.ports += [port for port, (name, _) in old.items() if name == "web"]
    for port, (name, process) in old.items():
        new_port = free_port()
        await stack.enter_async_context(command(name, new_port, folder, **told))
        if name == "web":
            client.ports.append(new_port)
        process.send_signal(signal.SIGTERM)
        if name == "web":
            # It says so before it stops to serve, for as long as the notice lasts.
            seen: list[int] = []

            async def is_not_ready(port: int = port, seen: list[int] = seen) -> bool:
                seen.append(await readiness(port))
                return seen[-1] != 200

            await until(is_not_ready, 5)
            assert seen[-1] == 503
        async with asyncio.timeout(30):
            assert await process.wait() == 0
        if name == "web":
            client.ports.remove(port)


@pytest.mark.parametrize("turns", PROCESSES)
async def test_processes_are_replaced_under_load(
    postgres: EmbeddedPostgres, services: Services, admin: Admin, tmp_path: Path, redis: RedisServer, turns: str
) -> None:
    access = publish(postgres.admin_url, ECHO)
    scopes = ["conversations:write", "conversations:read"]
    _, key = await services.api_keys.create(key_of(admin, access.workspace_id), "K", scopes)
    told = {"DATABASE_URL": postgres.app_url, "PATCHCORD_TURNS": turns, "PATCHCORD_SECRET_KEY": "for tests only, " * 3}
    if turns == "workers":
        told["REDIS_URL"] = redis.url
    client = Client([], key)
    load = Load(client, access.agent_id)

    async def nothing_waits() -> bool:
        return admin.execute("SELECT count(*) FROM inbox WHERE state = 'pending'").fetchone() == (0,)

    talking = [asyncio.create_task(load.talk(n)) for n in range(4)]
    async with AsyncExitStack() as stack:
        await replace(stack, PROCESSES[turns], client, tmp_path, told)
        load.stop.set()
        async with asyncio.timeout(60):
            await asyncio.gather(*talking)
        await until(nothing_waits, 30)
    assert [status for status in client.statuses if status not in (200, 201, 202)] == []
    assert client.broken <= 8, "connections broke although every process said in time that it ends"
    assert sum(map(len, load.texts.values())) > 20
    for conversation, said in load.texts.items():
        rows = admin.execute(
            "SELECT role, text FROM message WHERE conversation_id = %s ORDER BY seq", (conversation,)
        ).fetchall()
        assert [text for role, text in rows if role == "contact"] == said
        answers = [text for role, text in rows if role == "agent" and text.startswith("You said")]
        assert answers == [f"You said {text}" for text in said]
    assert admin.execute("SELECT max(attempts) FROM inbox").fetchone() == (1,)
