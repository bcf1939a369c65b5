"""Starts, recovers and stops a private PostgreSQL that lives in the data folder, from the programs of a wheel."""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path
from typing import IO, Self
from urllib.parse import quote

from graph_runtime.storage import postgres_processes
from graph_runtime.storage.data_folder import (
    MIN_FREE_BYTES,
    DataFolderClaim,
    DataFolderError,
    DataFolderTooOld,
    DiskFull,
    explain,
    prepare,
)
from graph_runtime.storage.postgres_account import account_for, programs_for, reaches_by_descriptor

DATABASE = "patchcord"
OWNER_ROLE = "patchcord_owner"
APP_ROLE = "patchcord_app"
SYSTEM_ROLE = "patchcord_system"
EXTENSIONS = ("vector", "pg_trgm", "unaccent")
ACCESS_RULES = f"local {DATABASE} {OWNER_ROLE},{APP_ROLE} scram-sha-256\n"
HOME = "<home>"
SIGNS_OF_A_FULL_DISK = ("No space left on device", "Check free disk space", "Disk quota exceeded")
MAX_LOG_BYTES = 10 * 1024 * 1024
LONGEST_SOCKET_FOLDER = 85
"""The system limits a socket's path to about 104 bytes; PostgreSQL adds a file name of up to 19."""

SERVER_SETTINGS = {
    "listen_addresses": "",  # only the socket: other accounts of this machine cannot even knock
    "unix_socket_permissions": "0700",
    "max_connections": "120",
    "work_mem": "4MB",
    "maintenance_work_mem": "64MB",
    "jit": "off",  # compiling costs more than our short queries
    "io_method": "sync",  # no extra I/O processes for a small database
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "cluster_name": "patchcord",
}


LEAST_BUFFERS_MB, MOST_BUFFERS_MB = 32, 1024


