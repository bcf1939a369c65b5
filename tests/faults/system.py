"""The whole installation under test: database, Redis, web and worker processes, vendors, relays between them."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.redis_server import RedisServer
from tests.faults.commit_trap import CommitTrap
from tests.faults.database_server import SOCKET_NAME, DatabaseServer
from tests.faults.flows import document
from tests.faults.journal import Journal
from tests.faults.program import Program
from tests.faults.relay import Relay, Switchboard
from tests.faults.world import World, make_world
from tests.ports import free_port

READY_WITHIN_SECONDS = 90.0


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How many processes, and what stands between them. The second of `voice` is the first one's spare.

    `relayed`: each process meets the database (and Redis) through a relay. `redis`: web processes only accept, workers
    run the turns, and a real Redis wakes them; without it, the web process that accepts a message runs its turn.
    """

    web: int = 1
    workers: int = 1
    voice: int = 0
    relayed: bool = False
    redis: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    flow: dict[str, Any] = field(default_factory=document)
    data_folder: Path | None = None


class System:
    """Running processes, by name: "web1", "worker1", …; `actions` notes what is done to them."""

    def __init__(self, layout: Layout, folder: Path) -> None:
        self.layout = layout
        self.folder = folder
        self.actions = Journal(folder / "actions.jsonl")
        self.temporary = Path(tempfile.mkdtemp(prefix="pf-"))
        # PostgreSQL's account must be able to reach the relays' sockets.
        self.temporary.chmod(0o755)
        self.database = DatabaseServer(layout.data_folder or self.temporary / "data")
        self.redis: RedisServer | None = None
        self.switchboard = Switchboard()
        self.relays: dict[str, Relay] = {}
        self.programs: dict[str, Program] = {}
        self.canaries = {
            "secret key": f"canary-{secrets.token_urlsafe(36)}",
            "model key": f"sk-{secrets.token_hex(20)}",
        }
        self.vendor_journal = folder / "vendor.jsonl"
        self._vendor_port = free_port()
        self._redis_port = 0
        self.voice_port = free_port()
        self.vendor = self._outsider("vendor", self._vendor_port, self.vendor_journal)
        self.receiver_journal = folder / "receiver.jsonl"
        self._receiver_port = free_port()
        self.receiver = self._outsider("receiver", self._receiver_port, self.receiver_journal)
        self.world: World
        self._watching: asyncio.Task[None] | None = None
        self._busy = asyncio.Lock()

    async def start(self) -> System:
        """Return when everything answers."""
        await asyncio.to_thread(self.database.start)
        if self.layout.redis:
            await asyncio.to_thread(self._start_redis)
        self.vendor.start()
        self.canaries["database password"] = self.database.password
        model = self._relay("model", free_port(), self._vendor_port)
        self.receiver.start()
        receiver = self._relay("receiver", free_port(), self._receiver_port)
        for n in range(1, self.layout.web + 1):
            self._program(f"web{n}", "web", free_port())
        for n in range(1, self.layout.workers + 1):
            self._program(f"worker{n}", "worker", 0)
        for n in range(1, self.layout.voice + 1):
            self._program(f"voice{n}", "voice" if n == 1 else "voice-spare", 0)
        for program in self.programs.values():
            program.start()
        # Meanwhile they start: on few cores that takes as long.
        environment = self._environment("harness", 0, direct=True)
        self.world = await make_world(
            environment, self.layout.flow, f"http://127.0.0.1:{model.listen}", self.canaries["model key"],
            f"http://127.0.0.1:{receiver.listen}",
        )  # fmt: skip
        self.canaries |= {f"api key {n}": key for n, key in enumerate(self.world.keys[:3])}
        self.canaries |= {f"secret of {name}": hook.secret for name, hook in self.world.hooks.items()}
        for lane, hook in self.world.hooks.items():
            await self._tell_receiver("/_lane", lane=lane, secret=hook.secret)
        self._watching = asyncio.create_task(self._watch(), name="watch")
        for name in self.named("web"):
            await self.until_ready(name)
        return self

    async def close(self) -> None:
        """Stop everything; logs go to the results folder."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        for program in (*self.programs.values(), self.vendor, self.receiver):
            program.close()
        self.switchboard.close()
        if self.redis is not None:
            self.redis.kill()
        await asyncio.to_thread(self.database.stop)
        with contextlib.suppress(OSError):
            shutil.copy(self.database.postgres.log_file, self.folder / "postgres.log")
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.actions.close()

    def named(self, kind: str) -> list[str]:
        """Names of the processes of a kind: "web", "worker"."""
        return [name for name in self.programs if name.startswith(kind)]

    @property
    def runners(self) -> str:
        """The kind of process that runs the turns of messages that were just accepted."""
        return "worker" if self.layout.redis else "web"

    def address(self, name: str) -> str:
        """Where a web process answers."""
        return f"http://127.0.0.1:{self.programs[name].environment['PATCHCORD_PORT']}"

    @property
    def addresses(self) -> list[str]:
        """Of all web processes."""
        return [self.address(name) for name in self.named("web")]

    async def until_ready(self, name: str, seconds: float = READY_WITHIN_SECONDS) -> float:
        """Seconds until a web process says that it can work. Raises: AssertionError."""
        began = time.monotonic()
        while not await asyncio.to_thread(_is_ready, int(self.programs[name].environment["PATCHCORD_PORT"])):
            if time.monotonic() - began > seconds:
                tail = self.programs[name].log.read_text("utf-8", "replace")[-3000:]
                raise AssertionError(f"{name} is not ready after {seconds:g} s:\n{tail}")
            await asyncio.sleep(0.1)
        return time.monotonic() - began

    async def vendor_mode(self, kind: str, *, seconds: float = 0.0, share: float = 1.0) -> None:
        """What the model's maker does from now on."""
        body = json.dumps({"kind": kind, "seconds": seconds, "share": share})
        await asyncio.to_thread(_post, self._vendor_port, "/_mode", body)
        self.actions.note("model", mode=kind, seconds=seconds, share=share)

    async def receiver_fails(
        self, lane: str, kind: str, *, seconds: float = 1.0, times: int = 1, share: float | None = None
    ) -> None:
        """Requests to a lane go wrong: the next so many, or a share of all from now on (0: no more)."""
        await self._tell_receiver("/_fail", lane=lane, kind=kind, seconds=seconds, times=times, share=share)
        self.actions.note("receiver", lane=lane, fails=kind, seconds=seconds, times=times, share=share)

    async def _tell_receiver(self, path: str, **said: Any) -> None:
        until = time.monotonic() + READY_WITHIN_SECONDS
        while True:
            try:
                return await asyncio.to_thread(_post, self._receiver_port, path, json.dumps(said))
            except ConnectionError:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.05)

    @contextlib.asynccontextmanager
    async def hands_on(self) -> AsyncIterator[None]:
        """While several things are changed at once nothing is started again."""
        async with self._busy:
            yield

    async def _watch(self) -> None:
        while True:
            async with self._busy:
                for program in (*self.programs.values(), self.vendor):
                    if program.watch():
                        # It died within the second before; by our hand or, poisoned, by its own.
                        self.actions.note("hurt", what="started again", who=program.name, since=time.time() - 1.0)
            await asyncio.sleep(0.1)

    def _start_redis(self) -> None:
        self.redis = RedisServer(self.temporary)
        self.redis.start()
        self._redis_port = self.redis.port
        if self.layout.relayed:
            self._redis_port = free_port()
            self._relay("redis", self._redis_port, self.redis.port)

    def _relay(self, name: str, listen: Path | int, upstream: Path | int, trap: CommitTrap | None = None) -> Relay:
        relay = Relay(listen, upstream, ear=trap.ear if trap else None)
        self.relays[name] = self.switchboard.add(relay)
        return relay

    def _program(self, name: str, command: str, port: int) -> None:
        trap = None
        if self.layout.relayed:
            place = self.temporary / name
            place.mkdir()
            trap = CommitTrap()
            self._relay(name, place / SOCKET_NAME, self.database.socket_file, trap)
        environment = self._environment(name, port, direct=not self.layout.relayed)
        log = self.folder / f"{name}.log"
        self.programs[name] = Program(name, ["graph_runtime", command], environment, log, trap)

    def _environment(self, name: str, port: int, *, direct: bool) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PATCHCORD_", "DATABASE", "REDIS"))}
        url = self.database.postgres.app_url if direct else self.database.url_through(self.temporary / name)
        data = self.temporary / "processes" / name
        data.mkdir(parents=True, exist_ok=True)
        return {
            **kept,
            "PATCHCORD_DATABASE_URL": url,
            "PATCHCORD_SECRET_KEY": self.canaries["secret key"],
            "PATCHCORD_DATA_DIR": str(data),
            "PATCHCORD_SCREENS": "none",
            "PATCHCORD_VOICE_PORT": str(self.voice_port),
            "PATCHCORD_VOICE_HAS_SPARE": "yes" if self.layout.voice > 1 else "no",
            "PATCHCORD_PLUGIN_PACKAGES": json.dumps(["nodes", "connectors", "tests.faults.plugins"]),
            **({"PATCHCORD_PORT": str(port)} if port else {}),
            **(self._with_redis() if self.redis else {}),
            **self.layout.environment,
        }

    def _with_redis(self) -> dict[str, str]:
        return {"REDIS_URL": f"redis://127.0.0.1:{self._redis_port}/0", "PATCHCORD_TURNS": "workers"}

    def _outsider(self, name: str, port: int, journal: Path) -> Program:
        arguments = [f"tests.faults.{name}", str(port), str(journal)]
        return Program(name, arguments, dict(os.environ), self.folder / f"{name}.log")


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _post(port: int, path: str, body: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", path, body)
    assert connection.getresponse().status == 200
    connection.close()
