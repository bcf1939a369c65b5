"""Backup and restore through the command line, on real servers: everything comes back, nothing is done twice."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from graph_runtime.settings import secret_key_of
from graph_runtime.storage import migrate
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.conversation_world import process, publish
from tests.integration.test_turns import ECHO

pytestmark = pytest.mark.timeout(180, func_only=True)
REPOSITORY = Path(__file__).resolve().parents[2]
EVENTS = "SELECT state FROM event_delivery ORDER BY type"
COUNTS = "SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM turn), (SELECT count(*) FROM event)"


def patchcord(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a person runs it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PATCHCORD_", "DATABASE", "REDIS"))}
    return subprocess.run(
        [sys.executable, "-P", "-m", "graph_runtime", *arguments],
        env={**kept, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def look(url: str, question: str) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(question).fetchall()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """The owner's address of a data folder's server."""
    with EmbeddedPostgres(folder) as server:
        yield server.admin_url


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation in the middle of its work: a conversation, and a delivery, a message and a timer unfinished."""
    import asyncio

    folder = tmp_path_factory.mktemp("source") / "data"
    with EmbeddedPostgres(folder) as server:
        migrate.upgrade(server.admin_url)
        secret_key_of(folder)
        access = publish(server.admin_url, ECHO)

        async def talk() -> str:
            async with process(server.app_url) as p:
                conversation = await p.begin(access)
                await p.say(access, conversation, "привет, 🌷")
                return conversation

        conversation = asyncio.run(talk())
        with psycopg.connect(server.admin_url, autocommit=True) as connection:
            values = {"w": access.workspace_id, "c": conversation, "h": access.channel_id}
            for state in ("pending", "sending", "sent"):
                connection.execute(
                    "INSERT INTO outbox (workspace_id, effect_key, conversation_id, channel_id, recipient, ordinal, parts, state)"
                    " VALUES (%(w)s, %(k)s, %(c)s, %(h)s, 'r', 1, '[]', %(k)s)",
                    values | {"k": state},
                )
            for state in ("pending", "sending", "sent"):
                connection.execute(
                    "INSERT INTO event_delivery (workspace_id, subscription_id, event_id, conversation_id, line, type, payload, state)"
                    " SELECT %(w)s, e, e, %(c)s, e, %(k)s, '{}', %(k)s FROM uuidv7() e",
                    values | {"k": state},
                )
            connection.execute(
                "INSERT INTO event_subscription (workspace_id, url, types) VALUES (%(w)s, 'https://example.com', '{turn.ended}')",
                values,
            )
            connection.execute(
                "INSERT INTO inbox (workspace_id, source_id, dedupe_key, conversation_id, kind)"
                " VALUES (%(w)s, %(h)s, 'k', %(c)s, 'message')",
                values,
            )
            connection.execute(
                "UPDATE conversation SET pending_since = now(), lease_owner = 7, lease_until = now() WHERE id = %(c)s",
                values,
            )
            connection.execute(
                "INSERT INTO timer (workspace_id, conversation_id, due_at, turn_seq) VALUES (%(w)s, %(c)s, '2030-01-02', 2)",
                values,
            )
    return folder


