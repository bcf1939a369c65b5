"""Copies of vectors in other stores: what waits to be carried out there, and checking what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graph_runtime.storage.database import Connection, Database, Row
from graph_runtime.storage.knowledge import DOCUMENTS_CHANNEL
from graph_runtime.storage.passages import Scope, as_vector

MOST_WAITING: Final = 500
"""A search looks through so many passages that are not in a copy yet; with more, PostgreSQL searches by itself."""

_ABOUT: Final = """
    SELECT c.id, c.workspace_id, c.knowledge_base_id, c.credential_id, c.place, c.state, c.dims, c.total, c.error, c.attempts,
        EXISTS (SELECT FROM work_pause WHERE line = 'copies') AS is_stopped
    FROM knowledge_copy c WHERE c.id = %s AND c.claim = %s FOR UPDATE
"""
_CHANGES: Final = """
    SELECT q.passage_id, q.number, p.embedding::text AS vector, p.embedding_dims AS dims, p.embedding_model AS model,
        coalesce(p.category_id::text, '') AS category, p.language, p.knowledge_base_id AS base,
        floor(extract(epoch FROM d.updated_at))::bigint AS changed_at
    FROM (SELECT passage_id, number FROM knowledge_copy_change WHERE copy_id = %s ORDER BY passage_id LIMIT %s) q
        LEFT JOIN knowledge_passage p ON p.id = q.passage_id AND p.embedding IS NOT NULL
        LEFT JOIN knowledge_document d ON d.id = p.document_id
    ORDER BY q.passage_id
"""
_COPIED: Final = """
    WITH over AS (DELETE FROM knowledge_copied WHERE minute < clock_timestamp() - interval '2 hours')
    INSERT INTO knowledge_copied (workspace_id, minute, changes)
    VALUES (current_setting('app.workspace_id')::uuid, date_trunc('minute', clock_timestamp()), %(changes)s)
    ON CONFLICT (workspace_id, minute) DO UPDATE SET changes = knowledge_copied.changes + excluded.changes
