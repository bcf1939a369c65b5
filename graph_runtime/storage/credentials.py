"""Rows of credentials and of the data keys that seal their secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Row

_JSON = frozenset({"public", "hints", "secrets", "models"})
_LIST = (
    "SELECT c.*, coalesce((SELECT array_agg(DISTINCT a.name ORDER BY a.name) FROM agent_connection b"
    " JOIN agent a ON a.id = b.agent_id WHERE b.credential_id = c.id), '{}') AS used_by,"
    " (SELECT array_agg(a.name ORDER BY a.name) FROM agent a WHERE a.id = ANY (c.only_agents)) AS only_names,"
    " (SELECT o.state FROM oauth_access o WHERE o.credential_id = c.id) AS access_state,"
    " (SELECT o.problem FROM oauth_access o WHERE o.credential_id = c.id) AS access_problem,"
    " l.public_id AS hook_id, l.state AS hook_state, l.problem AS hook_problem, l.heard_at"
    " FROM credential c LEFT JOIN crm_link l ON l.credential_id = c.id"
)


async def list_credentials(connection: Connection) -> list[Row]:
    """With the names of the agents that use each; newest first."""
    return await (await connection.execute(_LIST + " ORDER BY c.created_at DESC")).fetchall()


async def get_credential(connection: Connection, credential_id: str, *, for_update: bool = False) -> Row | None:
    lock = " FOR UPDATE OF c" if for_update else ""
    return await (await connection.execute(_LIST + " WHERE c.id = %s" + lock, (credential_id,))).fetchone()


async def add_credential(connection: Connection, values: Mapping[str, Any]) -> None:
    await connection.execute(
        "INSERT INTO credential (id, workspace_id, connector, label, public, hints, secrets, data_key_number)"
        " VALUES (%(id)s, current_setting('app.workspace_id')::uuid, %(connector)s, %(label)s, %(public)s, %(hints)s,"
        " %(secrets)s, %(data_key_number)s)",
        _as_json(values),
    )


async def replace_values(connection: Connection, credential_id: str, values: Mapping[str, Any]) -> None:
    """New values under the next version; what was found about the old ones is forgotten."""
    await connection.execute(
        "UPDATE credential SET label = %(label)s, public = %(public)s, hints = %(hints)s, secrets = %(secrets)s,"
        " data_key_number = %(data_key_number)s, version = %(version)s, is_ok = NULL, checked_at = NULL,"
        " check_message = '', models = '[]', hears_again_at = NULL, speaks_again_at = NULL, updated_at = now()"
        " WHERE id = %(id)s",
        _as_json({**values, "id": credential_id}),
    )


async def reseal(connection: Connection, credential_id: str, secrets: Mapping[str, str], number: int) -> None:
    await connection.execute(
        "UPDATE credential SET secrets = %s, data_key_number = %s WHERE id = %s",
        (Jsonb(dict(secrets)), number, credential_id),
    )


async def note_check(connection: Connection, credential_id: str, values: Mapping[str, Any]) -> None:
    """Only while the credential is still the `version` that was tried."""
    await connection.execute(
        "UPDATE credential SET is_ok = %(is_ok)s, check_message = %(message)s, models = %(models)s,"
        " checked_at = %(now)s WHERE id = %(id)s AND version = %(version)s",
        _as_json({**values, "id": credential_id}),
    )


async def note_use(connection: Connection, credential_id: str) -> None:
    """It is used now. A row that somebody changes at this moment is left alone: nobody waits for a note."""
    await connection.execute(
        "UPDATE credential SET last_used_at = now()"
        " WHERE id = (SELECT id FROM credential WHERE id = %s FOR UPDATE SKIP LOCKED)",
        (credential_id,),
    )


async def serves(connection: Connection, credential_id: str, agent_id: str | None) -> bool:
    """Whether an agent may use it; None: whether all may. It stays so until the transaction ends."""
    cursor = await connection.execute("SELECT only_agents FROM credential WHERE id = %s FOR SHARE", (credential_id,))
    row = await cursor.fetchone()
    return row is None or row["only_agents"] is None or agent_id in {str(one) for one in row["only_agents"]}


async def count_agents(connection: Connection, agents: Sequence[str]) -> int:
    """How many of them there are."""
    cursor = await connection.execute("SELECT count(*) AS n FROM agent WHERE id = ANY (%s::uuid[])", ([*agents],))
    row = await cursor.fetchone()
    return int(row["n"]) if row else 0


async def set_only_agents(connection: Connection, credential_id: str, agents: Sequence[str] | None) -> None:
    """The agents that it serves from now on; None: all."""
    await connection.execute(
        "UPDATE credential SET only_agents = %s::uuid[], updated_at = now() WHERE id = %s",
        (None if agents is None else [*agents], credential_id),
    )


async def used_elsewhere(connection: Connection, credential_id: str, agents: Sequence[str]) -> list[str]:
    """Names of what uses it beside these agents: others, and bases of knowledge; "" for the workspace's defaults."""
    cursor = await connection.execute(_USED_ELSEWHERE, {"id": credential_id, "agents": [*agents]})
    return [str(row["name"]) async for row in cursor]