def shared_buffers_mb(database_bytes: int, memory_bytes: int) -> int:
    """What PostgreSQL keeps of the database by itself: half of it, at most an eighth of the machine's memory.

    A page that it has not kept is copied from the system for each look, which is most of a walk through an index of
    vectors. Memory is taken only as pages are read.
    """
    most = min(MOST_BUFFERS_MB, memory_bytes // 8 // 1024**2)
    return max(LEAST_BUFFERS_MB, min(most, database_bytes // 2 // 1024**2))


def _size_of(folder: Path) -> int:
    found = 0
    with contextlib.suppress(OSError):
        for place in os.scandir(folder):
            found += sum(file.stat().st_size for file in os.scandir(place.path)) if place.is_dir() else 0
    return found


def _memory_bytes() -> int:
    """Of the machine, or of the container when that has less."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):
        found = min(found, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return found


class PostgresFailed(DataFolderError):
    """PostgreSQL did not start; the message holds its own last words and where the log is."""


class EmbeddedPostgres:
    """One PostgreSQL server on one data folder, private to the process that started it.

    The server stops when `stop` is called and also when this process dies in any way; what a crash leaves
    behind is cleaned up by the next `start`.
    """

    def __init__(self, data_dir: Path, *, min_free_bytes: int = MIN_FREE_BYTES) -> None:
        self.data_dir = Path(data_dir).expanduser().absolute()
        self.log_file = self.data_dir / "postgres.log"
        self.claim = DataFolderClaim(self.data_dir)
        self._min_free_bytes = min_free_bytes
        self._home = self.data_dir / "postgres"
        self._cluster = self._home / "cluster"
        self.migrated_file = self._home / "migrated"
        """For the caller's note on which migrations ran; it disappears with the database it speaks of."""
        self._secrets_file = self.data_dir / "postgres-roles.json"
        self._roles: dict[str, str] = {}
        self._sockets: Path | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def app_url(self) -> str:
        """For the running program: a role without superuser rights that row-level security binds."""
        return self._url(APP_ROLE, self._roles["app"])

    @property
    def admin_url(self) -> str:
        """For migrations and backups: the owner of the database and of its tables."""
        return self._url(OWNER_ROLE, self._roles["owner"])

    def start(self, *, timeout_seconds: float = 120) -> str:
        """Start the server, creating or recovering the database as needed, and return `app_url`.

        Raises: DataFolderInUse, DataFolderTooOld, DataFolderUnwritable, DiskFull, PostgresFailed
        """
        if self.is_running():
            return self.app_url
        prepare(self.data_dir, min_free_bytes=self._min_free_bytes)
        self.claim.take()
        try:
            self._start(timeout_seconds)
        except OSError as error:
            self.stop()
            raise explain(error, self.data_dir) from error
        except BaseException:
            self.stop()
            raise
        return self.app_url

    def is_running(self) -> bool:
        return self._server is not None and self._server.poll() is None

    def stop(self, *, timeout_seconds: float = 20) -> None:
        """Disconnect everyone, write everything down and stop; harmless when nothing runs."""
        if self._server is not None:
            for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                if self._server.poll() is not None:
                    break
                self._server.send_signal(how)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._server.wait(timeout_seconds)
        self._forget_server()
        if self._sockets and self._sockets.parent != self._home:
            with contextlib.suppress(OSError):
                self._sockets.rmdir()
        self.claim.release()

    def restart(self) -> None:
        """Start again after the server ended by itself; the addresses and the claim on the folder stay.

        Raises: DiskFull, PostgresFailed
        """
        self._forget_server()
        self.start()

    def _forget_server(self) -> None:
        if self._watch is not None:
            self._watch.kill()
            self._watch.wait()
        if self._lifeline is not None:
            os.close(self._lifeline)
        self._server = self._watch = self._lifeline = None

    def _start(self, timeout_seconds: float) -> None:
        self._account = account_for(self._home)
        self._programs = programs_for(self._account)
        self._home.mkdir(mode=0o700, exist_ok=True)
        if self._account:
            self._account.own(self._home)
        self._check_version()
        postgres_processes.stop_leftovers(self._cluster)
        self._sockets = self._socket_folder()
        self._shorten_log()
        self._read_roles()
        if not self._cluster.exists():
            self._create_cluster()
        self._apply_roles("cluster")
        self._launch(timeout_seconds)

    def _check_version(self) -> None:
        version_file = self._cluster / "PG_VERSION"
        if not version_file.exists():
            return
        with self._run("postgres", "--version") as process:
            installed = process.communicate()[0].decode().split()[-1].split(".")[0]
        if (written_by := version_file.read_text().strip()) != installed:
            raise DataFolderTooOld(
                f"The data folder {self.data_dir} was written by PostgreSQL {written_by}, and this Patchcord brings "
                f"PostgreSQL {installed}. Make a backup with the Patchcord version that wrote it and restore it into "
                "a new folder, or choose another folder with --data DIR."
            )

    def _create_cluster(self) -> None:
        """Build the database beside its final place; only a complete one gets the final name."""
        unfinished = self._home / "cluster.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        options = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8", "--username=postgres"]
        options += ["--auth=reject", "--no-instructions"]
        with self._run("initdb", *options, "--pgdata", f"{HOME}/cluster.new") as process:
            self._check(process, "create the database")
        self.migrated_file.unlink(missing_ok=True)
        (unfinished / "pg_hba.conf").write_text(ACCESS_RULES)
        self._single_user("cluster.new", "postgres", [f"CREATE DATABASE {DATABASE}"])
        self._apply_roles("cluster.new", always=True)
        unfinished.rename(self._cluster)

    def _read_roles(self) -> None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            self._roles = json.loads(self._secrets_file.read_text())
        if not {"owner", "app"} <= self._roles.keys():
            self._roles = {"owner": secrets.token_urlsafe(24), "app": secrets.token_urlsafe(24)}

    def _apply_roles(self, cluster: str, *, always: bool = False) -> None:
        """Make roles, rights and extensions what this version wants; remembered, so done once."""
        statements = _role_statements(self._roles["owner"], self._roles["app"])
        wanted = hashlib.sha256("\n".join([str(self._programs), *statements]).encode()).hexdigest()
        if self._roles.get("applied") == wanted and not always:
            return
        self._single_user(cluster, DATABASE, statements)
        self._roles["applied"] = wanted
        unfinished = self._secrets_file.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(self._roles, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self._secrets_file)

    def _single_user(self, cluster: str, database: str, statements: list[str]) -> None:
        """Run statements with no server and no network: the only moment anyone is superuser."""
        options = ["-c", "exit_on_error=on", "-c", "log_checkpoints=off"]
        with self._run("postgres", "--single", "-D", f"{HOME}/{cluster}", *options, database) as process:
            self._check(process, "prepare the database", "\n".join(statements) + "\n")

    def _launch(self, timeout_seconds: float) -> None:
        options = [f"{name}={value}" for name, value in SERVER_SETTINGS.items()]
        options.append(f"shared_buffers={shared_buffers_mb(_size_of(self._cluster / 'base'), _memory_bytes())}MB")
        options.append(f'unix_socket_directories="{self._socket_path_of_server()}"')
        arguments = [part for option in options for part in ("-c", option)]
        log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        with open(os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            self._server = self._spawn("postgres", "-D", f"{HOME}/cluster", *arguments, output=log)
        self._watch_over(self._server.pid)
        deadline = time.monotonic() + timeout_seconds
        while not postgres_processes.is_ready(self._cluster, self._server.pid):
            if self._server.poll() is not None or time.monotonic() > deadline:
                with self.log_file.open("rb") as said:
                    said.seek(log_start)
                    raise self._failure("start", said.read().decode(errors="replace"))
            time.sleep(0.005)

    def _watch_over(self, server_pid: int) -> None:
        """Leave a sentinel that stops the server when our end of a pipe closes, even by kill -9."""
        reading, self._lifeline = os.pipe()
        script = 'read -r _; kill -INT "$0"'
        self._watch = self._popen(["/bin/sh", "-c", script, str(server_pid)], stdin=reading, output=subprocess.DEVNULL)
        os.close(reading)

    def _socket_folder(self) -> Path:
        """A folder that only the database's account and root can enter, its path short enough for a socket."""
        folder = self._home / "socket"
        if len(os.fsencode(folder)) > LONGEST_SOCKET_FOLDER:
            digest = hashlib.sha256(os.fsencode(self._home)).hexdigest()[:16]
            folder = Path("/tmp", f"patchcord-{digest}")  # noqa: S108 (ownership is checked below)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()  # before any change: somebody may have put a link there
        owner = self._account.user_id if self._account else os.geteuid()
        ours = stat.S_ISDIR(found.st_mode) and found.st_uid in (owner, os.geteuid())
        if not ours or stat.S_IMODE(found.st_mode) != 0o700:
            raise PostgresFailed(f"The folder {folder} belongs to somebody else. Remove it and start again.")
        if self._account:
            self._account.own(folder)
        for leftover in folder.glob(".s.PGSQL.*"):
            leftover.unlink(missing_ok=True)
        return folder

    def _shorten_log(self) -> None:
        if self.log_file.exists() and self.log_file.stat().st_size > MAX_LOG_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".previous.log"))

    def _url(self, role: str, password: str) -> str:
        return f"postgresql://{role}:{quote(password)}@/{DATABASE}?host={quote(str(self._sockets), safe='')}"

    def _socket_path_of_server(self) -> str:
        inside = self._home / "socket"
        return f"{HOME}/{inside.name}" if self._sockets == inside else str(self._sockets)

    def _run(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        return self._spawn(program, *arguments, output=subprocess.PIPE)

    def _spawn(self, program: str, *arguments: str, output: IO[bytes] | int) -> "subprocess.Popen[bytes]":
        """Start one of PostgreSQL's programs; `HOME` in its arguments becomes a path that its account can open.

        When we drop from root, the data folder may lie below folders closed to that account. It gets the folder as
        an open descriptor instead of us opening those parents.
        """
        by_descriptor = self._account is not None and reaches_by_descriptor()
        descriptor = os.open(self._home, os.O_RDONLY | os.O_DIRECTORY)
        try:
            home = f"/proc/self/fd/{descriptor}" if by_descriptor else str(self._home)
            command = [str(self._programs / program), *(part.replace(HOME, home) for part in arguments)]
            source = subprocess.PIPE if output == subprocess.PIPE else subprocess.DEVNULL
            return self._popen(command, stdin=source, output=output, inherit=(descriptor,) if by_descriptor else ())
        finally:
            os.close(descriptor)

    def _popen(
        self, command: list[str], *, stdin: int, output: IO[bytes] | int, inherit: tuple[int, ...] = ()
    ) -> "subprocess.Popen[bytes]":
        """An unprivileged child with a bare environment, in its own session: a Ctrl-C in the terminal is ours."""
        account = self._account
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            start_new_session=True,
            umask=0o077,
            pass_fds=inherit,
            user=account.user_id if account else None,
            group=account.group_id if account else None,
            extra_groups=[] if account else None,
        )

    def _check(self, process: "subprocess.Popen[bytes]", purpose: str, text: str = "") -> None:
        said = process.communicate(text.encode())[0].decode(errors="replace")
        if process.returncode:
            raise self._failure(purpose, said)

    def _failure(self, purpose: str, said: str) -> DataFolderError:
        if any(sign in said for sign in SIGNS_OF_A_FULL_DISK):
            return DiskFull(
                f"The disk that holds {self.data_dir} is full, so PostgreSQL could not {purpose}. "
                "Free some space there, or choose another folder with --data DIR."
            )
        last_words = "\n  ".join(said.strip().splitlines()[-6:])
        return PostgresFailed(f"PostgreSQL could not {purpose}. It said:\n  {last_words}\nThe log is {self.log_file}.")


def running_admin_url(data_dir: Path) -> str:
    """The owner's address on a server that another process of ours runs on this folder.

    Raises: PostgresFailed when the folder is in use but has no such server.
    """
    return _running_url(data_dir, OWNER_ROLE, "owner")


def running_app_url(data_dir: Path) -> str:
    """The same of the program's own role. Raises: PostgresFailed."""
    return _running_url(data_dir, APP_ROLE, "app")


def _running_url(data_dir: Path, role: str, name: str) -> str:
    home = data_dir / "postgres"
    inside = home / "socket"
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    folder = inside if len(os.fsencode(inside)) <= LONGEST_SOCKET_FOLDER else Path("/tmp", f"patchcord-{digest}")  # noqa: S108 (only the server's own account can have made it)
    if not any(folder.glob(".s.PGSQL.*")):
        raise PostgresFailed(f"Patchcord runs on {data_dir}, but its database does not answer. Try again in a moment.")
    password = json.loads((data_dir / "postgres-roles.json").read_text())[name]
    return f"postgresql://{role}:{quote(password)}@/{DATABASE}?host={quote(str(folder), safe='')}"


def _role_statements(owner_password: str, app_password: str) -> list[str]:
    """What must be true of roles and extensions, repeatable, one line each: single-user mode reads lines."""
    return [
        _create_role_if_missing(OWNER_ROLE),
        _create_role_if_missing(APP_ROLE),
        _create_role_if_missing(SYSTEM_ROLE),
        f"ALTER ROLE {OWNER_ROLE} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE BYPASSRLS PASSWORD '{owner_password}'",
        f"ALTER ROLE {APP_ROLE} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD '{app_password}'",
        f"ALTER ROLE {SYSTEM_ROLE} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS",
        f"GRANT {SYSTEM_ROLE} TO {OWNER_ROLE}",
        f"ALTER DATABASE {DATABASE} OWNER TO {OWNER_ROLE}",
        f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC",
        f"GRANT CONNECT, TEMPORARY ON DATABASE {DATABASE} TO {APP_ROLE}",
        f"GRANT USAGE ON SCHEMA public TO {APP_ROLE}",
        *(_create_extension_if_available(name) for name in EXTENSIONS),
    ]


def _create_role_if_missing(name: str) -> str:
    return (
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') "
        f"THEN CREATE ROLE {name}; END IF; END $$"
    )


def _create_extension_if_available(name: str) -> str:
    return (
        f"DO $$ BEGIN IF EXISTS (SELECT FROM pg_available_extensions WHERE name = '{name}') "
        f"THEN CREATE EXTENSION IF NOT EXISTS {name}; END IF; END $$"
    )
