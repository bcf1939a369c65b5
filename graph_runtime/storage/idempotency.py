"""Answers given to repeatable API requests, kept for 48 hours."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Row


@dataclass(frozen=True, slots=True)
class Claim:
    """One request that may be repeated. `owner`: the number of the process that carries it out."""

    workspace_id: str
    api_key_id: str
    key: str
    request_hash: bytes
    owner: int


async def claim(connection: Connection, wanted: Claim) -> datetime | None:
    """Take the key for this request: since when it is taken, None when somebody else has it.

    Free again at once is what a dead process left, and what the asking process itself left unanswered: it asks only
    for keys that it does not work on. What a living process does not answer is free after 2 minutes.
    """
    await connection.execute(
        "DELETE FROM idempotency WHERE api_key_id = %s AND created_at < now() - interval '48 hours'",
        (wanted.api_key_id,),
    )
    cursor = await connection.execute(_CLAIM, asdict(wanted))
    row = await cursor.fetchone()
    return None if row is None else row["created_at"]


# A living process holds its number locked (`Instance`). Until there is an answer, its place holds that number.
_CLAIM = """
    INSERT INTO idempotency AS i (api_key_id, key, workspace_id, request_hash, response)
        VALUES (%(api_key_id)s, %(key)s, %(workspace_id)s, %(request_hash)s,
                jsonb_build_object('owner', %(owner)s::bigint))
        ON CONFLICT (api_key_id, key) DO UPDATE SET created_at = now(), response = EXCLUDED.response
        WHERE i.status IS NULL AND i.request_hash = EXCLUDED.request_hash
          AND (i.created_at < now() - interval '2 minutes'
               OR (i.response ->> 'owner')::bigint = %(owner)s
               OR pg_try_advisory_xact_lock((i.response ->> 'owner')::bigint))
        RETURNING created_at
"""


async def find(connection: Connection, api_key_id: str, key: str) -> Row | None:
    """The claim: `request_hash`, and `status` and `response` once it is answered."""
    cursor = await connection.execute(
        "SELECT request_hash, status, response FROM idempotency WHERE api_key_id = %s AND key = %s", (api_key_id, key)
    )
    return await cursor.fetchone()


async def finish(connection: Connection, claim: Claim, status: int, response: Any) -> None:
    """Keep the answer, also where the claim was taken for a dead one's; `response` is what its body said, as JSON values."""
    await connection.execute(_FINISH, asdict(claim) | {"status": status, "response": Jsonb(response)})


_FINISH = """
    INSERT INTO idempotency AS i (api_key_id, key, workspace_id, request_hash, status, response)
        VALUES (%(api_key_id)s, %(key)s, %(workspace_id)s, %(request_hash)s, %(status)s, %(response)s)
        ON CONFLICT (api_key_id, key) DO UPDATE SET status = EXCLUDED.status, response = EXCLUDED.response
        WHERE i.status IS NULL AND i.request_hash = EXCLUDED.request_hash
"""


async def drop(connection: Connection, claim: Claim, since: datetime) -> None:
    """Give an unanswered claim up, unless somebody took it over meanwhile."""
    await connection.execute(
        "DELETE FROM idempotency WHERE api_key_id = %s AND key = %s AND status IS NULL AND created_at = %s",
        (claim.api_key_id, claim.key, since),
    )
