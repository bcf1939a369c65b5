"""The audit log grows, and shows where somebody changed it."""

from datetime import UTC, datetime

import psycopg
import pytest

from graph_runtime.services.principal import Principal
from graph_runtime.storage import audit
from graph_runtime.storage.database import Database

NOW = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
async def log(database: Database, owner: Principal, other_workspace: Principal) -> Principal:
    for number in range(5):
        for who in (owner, other_workspace):
            async with database.workspace(who.workspace_id) as connection:
                await audit.append(connection, who.actor, "flow.published", {"number": number, "flow_id": "ї"}, NOW)
    return owner


async def tampered(database: Database, who: Principal) -> int | None:
    async with database.workspace(who.workspace_id) as connection:
        return await audit.first_tampered(connection)


async def test_an_untouched_chain_holds(database: Database, log: Principal, other_workspace: Principal) -> None:
    assert await tampered(database, log) is None
    assert await tampered(database, other_workspace) is None


@pytest.mark.parametrize("change", ["UPDATE audit SET actor = 'x' WHERE seq = 3", "DELETE FROM audit WHERE seq = 3"])
async def test_the_owner_of_the_tables_cannot_change_a_line_by_accident(
    log: Principal, admin: psycopg.Connection[object], change: str
) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation):
        admin.execute(change.encode())


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE audit SET ids = '{\"number\": 99}' WHERE seq = 3", 3),
        ("UPDATE audit SET at = at + interval '1 microsecond' WHERE seq = 2", 2),
        ("UPDATE audit SET actor = 'member:other' WHERE seq = 5", 5),
        ("DELETE FROM audit WHERE seq = 4", 4),
        ("DELETE FROM audit WHERE seq = 1", 1),
    ],
)
async def test_a_change_with_the_trigger_off_is_located(
    database: Database, log: Principal, admin: psycopg.Connection[object], change: str, found: int
) -> None:
    admin.execute("ALTER TABLE audit DISABLE TRIGGER audit_only_grows")
    try:
        admin.execute(change.encode())
    finally:
        admin.execute("ALTER TABLE audit ENABLE TRIGGER audit_only_grows")
    assert await tampered(database, log) == found


async def test_the_program_has_no_right_to_change_or_delete(database: Database, log: Principal) -> None:
    for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with database.workspace(log.workspace_id) as connection:
                await connection.execute(statement.encode())


async def test_a_workspace_may_go_with_its_log(log: Principal, admin: psycopg.Connection[object]) -> None:
    admin.execute("DELETE FROM workspace WHERE id = %s", (log.workspace_id,))
    count = admin.execute("SELECT count(*) FROM audit WHERE workspace_id = %s", (log.workspace_id,)).fetchone()
    assert count == (0,)
