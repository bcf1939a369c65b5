"""Starts everything on one machine: database, migrations, screens, web, worker and voice; stops it all on Ctrl-C."""

import errno
import hashlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graph_runtime.cli.supervisor import Child, ChildRefused, Signals, StopRequested, Supervisor
from graph_runtime.places import REPOSITORY, keep_bytecode
from graph_runtime.storage.data_folder import DataFolderClaim, DataFolderError, prepare
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres

READY_WITHIN_SECONDS = 90.0
DEATHS_BEFORE_GIVING_UP = 3
PYTHON = (sys.executable, "-P")
"""-P: a file in the folder where somebody happens to stand must not replace one of our modules."""


class CannotStart(Exception):
    """Starting failed; the message is for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asked for."""

    data_dir: Path
    host: str
    port: int

    @property
    def address(self) -> str:
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104 (compared, not bound)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def run(wish: Wish) -> int:
    """Run until somebody stops it; the exit code is 0 after an orderly stop."""
    with Signals() as signals:
        stack = Stack(wish, signals)
        try:
            stack.start()
            stack.watch()
        except StopRequested:
            say("Stopping ...")
        except (CannotStart, DataFolderError, ChildRefused) as error:
            print(error, file=sys.stderr, flush=True)
            return 1
        finally:
            stack.stop()
    say("Stopped. Nothing is left running.")
    return 0


def say(line: str) -> None:
    print(line, flush=True)


