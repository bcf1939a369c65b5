"""Transactions bound to a workspace, notifications, and connections that die."""

import asyncio

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from psycopg_pool import PoolTimeout

from graph_runtime.contract.errors import NotFound
from graph_runtime.services.principal import Principal
from graph_runtime.storage.database import Database, DatabaseRefused
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres


async def test_a_transaction_sees_its_own_workspace_only(
    database: Database, owner: Principal, other_workspace: Principal
) -> None:
    async with database.workspace(owner.workspace_id) as connection:
        rows = await (await connection.execute("SELECT id, name FROM workspace")).fetchall()
    assert rows == [{"id": owner.workspace_id, "name": "Acme"}]


async def test_the_workspace_does_not_stay_on_a_pooled_connection(database: Database, owner: Principal) -> None:
    for _ in range(6):
        async with database.workspace(owner.workspace_id) as connection:
            await connection.execute("SELECT")
        async with database.direct() as connection:
            assert await (await connection.execute("SELECT FROM member")).fetchall() == []


async def test_an_error_rolls_everything_back(database: Database, owner: Principal) -> None:
    async def fail_in_the_middle() -> None:
        async with database.workspace(owner.workspace_id) as connection:
            await connection.execute("UPDATE workspace SET name = 'changed'")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_in_the_middle()
    async with database.workspace(owner.workspace_id) as connection:
        assert await (await connection.execute("SELECT name FROM workspace")).fetchone() == {"name": "Acme"}


async def test_an_id_that_is_none_is_not_found(database: Database, owner: Principal) -> None:
    with pytest.raises(NotFound):
        async with database.workspace(owner.workspace_id) as connection:
            await connection.execute("SELECT FROM agent WHERE id = %s", ("not-a-uuid",))


async def test_dead_connections_are_replaced_without_an_error(
    database: Database, owner: Principal, postgres: EmbeddedPostgres
) -> None:
    async with database.workspace(owner.workspace_id) as first, database.workspace(owner.workspace_id) as second:
        pids = [first.info.backend_pid, second.info.backend_pid]
    with psycopg.connect(postgres.app_url) as other:
        for pid in pids:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    async with database.workspace(owner.workspace_id) as connection:
        assert connection.info.backend_pid not in pids


async def test_whoever_is_called_off_leaves_a_connection_in_which_nothing_goes_on(
    postgres: EmbeddedPostgres, owner: Principal, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(postgres.app_url, max_size=1)
    await database.open()

    async def work() -> None:
        async with database.workspace(owner.workspace_id) as connection:
            await connection.execute("UPDATE workspace SET name = 'changed'")
            await connection.execute("SELECT pg_sleep(0.002)")
            await connection.execute("UPDATE workspace SET name = 'Acme'")

    try:
        for step in range(60):  # at any moment: beginning, working, committing
            task = asyncio.create_task(work())
            await asyncio.sleep(step / 10_000)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            async with database.direct() as connection:
                assert connection.info.transaction_status is TransactionStatus.IDLE
        async with database.workspace(owner.workspace_id) as connection:
            assert await (await connection.execute("SELECT name FROM workspace")).fetchone() == {"name": "Acme"}
    finally:
        await database.close()
    assert "returned connection" not in caplog.text


async def test_who_waited_in_vain_for_a_connection_is_told_after_one_wait(
    postgres: EmbeddedPostgres, owner: Principal
) -> None:
    database = Database(postgres.app_url, max_size=1)
    await database.open()
    try:
        database._pool.timeout = 0.1
        async with database.workspace(owner.workspace_id):
            with pytest.raises(PoolTimeout):
                async with database.workspace(owner.workspace_id):
                    raise AssertionError("there is one connection only")
            assert database._pool.get_stats()["requests_queued"] == 1
    finally:
        await database.close()


async def test_direct_connections_that_died_are_replaced_without_an_error(
    database: Database, postgres: EmbeddedPostgres
) -> None:
    async with database.direct() as first, database.direct() as second:
        pids = [first.info.backend_pid, second.info.backend_pid]
    with psycopg.connect(postgres.app_url) as other:
        for pid in pids:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    async with database.direct() as connection, database.direct() as another:
        for living in (connection, another):
            assert await (await living.execute("SELECT 1 AS one")).fetchone() == {"one": 1}
            assert living.info.backend_pid not in pids


async def test_the_owner_of_the_tables_is_refused_as_the_program(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(DatabaseRefused, match="patchcord_owner"):
        await Database(postgres.admin_url, min_size=1, max_size=1).open()


async def test_notifications_arrive_and_survive_a_lost_connection(
    database: Database, postgres: EmbeddedPostgres, admin: "psycopg.Connection[object]"
) -> None:
    heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def listen() -> None:
        async for note in database.listen("wake"):
            await heard.put(note)

    listening = asyncio.create_task(listen())
    assert await asyncio.wait_for(heard.get(), 5) == ("wake", "")
    admin.execute("SELECT pg_notify('wake', 'one')")
    assert await asyncio.wait_for(heard.get(), 5) == ("wake", "one")
    with psycopg.connect(postgres.app_url) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    assert await asyncio.wait_for(heard.get(), 5) == ("wake", "")
    admin.execute("SELECT pg_notify('wake', 'two')")
    assert await asyncio.wait_for(heard.get(), 5) == ("wake", "two")
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening


async def test_text_that_postgresql_cannot_keep_is_mended(database: Database, owner: Principal) -> None:
    strange = {"text": "a\0b \ud83d \\u0000", "list": ["\0"]}
    async with database.workspace(owner.workspace_id) as connection:
        row = await (
            await connection.execute("SELECT %s::jsonb AS value", (psycopg.types.json.Jsonb(strange),))
        ).fetchone()
    assert row == {"value": {"text": "ab ? \\u0000", "list": [""]}}


async def test_text_parameters_are_mended_too(database: Database, owner: Principal) -> None:
    async with database.workspace(owner.workspace_id) as connection:
        cursor = await connection.execute("SELECT %s AS one, %s::text[] AS many", ("a\0b\ud83d", ["\0", "ї"]))
        assert await cursor.fetchone() == {"one": "ab?", "many": ["", "ї"]}


async def test_an_id_with_a_nul_is_not_found(database: Database, owner: Principal) -> None:
    with pytest.raises(NotFound):
        async with database.workspace(owner.workspace_id) as connection:
            await connection.execute("SELECT FROM agent WHERE id = %s", ("\0",))


@pytest.mark.parametrize("ticks", range(10))
@pytest.mark.parametrize("way", ["direct", "system"])
async def test_who_is_cancelled_while_a_connection_comes_is_cancelled(
    postgres: EmbeddedPostgres, way: str, ticks: int
) -> None:
    database = Database(postgres.app_url, min_size=1, max_size=1)
    await database.open()
    try:
        borrow = getattr(database, way)
        went_on = asyncio.Event()

        async def work() -> None:
            async with borrow() as connection:
                await connection.execute("SELECT 1")
            went_on.set()
            await asyncio.Event().wait()

        async with database.direct():
            waiting = asyncio.create_task(work())
            while not database._pool._waiting:  # noqa: ASYNC110  # nothing tells it
                await asyncio.sleep(0)
            for _ in range(3):
                await asyncio.sleep(0)
        for _ in range(ticks):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting}, timeout=5)
        assert waiting.cancelled(), "it goes on as if nobody had asked it to end"
        async with asyncio.timeout(5), borrow() as connection:
            await connection.execute("SELECT 1")
    finally:
        await database.close()