@pytest.fixture(scope="module")
def backup(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("backups") / "one.patchcord"
    done = patchcord("backup", str(file), "--data", str(source))
    assert done.returncode == 0, done.stderr
    assert "The secret key is not in it" in done.stdout
    return file


def test_a_backup_holds_no_secret_and_is_for_its_owner_only(source: Path, backup: Path) -> None:
    assert backup.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(backup) as archive:
        assert archive.namelist() == ["database.dump", "manifest.json"]
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["schema"] in migrate.revisions()
    assert (source / "secret-key").read_text().encode() not in backup.read_bytes()
    assert json.loads((source / "postgres-roles.json").read_text())["owner"].encode() not in backup.read_bytes()
    again = patchcord("backup", str(backup), "--data", str(source))
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert len([*backup.parent.iterdir()]) == 1, "nothing unfinished is left behind"


def test_everything_comes_back_and_what_was_unfinished_is_held(source: Path, backup: Path, tmp_path: Path) -> None:
    target = tmp_path / "restored"
    done = patchcord("restore", str(backup), "--data", str(target))
    assert done.returncode == 0, done.stderr
    assert "4 deliveries, 1 messages or triggers, 1 timers" in done.stdout
    assert "--release" in done.stdout
    assert "set PATCHCORD_SECRET_KEY to the key" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["restored"]
    with running(source) as before, running(target) as after:
        assert look(after, COUNTS) == look(before, COUNTS)
        assert look(after, "SELECT text FROM message ORDER BY seq") == look(
            before, "SELECT text FROM message ORDER BY seq"
        )
        assert look(after, "SELECT state FROM outbox ORDER BY effect_key") == [("held",), ("held",), ("sent",)]
        assert look(after, EVENTS) == [("held",), ("held",), ("sent",)]
        assert look(after, "SELECT count(*) FROM claim_events(1, 10, 10, '{}')") == [(0,)]
        assert look(after, "SELECT state FROM inbox WHERE dedupe_key = 'k'") == [("held",)]
        assert look(after, "SELECT due_at = 'infinity' FROM timer") == [(True,)]
        assert look(after, "SELECT * FROM pending_conversations(1, 10)") == []
        assert look(after, "SELECT * FROM fire_timers('2031-01-01', 10)") == []
        assert look(after, "SELECT value FROM figures('x') WHERE name = 'held_by_restore'") == [(6.0,)]
        # The references between tables, the walls and the triggers are there again.
        question = "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"
        assert look(after, question) == look(before, question)
        assert look(after, "SELECT count(*) FROM pg_trigger WHERE tgenabled = 'D' AND NOT tgisinternal") == [(0,)]
        owners = "SELECT proname, proowner::regrole::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1, 2"
        assert look(after, owners) == look(before, owners)


@pytest.mark.parametrize("decision", ["release", "discard"])
def test_a_person_decides_about_what_is_held(backup: Path, tmp_path: Path, decision: str) -> None:
    target = tmp_path / "restored"
    assert patchcord("restore", str(backup), "--data", str(target)).returncode == 0
    with running(target) as url:
        # As while `up` runs: the folder is in use, and the command uses that server.
        done = patchcord("restore", f"--{decision}", "--data", str(target))
        assert done.returncode == 0, done.stderr
        assert "4 deliveries, 1 messages or triggers, 1 timers" in done.stdout
        states = look(url, "SELECT state FROM outbox ORDER BY effect_key")
        events = look(url, EVENTS)
        timers = look(url, "SELECT due_at::date::text, payload::text FROM timer")
        inbox = look(url, "SELECT state FROM inbox WHERE dedupe_key = 'k'")
        guard = look(url, "SELECT state FROM restore_guard")
        waiting = look(url, "SELECT count(*) FROM pending_conversations(1, 10)")
    if decision == "release":
        assert (states, timers, inbox) == (
            [("pending",), ("pending",), ("sent",)],
            [("2030-01-02", "{}")],
            [("pending",)],
        )
        assert (guard, waiting) == ([("released",)], [(1,)])
        assert events == [("pending",), ("pending",), ("sent",)]
    else:
        assert (states, timers, inbox) == ([("failed",), ("failed",), ("sent",)], [], [("done",)])
        assert (guard, waiting) == ([("discarded",)], [(0,)])
        assert events == [("failed",), ("failed",), ("sent",)]


def test_with_the_secret_key_the_folder_is_complete(source: Path, tmp_path: Path) -> None:
    file, target = tmp_path / "b", tmp_path / "restored"
    done = patchcord("backup", str(file), "--with-secret-key", "--data", str(source))
    assert "can read every saved key" in done.stdout
    target.mkdir()
    done = patchcord("restore", str(file), "--data", str(target))
    assert done.returncode == 0, done.stderr
    assert "PATCHCORD_SECRET_KEY" not in done.stdout
    assert (target / "secret-key").read_text() == (source / "secret-key").read_text()
    assert (target / "secret-key").stat().st_mode & 0o777 == 0o600


def test_a_database_of_ones_own_must_be_empty(backup: Path, source: Path, tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "other") as server:
        first = patchcord("restore", str(backup), PATCHCORD_DATABASE_ADMIN_URL=server.admin_url)
        assert first.returncode == 0, first.stderr
        second = patchcord("restore", str(backup), PATCHCORD_DATABASE_ADMIN_URL=server.admin_url)
        assert second.returncode == 1
        assert "not empty" in second.stderr
        as_program = patchcord("backup", str(tmp_path / "b"), DATABASE_URL=server.app_url)
        assert as_program.returncode == 1
        assert "BYPASSRLS" in as_program.stderr
        assert not (tmp_path / "b").exists()


def changed(backup: Path, target: Path, **manifest: Any) -> Path:
    """A backup with another manifest."""
    with zipfile.ZipFile(backup) as old, zipfile.ZipFile(target, "w") as new:
        new.writestr("database.dump", old.read("database.dump"))
        new.writestr("manifest.json", json.dumps(json.loads(old.read("manifest.json")) | manifest))
    return target


def test_what_cannot_be_restored_is_refused_before_anything_is_touched(backup: Path, tmp_path: Path) -> None:
    whole = backup.read_bytes()
    cut, bent, other = tmp_path / "cut", tmp_path / "bent", tmp_path / "other"
    cut.write_bytes(whole[: len(whole) // 2])
    bent.write_bytes(whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
    other.write_text("my shopping list")
    occupied = tmp_path / "occupied"
    occupied.mkdir()
    (occupied / "thesis.doc").touch()
    newer = changed(backup, tmp_path / "newer", schema="9999_future")
    foreign = changed(backup, tmp_path / "foreign", format="patchcord-backup/2")
    target = tmp_path / "target"
    for file, folder, words in (
        (cut, target, "damaged"), (bent, target, "damaged"), (other, target, "damaged"),
        (tmp_path / "none", target, "There is no file"), (newer, target, "newer Patchcord (schema 9999_future)"),
        (foreign, target, "newer Patchcord"), (backup, occupied, "is not empty"),
    ):  # fmt: skip
        done = patchcord("restore", str(file), "--data", str(folder))
        assert (done.returncode, done.stdout) == (1, ""), (file, done.stdout)
        assert words in done.stderr, (file, done.stderr)
        assert "Traceback" not in done.stderr
        assert not target.exists()
    assert [path.name for path in occupied.iterdir()] == ["thesis.doc"]
    assert "Say where to" in patchcord("restore", str(backup)).stderr
    assert patchcord("restore").returncode == 2
    nothing = patchcord("backup", str(tmp_path / "b"), "--data", str(tmp_path / "nowhere"))
    assert "There is no Patchcord database" in nothing.stderr
    assert not (tmp_path / "nowhere").exists()
