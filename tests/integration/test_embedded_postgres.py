"""The launcher of PostgreSQL: private, crash-safe, and clear about every refusal."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import psutil
import psycopg
import pytest

from graph_runtime.storage.data_folder import DataFolderInUse, DataFolderTooOld, DiskFull
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres, PostgresFailed, shared_buffers_mb

REPOSITORY = Path(__file__).resolve().parents[2]

ANOTHER_PROCESS = """
import sys, time
from pathlib import Path
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server._server.pid, server._watch.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("shared") / "data") as running:
        yield running


def ask(url: str, question: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(question.encode()).fetchone()
        return row[0] if row else None


def start_elsewhere(data: Path) -> tuple["subprocess.Popen[str]", list[int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", ANOTHER_PROCESS, str(data)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert process.stdout
    return process, [int(number) for number in process.stdout.readline().split()]


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()
    assert process.stdout
    process.stdout.close()


def test_the_program_gets_a_role_that_row_level_security_binds(server: EmbeddedPostgres) -> None:
    rights = (
        "select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb from pg_roles where rolname = current_user"
    )
    assert ask(server.app_url, "select current_user") == "patchcord_app"
    assert ask(server.app_url, rights) is False
    assert ask(server.app_url, "select has_schema_privilege('public', 'create')") is False


def test_migrations_get_the_owner_who_is_no_superuser(server: EmbeddedPostgres) -> None:
    assert ask(server.admin_url, "select rolsuper from pg_roles where rolname = current_user") is False
    assert ask(server.admin_url, "select has_schema_privilege('public', 'create')") is True


def test_migrations_may_give_a_function_to_the_system_role(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.admin_url) as connection:
        connection.execute(
            "create function looked_up() returns name security definer language sql as 'select current_user'"
        )
        connection.execute("grant create on schema public to patchcord_system")
        connection.execute("alter function looked_up() owner to patchcord_system")
        connection.execute("revoke create on schema public from patchcord_system")
    assert ask(server.app_url, "select looked_up()") == "patchcord_system"
    folder = server.app_url.split("host=")[1]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"postgresql://patchcord_system@/patchcord?host={folder}")


@pytest.mark.parametrize("extension", ["vector", "pg_trgm", "unaccent"])
def test_extensions_are_ready(server: EmbeddedPostgres, extension: str) -> None:
    assert ask(server.app_url, f"select count(*) from pg_extension where extname = '{extension}'") == 1


def test_cyrillic_is_folded_and_found(server: EmbeddedPostgres) -> None:
    assert ask(server.app_url, "select lower('ПРИВІТ ЁЖ')") == "привіт ёж"
    assert (
        ask(server.app_url, "select to_tsvector('russian', 'Большие книги') @@ to_tsquery('russian', 'книга')") is True
    )


def test_what_is_committed_is_on_the_disk(server: EmbeddedPostgres) -> None:
    assert ask(server.app_url, "select current_setting('fsync')") == "on"
    assert ask(server.app_url, "select current_setting('synchronous_commit')") == "on"


def test_nothing_listens_on_the_network(server: EmbeddedPostgres) -> None:
    assert server._server
    assert [c for c in psutil.Process(server._server.pid).net_connections("inet") if c.status == "LISTEN"] == []


def test_other_accounts_reach_neither_files_nor_socket(server: EmbeddedPostgres) -> None:
    data = server.data_dir
    for folder in (data, data / "postgres", data / "postgres" / "cluster"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    socket_folder = Path(unquote(server.app_url.split("host=")[1]))
    assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "postgres-roles.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((data / "postgres.log").stat().st_mode) == 0o600


@pytest.mark.parametrize("role", ["patchcord_app", "patchcord_owner", "postgres"])
def test_a_wrong_password_is_refused(server: EmbeddedPostgres, role: str) -> None:
    folder = server.app_url.split("host=")[1]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"postgresql://{role}:guess@/patchcord?host={folder}")


def test_data_and_addresses_survive_a_restart(data: Path) -> None:
    with EmbeddedPostgres(data) as first:
        addresses = (first.app_url, first.admin_url)
        with psycopg.connect(first.admin_url) as connection:
            connection.execute("create table kept as select 7 as number")
    with EmbeddedPostgres(data) as second:
        assert (second.app_url, second.admin_url) == addresses
        assert ask(second.admin_url, "select number from kept") == 7


def test_the_server_ends_when_its_program_is_killed(data: Path) -> None:
    process, started = start_elsewhere(data)
    family = [psutil.Process(number) for number in started]
    kill(process)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []


def test_an_orphan_is_stopped_before_the_next_start(data: Path) -> None:
    process, (server, sentinel) = start_elsewhere(data)
    orphan = psutil.Process(server)
    os.kill(sentinel, signal.SIGKILL)
    kill(process)
    assert orphan.is_running()
    with EmbeddedPostgres(data) as running:
        assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
        assert ask(running.app_url, "select 1") == 1


def test_a_killed_server_recovers_what_was_committed(data: Path) -> None:
    with EmbeddedPostgres(data) as running:
        with psycopg.connect(running.admin_url) as connection:
            connection.execute("create table kept as select generate_series(1, 20000) as number")
        assert running._server
        running._server.kill()
        running._server.wait()
        assert not running.is_running()
        began = time.monotonic()
        running.restart()
        assert time.monotonic() - began < 10
        assert ask(running.admin_url, "select count(*) from kept") == 20000


def test_a_pid_file_that_names_somebody_else_is_no_obstacle(data: Path) -> None:
    with EmbeddedPostgres(data):
        pass
    (data / "postgres" / "cluster" / "postmaster.pid").write_text(
        f"{os.getppid()}\n/nowhere\n0\n5432\n\n\n  1  2\nready\n"
    )
    with EmbeddedPostgres(data) as running:
        assert ask(running.app_url, "select 1") == 1


def test_a_creation_that_was_cut_short_is_begun_again(data: Path) -> None:
    unfinished = data / "postgres" / "cluster.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(data) as running:
        assert ask(running.app_url, "select 1") == 1


def test_a_second_program_on_the_folder_is_refused(server: EmbeddedPostgres) -> None:
    server.claim.announce("http://127.0.0.1:1234")
    with pytest.raises(DataFolderInUse, match=rf"process {os.getpid()} at http://127.0.0.1:1234"):
        EmbeddedPostgres(server.data_dir).start()
    assert ask(server.app_url, "select 1") == 1


def test_data_of_another_major_version_is_refused_and_untouched(data: Path) -> None:
    with EmbeddedPostgres(data):
        pass
    version = data / "postgres" / "cluster" / "PG_VERSION"
    version.write_text("16\n")
    with pytest.raises(DataFolderTooOld, match=r"PostgreSQL 16.*PostgreSQL 18"):
        EmbeddedPostgres(data).start()
    version.write_text("18\n")
    with EmbeddedPostgres(data) as running:
        assert ask(running.app_url, "select 1") == 1


def test_too_little_room_is_refused_before_anything_is_written(data: Path) -> None:
    with pytest.raises(DiskFull, match="Free some space"):
        EmbeddedPostgres(data, min_free_bytes=2**60).start()
    assert list(data.iterdir()) == []


def test_a_disk_that_fills_up_while_starting_is_named(tmp_path: Path) -> None:
    """A small file system where root may mount one; elsewhere PostgreSQL's own words for it."""
    small = tmp_path / "small"
    small.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(small)], check=False, capture_output=True
    )
    server = EmbeddedPostgres(small / "data", min_free_bytes=0)
    if mount.returncode:
        failure = server._failure("start", "FATAL:  could not write: No space left on device")
        assert isinstance(failure, DiskFull)
        return
    try:
        with pytest.raises(DiskFull, match="is full"):
            server.start()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_failure_quotes_postgresql_and_names_the_log(data: Path) -> None:
    with EmbeddedPostgres(data):
        pass
    (data / "postgres" / "cluster" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(PostgresFailed, match=r"no_such_setting[\s\S]*postgres\.log"):
        EmbeddedPostgres(data).start()


def test_a_folder_with_a_long_name_works(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / ("long" * 25)) as running:
        assert ask(running.app_url, "select 1") == 1
        sockets = Path(unquote(running.app_url.split("host=")[1]))
        assert len(str(sockets)) < 90
    assert not sockets.exists()


def test_a_folder_with_an_awkward_name_works(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "дані, 'мої' & %20") as running:
        assert ask(running.app_url, "select 1") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another account")
def test_as_root_it_drops_to_another_account_and_opens_no_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres(closed / "data") as running:
        assert running._server
        assert psutil.Process(running._server.pid).uids().real != 0
        assert ask(running.app_url, "select 1") == 1
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert closed.stat().st_uid == 0


@pytest.mark.parametrize(
    ("database_mb", "memory_mb", "buffers_mb"),
    [(8, 24_000, 32), (400, 24_000, 200), (4_000, 24_000, 1024), (4_000, 2_000, 250), (4_000, 128, 32)],
)
def test_a_large_database_is_kept_in_memory_as_far_as_the_machine_has_it(
    database_mb: int, memory_mb: int, buffers_mb: int
) -> None:
    assert shared_buffers_mb(database_mb * 1024**2, memory_mb * 1024**2) == buffers_mb