_USED_ELSEWHERE = """
    SELECT a.name FROM agent a WHERE NOT a.id = ANY (%(agents)s::uuid[])
        AND (EXISTS (SELECT FROM agent_connection b WHERE b.agent_id = a.id AND b.credential_id = %(id)s)
             OR EXISTS (SELECT FROM update_rule r WHERE r.agent_id = a.id AND r.document ->> 'crm' = %(id)s::text))
    UNION SELECT k.name FROM knowledge_base k WHERE %(id)s IN (k.embedder, k.former_embedder, k.reranker)
    UNION SELECT k.name FROM knowledge_copy c JOIN knowledge_base k ON k.id = c.knowledge_base_id WHERE c.credential_id = %(id)s
    UNION SELECT '' FROM setting s WHERE s.key LIKE 'default\\_%%' AND s.value ->> 'credential_id' = %(id)s::text
    ORDER BY name
"""


async def delete_credential(connection: Connection, credential_id: str) -> bool:
    """Slots bound to it become free."""
    return (await connection.execute("DELETE FROM credential WHERE id = %s", (credential_id,))).rowcount == 1


async def uses(connection: Connection, credential_id: str) -> list[Row]:
    """`agent_id`, `agent`, `is_on`, `slot` and `model` of every slot bound to it."""
    cursor = await connection.execute(
        "SELECT a.id AS agent_id, a.name AS agent, a.is_on, b.slot, b.model FROM agent_connection b"
        " JOIN agent a ON a.id = b.agent_id WHERE b.credential_id = %s ORDER BY a.name, b.slot",
        (credential_id,),
    )
    return await cursor.fetchall()


async def bound(connection: Connection, agent_id: str, slot: str) -> Row | None:
    """The binding of a slot (`bound_connector`, `model`), with its credential if it has one."""
    cursor = await connection.execute(
        "SELECT b.connector AS bound_connector, b.model, c.id, c.connector, c.public, c.secrets, c.version"
        " FROM agent_connection b LEFT JOIN credential c ON c.id = b.credential_id"
        " WHERE b.agent_id = %s AND b.slot = %s",
        (agent_id, slot),
    )
    return await cursor.fetchone()


async def default(connection: Connection, key: str = "default_model") -> Row | None:
    """The workspace's default in the columns of `bound`; None while none is chosen or its key is gone."""
    cursor = await connection.execute(
        "SELECT s.value->>'connector' AS bound_connector, s.value->>'model' AS model,"
        " c.id, c.connector, c.public, c.secrets, c.version"
        " FROM setting s JOIN credential c ON c.id::text = s.value->>'credential_id' WHERE s.key = %s",
        (key,),
    )
    return await cursor.fetchone()


async def rest(connection: Connection, credential_id: str, seconds: float, *, hears: bool) -> None:
    """New calls do not depend on it for so long; a rest that is longer already stays."""
    await connection.execute(_REST, {"id": credential_id, "seconds": seconds, "hears": hears})


