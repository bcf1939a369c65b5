"""Gathers a run's history once the installation is quiet, and looks for secrets where none may be."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.faults.history import History, Rows
from tests.faults.journal import Journal, read
from tests.faults.system import System

_QUERIES = {
    "conversations": """
        SELECT c.id::text, c.channel_kind, c.status, c.waits, c.lease_owner, c.message_seq, c.turn_seq,
               c.pending_since IS NOT NULL AS is_pending, v.number AS version,
               (SELECT min(x.external_user_id) FROM contact_identity x WHERE x.contact_id = c.contact_id) AS external
        FROM conversation c JOIN version v ON v.id = c.version_id""",
    "inbox": """
        SELECT id::text, conversation_id::text, kind, state, attempts, seq, dedupe_key,
               extract(epoch FROM received_at)::float8 AS received_at,
               extract(epoch FROM (payload ->> 'due_at')::timestamptz)::float8 AS due_at,
               extract(epoch FROM done_at)::float8 AS done_at FROM inbox ORDER BY id""",
    "messages": """
        SELECT conversation_id::text, seq, role, text, turn_id::text, client_id,
               extract(epoch FROM created_at)::float8 AS created_at FROM message ORDER BY conversation_id, seq""",
    "turns": "SELECT conversation_id::text, seq, inbox_id::text, trigger, attempts, error FROM turn",
    "outbox": """
        SELECT o.id::text, o.conversation_id::text, o.ordinal, o.state, o.attempt, o.vendor_key, o.recipient,
               o.possibly_duplicate, c.connector
        FROM outbox o JOIN channel c ON c.id = o.channel_id""",
    "letters": "SELECT source, ref::text, reason FROM dead_letter",
    "timers": "SELECT id::text, conversation_id::text, extract(epoch FROM now() - due_at)::float8 AS late FROM timer",
    "model_events": """
        SELECT conversation_id::text, turn_id::text, data -> 'replayed' AS replayed FROM event
        WHERE kind = 'model_answered'""",
    "claims": "SELECT key, extract(epoch FROM created_at)::float8 AS created_at FROM idempotency WHERE status IS NULL",
}
_UNREST = """
    SELECT (SELECT count(*) FROM inbox WHERE state = 'pending')
         + (SELECT count(*) FROM conversation WHERE lease_owner IS NOT NULL)
         + (SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending'))
         + (SELECT count(*) FROM timer WHERE due_at < now())
         + (SELECT count(*) FROM idempotency WHERE status IS NULL)
"""


def until_quiet(system: System, seconds: float) -> float:
    """Seconds until no row waits for anything; at most `seconds`: what still waits is then in the history."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            with system.database.look() as connection:
                row = connection.execute(_UNREST).fetchone()
                if row is not None and row[0] == 0:
                    break
        except psycopg.OperationalError:
            pass
        time.sleep(0.25)
    return time.monotonic() - began


def collect(system: System, driver: Journal) -> History:
    """Everything, for the checker."""
    found: dict[str, Rows] = {}
    with system.database.look() as connection:
        for name, query in _QUERIES.items():
            cursor = connection.cursor(row_factory=dict_row)
            cursor.execute(query)
            found[name] = cursor.fetchall()
        leaks = leaks_of_database(connection, system.canaries)
    files = [*system.folder.glob("*.log"), *system.folder.glob("*.jsonl"), system.database.postgres.log_file]
    leaks += leaks_of_files(files, system.canaries)
    return History(
        driver=[*driver.entries], actions=[*system.actions.entries], vendor=read(system.vendor_journal),
        receiver=read(system.receiver_journal), leaks=leaks, **found,
    )  # fmt: skip


def leaks_of_files(files: Iterable[Path], canaries: Mapping[str, str]) -> list[str]:
    """Which secrets stand in which files."""
    found = []
    for path in files:
        if path.exists():
            content = path.read_bytes()
            found += [f"{name} in {path.name}" for name, secret in canaries.items() if secret.encode() in content]
    return found


def leaks_of_database(connection: psycopg.Connection[Any], canaries: Mapping[str, str]) -> list[str]:
    """Which secrets stand in which tables, as text or as bytes."""
    tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    found = []
    for (table,) in tables:
        for name, secret in canaries.items():
            statement = psycopg.sql.SQL(
                "SELECT EXISTS (SELECT FROM {} x WHERE strpos(x::text, %s) > 0 OR strpos(x::text, %s) > 0)"
            ).format(psycopg.sql.Identifier(table))
            row = connection.execute(statement, (secret, secret.encode().hex())).fetchone()
            if row is not None and row[0]:
                found.append(f"{name} in table {table}")
    return found