class Stack:
    """Everything that one `up` runs, in the order in which it depends on each other."""

    def __init__(self, wish: Wish, signals: Signals) -> None:
        self._wish = wish
        self._signals = signals
        self._began = time.monotonic()
        self._environment = dict(os.environ)
        self._postgres: EmbeddedPostgres | None = None
        self._claim: DataFolderClaim | None = None
        self._supervisor: Supervisor | None = None
        self._helpers: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Bring up everything and return when the web process answers.

        Raises: CannotStart, DataFolderError, ChildRefused, StopRequested
        """
        wish = self._wish
        prepare(wish.data_dir)
        self._start_claim()
        check_port(wish.host, wish.port)
        self._environment.update(
            PATCHCORD_DATA_DIR=str(wish.data_dir),
            PATCHCORD_HOST=wish.host,
            PATCHCORD_PORT=str(wish.port),
            PYTHONUNBUFFERED="1",
            PYTHONPATH=os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])),
        )
        keep_bytecode(self._environment, wish.data_dir / "bytecode")
        screens = self._helper("-m", "builder_ui.build")
        self._start_database()
        self._migrate()
        self._wait_for(screens, "The screens could not be built; the lines above say why.")
        self._supervisor = Supervisor([self._child(name) for name in ("web", "worker")], self._signals, say)
        self._supervisor.start()
        self._wait_until_ready()
        # Only now: on two cores they would delay what people wait for. Whichever holds the port, the other is its spare.
        self._supervisor.add(self._child("voice"))
        if self._environment.setdefault("PATCHCORD_VOICE_HAS_SPARE", "yes") not in ("no", "false", "0"):
            self._supervisor.add(self._child("voice-spare"))
        claim = self._postgres.claim if self._postgres else self._claim
        if claim:
            claim.announce(wish.address)
        say(f"\nPatchcord is ready after {time.monotonic() - self._began:.1f} s:  {wish.address}")
        say(f"Data: {wish.data_dir}   Logs: web.log, worker.log and voice.log in it")
        say("Press Ctrl-C to stop everything.")

    def watch(self) -> None:
        """Keep it all alive until a stop is asked for.

        Raises: StopRequested, ChildRefused, DataFolderError
        """
        if self._supervisor is None:
            return
        while True:
            if self._postgres and not self._postgres.is_running():
                say("The database ended unexpectedly; starting it again.")
                self._postgres.restart()
            self._signals.pause_unless_stopped(self._supervisor.check())

    def stop(self) -> None:
        for helper in self._helpers:
            if helper.poll() is None:
                os.killpg(helper.pid, signal.SIGTERM)  # the build has children of its own
                helper.wait()
        if self._supervisor:
            self._supervisor.stop()
        if self._postgres:
            self._postgres.stop()
        if self._claim:
            self._claim.release()

    def _start_claim(self) -> None:
        """Claim the folder before looking at the port, so that a second start is told about the first."""
        if os.environ.get("PATCHCORD_DATABASE_URL") or os.environ.get("DATABASE_URL"):
            self._claim = DataFolderClaim(self._wish.data_dir)
            self._claim.take()
        else:
            self._postgres = EmbeddedPostgres(self._wish.data_dir)
            self._postgres.claim.take()

    def _start_database(self) -> None:
        if self._postgres is None:
            self._done("database: the one in DATABASE_URL")
            return
        self._postgres.start()
        self._environment["PATCHCORD_DATABASE_URL"] = self._postgres.app_url
        self._done("database")

    def _migrate(self) -> None:
        note = self._postgres.migrated_file if self._postgres else None
        wanted = migrations_digest()
        if note and note.exists() and note.read_text() == wanted:
            return
        environment = dict(self._environment)
        if self._postgres:
            environment["PATCHCORD_DATABASE_ADMIN_URL"] = self._postgres.admin_url
        migrate = self._helper("-m", "graph_runtime", "migrate", environment=environment)
        self._wait_for(migrate, "The database could not be brought up to date; the lines above say why.")
        if note:
            note.write_text(wanted)
        self._done("tables")

    def _child(self, name: str) -> Child:
        command = [*PYTHON, "-m", "graph_runtime", name]
        environment = {key: value for key, value in self._environment.items() if "ADMIN_URL" not in key}
        return Child(name, command, environment, self._wish.data_dir / f"{name}.log")

    def _helper(self, *arguments: str, environment: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
        """A process that does one thing and ends; it shares our terminal so that its progress is seen."""
        helper = subprocess.Popen(
            [*PYTHON, *arguments],
            stdin=subprocess.DEVNULL,
            env=environment or self._environment,
            cwd=REPOSITORY,
            start_new_session=True,
        )
        self._helpers.append(helper)
        return helper

    def _wait_for(self, helper: "subprocess.Popen[bytes]", otherwise: str) -> None:
        while (code := helper.poll()) is None:
            self._signals.pause_unless_stopped(1.0)
        if code:
            raise CannotStart(otherwise)

    def _wait_until_ready(self) -> None:
        if self._supervisor is None:
            return
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        web = self._supervisor.children[0]
        while not is_ready(self._wish):
            self._supervisor.check()
            if web.deaths >= DEATHS_BEFORE_GIVING_UP:
                raise CannotStart(f"The web process does not start. Its last lines:\n{web.last_words(20)}")
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"The web process did not answer within {READY_WITHIN_SECONDS:g} s. "
                    f"Its last lines:\n{web.last_words(20)}"
                )
            self._signals.pause_unless_stopped(0.05)
        self._done("web and worker")

    def _done(self, what: str) -> None:
        say(f"  {time.monotonic() - self._began:5.1f} s  {what}")


def check_port(host: str, port: int) -> None:
    """Raises: CannotStart when nothing could listen there."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotStart(
                f"Port {port} on {host} is already used by another program. "
                f"Stop that program, or choose another port: ./patchcord up --port {port + 1}"
            ) from error
        raise CannotStart(
            f"Patchcord cannot listen on {host}:{port} ({error.strerror}). "
            "Choose an address of this machine with --host and a port above 1023 with --port."
        ) from error


def is_ready(wish: Wish) -> bool:
    """Whether the web process says that it and its database are ready."""
    host = wish.address.removeprefix("http://").rsplit(":", 1)[0].strip("[]")
    connection = http.client.HTTPConnection(host, wish.port, timeout=2)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def migrations_digest() -> str:
    """Changes whenever a migration is added or edited."""
    digest = hashlib.sha256()
    for path in sorted(p for p in (REPOSITORY / "migrations").rglob("*") if p.suffix in (".py", ".sql")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