async def is_resting(connection: Connection, agent_id: str, *, has_voice: bool) -> bool:
    """Whether what hears for an agent rests, or what speaks and `has_voice` says that nothing else could."""
    cursor = await connection.execute(_IS_RESTING, {"agent": agent_id, "has_voice": has_voice})
    return await cursor.fetchone() is not None


async def on_the_phone(connection: Connection, lines: list[str]) -> set[str]:
    """The connectors behind the connections of agents that have a phone line, the workspace's defaults among them.

    `lines`: the connectors of phone lines.
    """
    cursor = await connection.execute(
        "SELECT b.connector FROM agent_connection b JOIN channel l ON l.agent_id = b.agent_id AND l.connector = ANY(%(lines)s)"
        " UNION SELECT s.value->>'connector' FROM setting s WHERE s.key IN"
        " ('default_model', 'default_transcriber', 'default_synthesizer') AND EXISTS (SELECT FROM channel WHERE connector = ANY(%(lines)s))",
        {"lines": lines},
    )
    return {str(row["connector"]) async for row in cursor}


_REST = """
    UPDATE credential SET
        hears_again_at = CASE WHEN %(hears)s THEN greatest(hears_again_at, now() + make_interval(secs => %(seconds)s))
                              ELSE hears_again_at END,
        speaks_again_at = CASE WHEN %(hears)s THEN speaks_again_at
                               ELSE greatest(speaks_again_at, now() + make_interval(secs => %(seconds)s)) END
    WHERE id = %(id)s
"""
_IS_RESTING = """
    SELECT 1 FROM (VALUES ('transcriber'), ('synthesizer')) s (slot)
    LEFT JOIN agent_connection b ON b.agent_id = %(agent)s AND b.slot = s.slot
    LEFT JOIN setting d ON d.key = 'default_' || s.slot
    JOIN credential c ON c.id::text = CASE WHEN b.slot IS NULL THEN d.value ->> 'credential_id' ELSE b.credential_id::text END
    WHERE CASE WHEN s.slot = 'transcriber' THEN c.hears_again_at > now()
               ELSE c.speaks_again_at > now() AND NOT %(has_voice)s END
"""


async def hold_data_keys(connection: Connection, *, alone: bool = False) -> None:
    """Until this transaction ends no key of the workspace goes while others seal with it; `alone`: nobody seals."""
    name = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    await connection.execute(
        f"SELECT {name}(hashtextextended('data_key ' || current_setting('app.workspace_id'), 0))"  # one of two
    )


async def data_keys(connection: Connection) -> list[Row]:
    """`number`, `wrapped` and `wrapped_by` of the workspace's data keys, newest first."""
    cursor = await connection.execute("SELECT number, wrapped, wrapped_by FROM data_key ORDER BY number DESC")
    return await cursor.fetchall()


async def add_data_key(connection: Connection, number: int, wrapped: bytes, wrapped_by: str) -> bool:
    """False when another process was first with this number."""
    cursor = await connection.execute(
        "INSERT INTO data_key (workspace_id, number, wrapped, wrapped_by)"
        " VALUES (current_setting('app.workspace_id')::uuid, %s, %s, %s) ON CONFLICT DO NOTHING",
        (number, wrapped, wrapped_by),
    )
    return cursor.rowcount == 1


async def rewrap_data_key(connection: Connection, number: int, wrapped: bytes, wrapped_by: str) -> None:
    await connection.execute(
        "UPDATE data_key SET wrapped = %s, wrapped_by = %s WHERE number = %s", (wrapped, wrapped_by, number)
    )


async def drop_data_keys(connection: Connection, *, below: int) -> None:
    await connection.execute("DELETE FROM data_key WHERE number < %s", (below,))


async def workspaces_with_secrets(system: Connection) -> list[str]:
    cursor = await system.execute("SELECT workspaces_with_secrets() AS id")
    return [str(row["id"]) async for row in cursor]


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: Jsonb(v) if k in _JSON else v for k, v in values.items()}
