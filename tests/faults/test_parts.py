"""The harness's own tools: the relay, the trap at the commit, the search for secrets, the drawing of plans."""

from __future__ import annotations

import asyncio
import json
import os
import random
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from graph_runtime.contract import signatures
from graph_runtime.contract.signatures import new_secret
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.fakes.webhook_receiver import receiving
from tests.faults.caller import pause
from tests.faults.clock import build_shim
from tests.faults.collect import leaks_of_database, leaks_of_files
from tests.faults.command import Run, latest
from tests.faults.commit_trap import CommitTrap, Moment
from tests.faults.connections import NO_ANSWER, Connections
from tests.faults.database_server import SOCKET_NAME, DatabaseServer
from tests.faults.facts import Violation
from tests.faults.journal import Journal, read
from tests.faults.kept import keep
from tests.faults.letter_box import LetterBox
from tests.faults.plan import Shape, draw
from tests.faults.receiver import Receiver
from tests.faults.relay import Relay, Switchboard
from tests.faults.result import Result, markdown
from tests.faults.scenarios import Scenario
from tests.faults.stage import Stage
from tests.faults.webhook_load import Load
from tests.ports import free_port


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


def test_the_letter_box_reads_whole_lines_once(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    path = tmp_path / "receiver.jsonl"
    box = LetterBox(path)
    box.listeners["anna"] = heard.append
    box.look()
    line = '{"kind": "arrived", "to": "anna", "accepted": true, "seq": 1}\n'
    path.write_text(line + line[:20])
    box.look()
    box.look()
    assert [e["seq"] for e in heard] == [1]
    path.write_text(line + line.replace("1}", "2}") + line.replace("true", "false"))
    box.look()
    assert [e["seq"] for e in heard] == [1, 2]


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    fake = Receiver(free_port(), Journal(tmp_path / "receiver.jsonl"))
    fake.start()
    yield fake
    fake.stop()
    fake.journal.close()


def posted(receiver: Receiver, secret: str, key: str) -> int:
    """The status; 0 for a broken connection."""
    body = json.dumps({"data": {"user_id": "anna", "seq": 1, "text": "hi", "conversation_id": "c"}}).encode()
    headers = signatures.signed_headers([secret], key, datetime.now(UTC), body)
    try:
        return httpx2.post(f"http://127.0.0.1:{receiver.port}/webhook", content=body, headers=headers).status_code
    except httpx2.TransportError:
        return 0


def test_a_receiver_believes_only_its_own_secret_and_fails_for_a_share(receiver: Receiver) -> None:
    secret = new_secret()
    place = f"http://127.0.0.1:{receiver.port}"
    httpx2.post(f"{place}/_lane", json={"lane": "webhook", "secret": secret})
    assert posted(receiver, secret, "k1") == 200
    assert posted(receiver, new_secret(), "k2") == 401
    httpx2.post(
        f"{place}/_fail",
        json={"lane": "webhook", "kind": "reset_after_accept", "share": 0.5, "seconds": 1, "times": 1},
    )
    statuses = [posted(receiver, secret, f"s{n}") for n in range(40)]
    assert 5 < statuses.count(0) < 35
    assert statuses.count(0) + statuses.count(200) == 40
    entries = read(receiver.journal.path)
    assert sum(e["kind"] == "arrived" and e["accepted"] for e in entries) == 41
    assert sum(e["kind"] == "not_signed" for e in entries) == 1
    assert "k2" not in {e.get("key") for e in entries}


async def test_the_load_generator_keeps_its_timetable() -> None:
    secret = new_secret()
    with receiving() as fake:
        lane = fake.lane("webhook")
        lane.fail("server_error", times=3)
        wanted = {
            "addresses": [f"http://127.0.0.1:{fake.port}"], "path": "/webhook", "secret": secret, "rate": 200,
            "seconds": 1, "contacts": 5, "prefix": "load",
        }  # fmt: skip
        load = Load(wanted)
        began = time.monotonic()
        await load.run()
        load.close()
        assert time.monotonic() - began >= 0.95
    report = load.report()
    assert report["statuses"] == {200: 197, 500: 3}
    assert report["latencies"] == sorted(report["latencies"])
    assert len({a.key for a in lane.journal}) == 200
    for arrived in lane.journal:
        signatures.verify([secret], arrived.headers, arrived.body, datetime.now(UTC))


def made(fault: str, **values: Any) -> dict[str, Any]:
    result = Result(fault, "title", 1, commit="c611a26", date="2026-11-26T10:00+00:00")
    for key, value in values.items():
        setattr(result, key, value)
    return result.as_json()


def test_the_table_prefers_full_results_and_shows_both_layouts(tmp_path: Path) -> None:
    for result in (
        made("F1", reduced=False, note="older and full"), made("F1", reduced=False, note="full"),
        made("F1", note="newer and reduced"), made("F1", layout="redis", note="with Redis"),
    ):  # fmt: skip
        keep(result, tmp_path)
    rows = {(r["id"], r["layout"]): r for r in latest(tmp_path)}
    assert rows["F1", "embedded"]["note"] == "full"
    assert rows["F1", "redis"]["note"] == "with Redis"
    keep(made("F1", reduced=False, seed=2, note="another seed"), tmp_path)
    assert [r["note"] for r in latest(tmp_path) if r["id"] == "F1"] == ["full", "another seed", "with Redis"]
    assert rows["F2", "redis"]["status"] == rows["F4", "embedded"]["status"] == "not run"
    assert "| embedded | 2026-11-26 c611a26 | 1 |" in markdown([rows["F1", "embedded"]])
    assert ("F5", "embedded") not in rows


def test_a_kept_result_is_small_and_says_what_was_left_out(tmp_path: Path) -> None:
    many = [Violation("I1", "lost", f"c{n}") for n in range(500)]
    short = {"sizes": {"conversations": 2000.0}, "promised": {"conversations": 10_000.0}}
    keep(made("F1", violations=many, **short), tmp_path)
    (path,) = tmp_path.iterdir()
    stored = json.loads(path.read_text("utf-8"))
    assert len(path.read_bytes()) < 5_000
    assert stored["status"] == "failed"
    assert "I1 broken 500×" in stored["measured"]
    assert "2000 (of 10000) conversations" in stored["measured"]


def test_a_run_that_is_resumed_plays_only_what_has_not_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[str] = []
    monkeypatch.setattr("tests.faults.command._commit", lambda: "c611a26")

    async def play(stage: Stage) -> None:
        played.append(stage.result.id)
        if len(played) == 1:
            raise RuntimeError("the first time it fails")

    def run(seed: int = 7, *, resume: bool = True, full: bool = False, results: str = "here") -> dict[str, Any]:
        again = Run(seed, tmp_path / results, full=full, redis=False, resume=resume, kept=tmp_path / "kept")
        return again.play(Scenario("F1", "title", play))

    assert run()["status"] == "failed"
    assert run()["status"] == "passed"
    assert run()["status"] == "passed"
    assert run(seed=8, results="another machine")["seed"] == 7
    assert len(played) == 2
    run(full=True)
    run(full=True)
    run(resume=False)
    assert len(played) == 4
    run(full=True, seed=8)
    assert len(played) == 5, "the promise is kept with two seeds"
    monkeypatch.setattr("tests.faults.command._commit", lambda: "")
    run(seed=9, resume=False)
    assert run()["seed"] == 7, "what was played from unknown code is not kept"


def test_clients_knock_less_often_the_longer_nobody_answers() -> None:
    waits = [pause(random.Random(1), tries) for tries in range(8)]
    assert waits == sorted(waits)
    assert waits[0] < 0.5
    assert waits[-1] <= 2.0


async def test_connections_are_used_again_and_opened_anew_when_they_broke() -> None:
    with receiving() as fake:
        address, lane = f"http://127.0.0.1:{fake.port}", fake.lane("webhook")
        connections = Connections(5.0)
        body = json.dumps({"user_id": "c1", "seq": 1, "text": "hello", "conversation_id": "c"}).encode()

        async def post(seconds: float = 5.0) -> int:
            async with asyncio.timeout(seconds):
                return (await connections.request("POST", address, "/webhook", {"webhook-id": "m1"}, body)).status

        assert [await post(), await post()] == [200, 200]
        lane.fail("reset_after_accept", times=1)
        with pytest.raises(NO_ANSWER):
            await post()
        assert await post() == 200
        connections.close()
    with pytest.raises(NO_ANSWER):
        await post()
