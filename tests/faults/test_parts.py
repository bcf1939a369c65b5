"""The harness's own tools: the relay, the trap at the commit, the search for secrets, the drawing of plans."""

from __future__ import annotations

import asyncio
import os
import random
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.faults.clock import build_shim
from tests.faults.collect import leaks_of_database, leaks_of_files
from tests.faults.commit_trap import CommitTrap, Moment
from tests.faults.database_server import SOCKET_NAME, DatabaseServer
from tests.faults.plan import Shape, draw
from tests.faults.relay import Relay, Switchboard
from tests.faults.system import free_port


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """A server that says everything back."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def said_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> bytes | None:
    writer.write(b"hello")
    try:
        return await asyncio.wait_for(reader.read(100), seconds)
    except TimeoutError:
        return None


async def is_broken(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(100), 5) == b""
    except ConnectionError:
        return True


async def test_a_relay_passes_holds_and_breaks(echo: int) -> None:
    relay = Relay(free_port(), echo)
    await relay.start()
    assert isinstance(relay.listen, int)
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.listen)
    assert await said_back(reader, writer, 5) == b"hello"
    await relay.switch("hold")
    assert await said_back(reader, writer, 0.2) is None
    await relay.switch("pass")
    assert await asyncio.wait_for(reader.read(100), 5) == b"hello"
    await relay.cut(reset=True)
    assert await is_broken(reader)
    writer.close()
    await relay.switch("refuse")
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.listen)
    assert await is_broken(reader)
    writer.close()
    await relay.stop()


@pytest.mark.parametrize(("moment", "rows"), [("before", 2), ("after", 3)])
def test_the_trap_strikes_exactly_at_the_commit(
    postgres: EmbeddedPostgres, tmp_path: Path, moment: Moment, rows: int
) -> None:
    """The third call of a function of that name: prepared by then, so that only the statement's name travels."""
    server = DatabaseServer.__new__(DatabaseServer)
    server.postgres = postgres
    trap, board, struck = CommitTrap(), Switchboard(), []
    folder = tmp_path / "s"
    folder.mkdir()
    board.add(Relay(folder / SOCKET_NAME, server.socket_file, ear=trap.ear))
    with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
        admin.execute("CREATE TEMP TABLE unused ()")
        admin.execute("CREATE TABLE trap_row (n integer)")
        try:
            admin.execute(
                "CREATE FUNCTION trap_commit_turn(n integer) RETURNS integer LANGUAGE sql AS"
                " 'INSERT INTO trap_row VALUES (n) RETURNING n'"
            )
            url = postgres.admin_url.split("?", maxsplit=1)[0] + f"?host={folder}"
            with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
                for n in (1, 2):
                    connection.execute("SELECT trap_commit_turn(%s)", (n,))
                trap.arm(moment, lambda: struck.append(True))
                with pytest.raises(psycopg.OperationalError):
                    connection.execute("SELECT trap_commit_turn(%s)", (3,))
            assert struck == [True]
            assert admin.execute("SELECT count(*) FROM trap_row").fetchone() == (rows,)
        finally:
            admin.execute("DROP FUNCTION IF EXISTS trap_commit_turn")
            admin.execute("DROP TABLE trap_row")
            board.close()


def test_a_secret_is_found_in_files_and_tables(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    canaries = {"model key": "sk-canary-4711"}
    (tmp_path / "a.log").write_text("fine")
    (tmp_path / "b.log").write_text("Authorization: Bearer sk-canary-4711")
    assert leaks_of_files(tmp_path.glob("*.log"), canaries) == ["model key in b.log"]
    with psycopg.connect(postgres.admin_url) as connection:
        assert leaks_of_database(connection, canaries) == []
        connection.execute("CREATE TABLE leaky (a jsonb, b bytea)")
        connection.execute("INSERT INTO leaky VALUES ('{}', %s)", (b"key=sk-canary-4711",))
        assert leaks_of_database(connection, canaries) == ["model key in table leaky"]
        connection.rollback()


def test_the_same_seed_draws_the_same_conversations() -> None:
    def drawn(seed: int) -> list[Any]:
        return draw(Shape(conversations=50), random.Random(seed))

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_the_clock_of_a_process_is_shifted_and_its_monotonic_clock_is_not(tmp_path: Path) -> None:
    shim = build_shim(tmp_path)
    if shim is None:
        pytest.skip("no C compiler")
    code = "import time, datetime as d; print(time.time(), d.datetime.now(d.UTC).timestamp(), time.monotonic())"
    environment = {**os.environ, "LD_PRELOAD": str(shim), "SHIFT_SECONDS": "-3600"}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    wall, calendar, monotonic = map(float, said.stdout.split())
    assert abs(time.time() - 3600 - wall) < 30
    assert abs(wall - calendar) < 5
    assert abs(time.monotonic() - monotonic) < 30


def test_the_wire_is_cut_into_messages_wherever_it_is_torn() -> None:
    from tests.faults.commit_trap import Wire

    greeting = struct.pack("!II", 8, 196608)
    body = b"s1\0SELECT commit_turn()\0"
    stream = greeting + b"P" + struct.pack("!I", len(body) + 4) + body
    wire = Wire(from_client=True)
    found = [message for n in range(len(stream)) for message in wire.feed(stream[n : n + 1])]
    assert found == [(b"P", body)]
