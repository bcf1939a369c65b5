"""The whole installation under test: database, web and worker processes, the model's maker, relays between them."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.commit_trap import CommitTrap
from tests.faults.database_server import SOCKET_NAME, DatabaseServer
from tests.faults.flows import document
from tests.faults.journal import Journal
from tests.faults.program import Program
from tests.faults.relay import Relay, Switchboard
from tests.faults.world import World, make_world

READY_WITHIN_SECONDS = 90.0


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How many processes, and what stands between them. `relayed`: each process meets the database through a relay."""

    web: int = 1
    workers: int = 1
    relayed: bool = False
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
        self.switchboard = Switchboard()
        self.relays: dict[str, Relay] = {}
        self.programs: dict[str, Program] = {}
        self.canaries = {
            "secret key": f"canary-{secrets.token_urlsafe(36)}",
            "model key": f"sk-{secrets.token_hex(20)}",
        }
        self.vendor_journal = folder / "vendor.jsonl"
        self._vendor_port = free_port()
        self.vendor = self._vendor()
        self.world: World
        self._watching: asyncio.Task[None] | None = None
        self._busy = asyncio.Lock()

    async def start(self) -> System:
        """Return when everything answers."""
        await asyncio.to_thread(self.database.start)
        self.vendor.start()
        self.canaries["database password"] = self.database.password
        model = self._relay("model", free_port(), self._vendor_port)
        environment = self._environment("harness", 0, direct=True)
        self.world = await make_world(
            environment, self.layout.flow, f"http://127.0.0.1:{model.listen}", self.canaries["model key"]
        )
        self.canaries |= {f"api key {n}": key for n, key in enumerate(self.world.keys[:3])}
        for n in range(1, self.layout.web + 1):
            self._program(f"web{n}", "web", free_port())
        for n in range(1, self.layout.workers + 1):
            self._program(f"worker{n}", "worker", 0)
        for program in self.programs.values():
            program.start()
        self._watching = asyncio.create_task(self._watch(), name="watch")
        for name in self.named("web"):
            await self.until_ready(name)
        return self

    async def close(self) -> None:
        """Stop everything; logs go to the results folder."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        for program in (*self.programs.values(), self.vendor):
            program.close()
        self.switchboard.close()
        await asyncio.to_thread(self.database.stop)
        with contextlib.suppress(OSError):
            shutil.copy(self.database.postgres.log_file, self.folder / "postgres.log")
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.actions.close()

    def named(self, kind: str) -> list[str]:
        """Names of the processes of a kind: "web", "worker"."""
        return [name for name in self.programs if name.startswith(kind)]

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
            "PATCHCORD_SCREENS": "no_screens:none",
            "PATCHCORD_PLUGIN_PACKAGES": json.dumps(["nodes", "connectors", "tests.faults.plugins"]),
            **({"PATCHCORD_PORT": str(port)} if port else {}),
            **self.layout.environment,
        }

    def _vendor(self) -> Program:
        arguments = ["tests.faults.vendor", str(self._vendor_port), str(self.vendor_journal)]
        return Program("vendor", arguments, dict(os.environ), self.folder / "vendor.log")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