"""
_NEAR: Final = """
    SELECT p.id AS passage_id, 1 - (p.embedding <=> %(vector)s::vector) AS similarity,
        p.id = ANY (%(ids)s::uuid[]) AS is_of_store
    FROM knowledge_passage p
    WHERE p.id = ANY (%(ids)s::uuid[] || ARRAY(
            SELECT q.passage_id FROM knowledge_copy_change q WHERE q.copy_id = ANY (%(copies)s::uuid[]) LIMIT %(waiting)s))
      AND p.knowledge_base_id = ANY (%(bases)s::uuid[]) AND p.embedding_dims = %(dims)s AND p.embedding_model = %(model)s
      AND (%(categories)s::uuid[] IS NULL OR p.category_id = ANY (%(categories)s::uuid[]))
      AND (%(languages)s::text[] IS NULL OR p.language = ANY (%(languages)s::text[]))
      AND (%(since)s::timestamptz IS NULL OR EXISTS (
            SELECT FROM knowledge_document d WHERE d.id = p.document_id AND d.updated_at >= %(since)s))
    ORDER BY similarity DESC, p.id
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A copy this process works on until its lease ends. `claim` goes with every later write."""

    workspace_id: str
    copy_id: str
    claim: int


async def claim(database: Database, seconds: int) -> Claimed | None:
    """The next copy with something to do."""
    async with database.system() as connection:
        row = await (await connection.execute("SELECT * FROM claim_copy(%s)", (seconds,))).fetchone()
    return None if row is None else Claimed(str(row["workspace_id"]), str(row["copy_id"]), row["claim"])


async def held(connection: Connection, claimed: Claimed, seconds: int) -> Row | None:
    """The row, locked, with its lease renewed; None when it is somebody else's, or gone. `is_stopped`: somebody stopped
    this kind of work, and it should end here."""
    row = await (await connection.execute(_ABOUT, (claimed.copy_id, claimed.claim))).fetchone()
    if row is not None:
        await connection.execute(
            "UPDATE knowledge_copy SET lease_until = clock_timestamp() + make_interval(secs => %s) WHERE id = %s",
            (seconds, claimed.copy_id),
        )
    return row


async def changes(connection: Connection, copy_id: str, limit: int) -> list[Row]:
    """Passages to look at: `number`, and what the store should have of each; `vector` None: it should have nothing."""
    return await (await connection.execute(_CHANGES, (copy_id, limit))).fetchall()


async def note_dims(connection: Connection, copy_id: str, dims: int) -> None:
    """Vectors of this length may lie there from now on."""
    await connection.execute(
        "UPDATE knowledge_copy SET dims = array_append(dims, %s) WHERE id = %s AND %s <> ALL (dims)",
        (dims, copy_id, dims),
    )


async def carried_out(connection: Connection, copy_id: str, done: Sequence[Row]) -> None:
    """Forget these changes, unless the passage changed again meanwhile."""
    await connection.execute(
        "DELETE FROM knowledge_copy_change q USING unnest(%s::uuid[], %s::bigint[]) d (id, number)"
        " WHERE q.copy_id = %s AND q.passage_id = d.id AND q.number = d.number",
        ([row["passage_id"] for row in done], [row["number"] for row in done], copy_id),
    )
    await connection.execute(_COPIED, {"changes": len(done)})
    await connection.execute(
        "UPDATE knowledge_copy SET attempts = 0, error = '' WHERE id = %s AND (attempts > 0 OR error <> '')", (copy_id,)
    )


async def serve_if_full(connection: Connection, copy: Row) -> bool:
    """A copy without anything to do takes the place of the one that served; whether it did."""
    waits = "SELECT FROM knowledge_copy_change WHERE copy_id = %s LIMIT 1"
    if await (await connection.execute(waits, (copy["id"],))).fetchone() is not None:
        return False
    await leave(connection, copy["knowledge_base_id"], "serving")
    await connection.execute("UPDATE knowledge_copy SET state = 'serving' WHERE id = %s", (copy["id"],))
    return True


async def leave(connection: Connection, base_id: str, *states: str) -> int:
    """Copies of a base in these states are no longer used, and will be emptied; how many."""
    cursor = await connection.execute(
        "UPDATE knowledge_copy SET state = 'leaving', attempts = 0, error = '', next_attempt_at = clock_timestamp()"
        " WHERE knowledge_base_id = %s AND state = ANY (%s) RETURNING id",
        (base_id, list(states)),
    )
    left = [row["id"] async for row in cursor]
    await connection.execute("DELETE FROM knowledge_copy_change WHERE copy_id = ANY (%s::uuid[])", (left,))
    return len(left)


async def drop(connection: Connection, copy_id: str) -> None:
    """It is empty, or its store cannot be reached any more."""
    await connection.execute("DELETE FROM knowledge_copy WHERE id = %s", (copy_id,))


async def let_go(connection: Connection, claimed: Claimed) -> None:
    """Others come first; what is left is taken up again."""
    await connection.execute(
        "UPDATE knowledge_copy SET lease_until = NULL, next_attempt_at = clock_timestamp() WHERE id = %s AND claim = %s",
        (claimed.copy_id, claimed.claim),
    )


async def postpone(connection: Connection, claimed: Claimed, error: str, seconds: float) -> None:
    """Something went wrong; look again in so many seconds."""
    await connection.execute(
        "UPDATE knowledge_copy SET lease_until = NULL, attempts = attempts + 1, error = %s,"
        " next_attempt_at = clock_timestamp() + make_interval(secs => %s) WHERE id = %s AND claim = %s",
        (error[:500], seconds, claimed.copy_id, claimed.claim),
    )


async def begin(connection: Connection, base_id: str, credential_id: str, place: str) -> str:
    """Begin to fill a store; the id of the copy."""
    cursor = await connection.execute("SELECT begin_copy(%s, %s, %s) AS id", (base_id, credential_id, place))
    row = await cursor.fetchone()
    assert row is not None
    return str(row["id"])


async def of_base(connection: Connection, base_id: str) -> list[Row]:
    """Its copies, the one that serves first: state, credential_id, connector, label, error, total, waiting, next_attempt_at."""
    cursor = await connection.execute(
        """
        SELECT c.id, c.state, c.credential_id, k.connector, k.label, c.error, c.total, c.place, c.next_attempt_at,
            (SELECT count(*) FROM knowledge_copy_change q WHERE q.copy_id = c.id)::integer AS waiting
        FROM knowledge_copy c JOIN credential k ON k.id = c.credential_id
        WHERE c.knowledge_base_id = %s
        ORDER BY array_position(ARRAY['serving', 'filling', 'leaving'], c.state), c.created_at DESC
        """,
        (base_id,),
    )
    return await cursor.fetchall()


async def look_again(connection: Connection, base_id: str) -> None:
    """A person mended something: do not wait for the next attempt."""
    await connection.execute(
        "UPDATE knowledge_copy SET next_attempt_at = clock_timestamp(), attempts = 0 WHERE knowledge_base_id = %s",
        (base_id,),
    )


async def try_again(connection: Connection, copy_id: str) -> bool:
    """As above, for one copy, even of a base that is gone; False when it is gone itself."""
    cursor = await connection.execute(
        "UPDATE knowledge_copy SET next_attempt_at = clock_timestamp(), attempts = 0, error = '' WHERE id = %s",
        (copy_id,),
    )
    await connection.execute("SELECT pg_notify(%s, '')", (DOCUMENTS_CHANNEL,))
    return cursor.rowcount == 1


async def bases_in(connection: Connection, credential_id: str) -> list[str]:
    """Names of the bases that have something in the store of a credential; "" for those that were deleted."""
    cursor = await connection.execute(
        "SELECT DISTINCT coalesce(b.name, '') AS name FROM knowledge_copy c"
        " LEFT JOIN knowledge_base b ON b.id = c.knowledge_base_id WHERE c.credential_id = %s ORDER BY 1",
        (credential_id,),
    )
    return [row["name"] async for row in cursor]


async def checked(
    connection: Connection, scope: Scope, about: tuple[str, Sequence[float]], ids: Sequence[str], copies: Sequence[str]
) -> list[Row]:
    """What a store proposed, with what it may not have yet, as it is here: passage_id, similarity, is_of_store.

    `about`: model and vector. Read under the walls of the workspace and within the scope: what is stale, foreign or made
    up is not among them.
    """
    model, vector = about
    values: Mapping[str, Any] = {
        "vector": as_vector(vector), "dims": len(vector), "model": model, "ids": list(ids), "copies": list(copies),
        "waiting": MOST_WAITING, "bases": list(scope.base_ids),
        "categories": None if scope.categories is None else list(scope.categories),
        "languages": None if scope.languages is None else list(scope.languages), "since": scope.since,
    }  # fmt: skip
    return await (await connection.execute(_NEAR, values)).fetchall()
