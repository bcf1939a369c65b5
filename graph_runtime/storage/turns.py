"""The hot path of a turn in the database: accept a trigger, lease, note effects, commit. One round trip each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import psycopg
from psycopg.rows import class_row, dict_row, scalar_row, tuple_row
from psycopg.types.json import Jsonb

from graph_runtime.contract.errors import LeaseLost
from graph_runtime.storage.database import Connection
from graph_runtime.storage.grouped_calls import GroupedCalls
from graph_runtime.storage.news import Direct, News
from graph_runtime.storage.outbox import OutboxNews
from graph_runtime.telemetry.metrics import EFFECTS_REPLAYED

LEASE_SECONDS = 30
LEASE_LOST = "Another process took this conversation over."


@dataclass(frozen=True, slots=True)
class AcceptedTrigger:
    """What a trigger became. `seq`: of the contact's message, 0 when the trigger is none."""

    inbox_id: UUID | None
    seq: int
    is_new: bool
    status: str
    at: datetime


@dataclass(frozen=True, slots=True)
class NewConversation:
    """Who talks to which agent, and where. `version_id` None: the live one; `language` None: the agent's."""

    agent_id: str
    channel_id: str | None
    channel_kind: str
    external_user_id: str
    contact: dict[str, Any]
    dedupe_key: str
    version_id: str | None
    is_test: bool
    language: str | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A begun conversation, or the problem: "no_agent", "agent_off", "no_version"."""

    conversation_id: UUID | None
    is_new: bool
    problem: str


@dataclass(frozen=True, slots=True)
class LeasedTurn:
    """All that a turn starts from. `turn_seq`: turns committed so far. `effects`: results of an earlier attempt.

    `answering`: the agent's settings of that name; `holds`: something it said before waits for somebody's approval.
    """

    epoch: int
    inbox_id: UUID
    kind: str
    payload: dict[str, Any]
    inbox_seq: int
    attempts: int
    run_at: datetime
    agent_id: UUID
    channel_id: UUID | None
    channel_kind: str
    contact_id: UUID
    version_id: UUID
    is_test: bool
    language: str
    status: str
    waits: str
    node_id: str
    checkpoint: bytes | None
    turn_seq: int
    started_at: datetime
    contact_fields: dict[str, Any]
    contact_variables: dict[str, Any]
    effects: dict[str, Any] | None
    external_user_id: str | None
    answering: dict[str, Any] | None = None
    holds: bool = False


@dataclass(frozen=True, slots=True)
class Committed:
    """Seq of the turn's first message, whether more triggers wait, the time of the commit, and how many messages were
    said; what is left of them is held."""

    first_seq: int
    has_more: bool
    at: datetime
    said_now: int


@dataclass(frozen=True, slots=True)
class TurnRows:
    """What a turn writes. `record` is `commit_turn`'s p_turn."""

    checkpoint: bytes | None
    status: str
    waits: str
    node_id: str
    due_at: datetime | None
    keep_timer: bool
    record: dict[str, Any]


class TurnStore:
    """`owner`: this process's number (`Instance.number`). `takes` False: what it accepts is for other processes."""

    def __init__(self, database: Direct, owner: int, *, takes: bool = True) -> None:
        self._database = database
        self._takes = takes
        self.owner = owner
        self._accepting = GroupedCalls(database, "accept_trigger", _ACCEPTED, _ACCEPT_TYPES, place=(1,))
        # Nobody repeats a commit, so what waits for one is not given up with those that were on their way.
        self._committing = GroupedCalls(database, "commit_turn", _COMMITTED, _COMMIT_TYPES, place=(1,), tells_all=False)
        self.news = News(database, owner)
        self.sends = OutboxNews(database)

    @property
    def waiting(self) -> int:
        """How many triggers and turns wait to be stored."""
        return self._accepting.waiting + self._committing.waiting

    async def accept(
        self,
        workspace_id: str,
        conversation_id: str,
        *,
        dedupe_key: str,
        kind: str,
        payload: dict[str, Any],
        parts: list[dict[str, Any]] | None = None,
        text: str = "",
        client_id: str = "",
        contact: tuple[str, str] | None = None,
        connection: Connection | None = None,
    ) -> tuple[AcceptedTrigger | None, LeasedTurn | None]:
        """Take in a trigger, and the conversation with it in the same transaction when that is free.

        `contact`: (external user, source); the conversation must be theirs, else there is none. `connection`: of a
        transaction in which nobody can have the conversation.
        """
        external, source = contact or (None, None)
        values = (
            workspace_id, conversation_id, dedupe_key, kind, _json(payload), None if parts is None else _json(parts),
            text, client_id, external, source, self.owner if self._takes else None, LEASE_SECONDS,
        )  # fmt: skip
        accepting = self._accepting
        row = await (accepting.within(connection, values) if connection else accepting.call(values))
        if row is None:
            return None, None
        accepted, must_lease, turn = AcceptedTrigger(*row[:5]), row[5], row[6:]
        if accepted.is_new and accepted.seq:
            self.news.tell(workspace_id, conversation_id, accepted.seq)
        if must_lease:
            return accepted, await self.lease(workspace_id, conversation_id)
        return accepted, None if turn[0] is None else LeasedTurn(*turn)

    async def open_conversation(self, workspace_id: str, new: NewConversation) -> tuple[Opened, LeasedTurn | None]:
        """Begin a conversation and take it at once."""
        values = (
            workspace_id, new.agent_id, new.channel_id, new.channel_kind, new.external_user_id, _json(new.contact),
            new.dedupe_key, new.version_id, new.is_test, new.language, self.owner,
        )  # fmt: skip
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=class_row(Opened), binary=True)
            await cursor.execute(_OPEN, values)
            opened = await cursor.fetchone()
            if opened is None:
                # The contact began two conversations at once; the other one has made the contact by now.
                await cursor.execute(_OPEN, values)
                opened = await cursor.fetchone()
            assert opened is not None
            if not opened.is_new or not self._takes:
                return opened, None
            leasing = connection.cursor(row_factory=class_row(LeasedTurn), binary=True)
            await leasing.execute(_LEASE, (workspace_id, opened.conversation_id, self.owner, 0, LEASE_SECONDS))
            return opened, await leasing.fetchone()

    async def end(self, workspace_id: str, conversation_id: str, result: str) -> bool:
        """End a conversation from outside; False when it is over already or not there."""
        return bool(await self.value(_END, workspace_id, conversation_id, result, self.owner))

    async def lease(self, workspace_id: str, conversation_id: str, *, epoch: int = 0) -> LeasedTurn | None:
        """Take the conversation and its oldest trigger; None when there is nothing to do or somebody else does it."""
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=class_row(LeasedTurn), binary=True)
            await cursor.execute(_LEASE, (workspace_id, conversation_id, self.owner, epoch, LEASE_SECONDS))
            return await cursor.fetchone()

    async def glance(self, workspace_id: str, conversation_id: str, payload: dict[str, Any]) -> LeasedTurn | None:
        """What a turn for a message would start from now, without taking anything; None unless the conversation rests and
        waits for one."""
        async with self._database.direct() as connection, connection.transaction():
            await connection.execute("SELECT set_config('app.workspace_id', %s, true)", (workspace_id,))
            cursor = connection.cursor(row_factory=class_row(LeasedTurn), binary=True)
            await cursor.execute(_GLANCE, (_json(payload), conversation_id))
            return await cursor.fetchone()

    async def attempts(self, workspace_id: str, conversation_id: str) -> int:
        """How often the oldest waiting trigger was begun; 0 when none waits."""
        async with self._database.direct() as connection, connection.transaction():
            await connection.execute("SELECT set_config('app.workspace_id', %s, true)", (workspace_id,))
            cursor = connection.cursor(row_factory=scalar_row)
            await cursor.execute(_ATTEMPTS, (conversation_id,))
            return int(await cursor.fetchone() or 0)

    async def renew(self, workspace_id: str, conversation_id: str, epoch: int) -> bool:
        """Keep the lease; False when it is gone."""
        return bool(await self.value(_RENEW, workspace_id, conversation_id, self.owner, epoch, LEASE_SECONDS))

    async def release(
        self, workspace_id: str, conversation_id: str, epoch: int, inbox_id: UUID, *, uncount: bool
    ) -> None:
        """Hand the conversation over without an answer."""
        await self.value(_RELEASE, workspace_id, conversation_id, self.owner, epoch, inbox_id, uncount)

    async def gather(
        self, workspace_id: str, conversation_id: str, turn: LeasedTurn, *, is_anew: bool
    ) -> tuple[dict[str, Any], int, int]:
        """Fold the messages that wait behind a turn's into it: (payload, seq of the last, how many).

        `is_anew`: also forget what models answered in this turn. Raises: LeaseLost.
        """
        values = (workspace_id, conversation_id, self.owner, turn.epoch, turn.inbox_id, is_anew)
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(_GATHER, values)
            row = await cursor.fetchone()
        if row is None:
            raise LeaseLost(LEASE_LOST)
        payload, seq, folded = row
        return payload, seq, folded

    async def commit(self, workspace_id: str, conversation_id: str, turn: LeasedTurn, rows: TurnRows) -> Committed:
        """Write everything. Raises: LeaseLost, and then nothing is written."""
        values = (
            workspace_id, conversation_id, self.owner, turn.epoch, turn.inbox_id, rows.checkpoint, rows.status,
            rows.waits, rows.node_id, rows.due_at, rows.keep_timer, _json(rows.record),
        )  # fmt: skip
        try:
            row = await (self._hand_off(values) if "hand_off" in rows.record else self._committing.call(values))
        except psycopg.DatabaseError as e:
            if e.sqlstate == "PC001":
                raise LeaseLost(LEASE_LOST) from None
            raise
        assert row is not None
        committed = Committed(*row)
        self.news.tell(workspace_id, conversation_id, committed.first_seq + committed.said_now - 1)
        if committed.said_now and "recipient" in rows.record:
            self.sends.tell()
        return committed

    async def _hand_off(self, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=tuple_row, binary=True)
            await cursor.execute(_COMMIT_HAND_OFF, values)
            return await cursor.fetchone()

    async def history(
        self, workspace_id: str, conversation_id: str, limit: int, *, until_seq: int
    ) -> list[dict[str, Any]]:
        """The last messages, oldest first: {role, text}. Of the contact's only those up to `until_seq`, it comes last."""
        async with self._database.direct() as connection, connection.transaction():
            await connection.execute("SELECT set_config('app.workspace_id', %s, true)", (workspace_id,))
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(_HISTORY, {"id": conversation_id, "until": until_seq, "limit": limit})
            return await cursor.fetchall()

    async def held_texts(self, workspace_id: str, conversation_id: str) -> list[str]:
        """What the agent said and somebody has still to approve, in order."""
        async with self._database.direct() as connection, connection.transaction():
            await connection.execute("SELECT set_config('app.workspace_id', %s, true)", (workspace_id,))
            cursor = connection.cursor(row_factory=scalar_row)
            await cursor.execute(_HELD, (conversation_id,))
            return await cursor.fetchall()

    async def queue(self, workspace_id: str, queue_id: str) -> dict[str, Any] | None:
        """Where conversations wait for a person: {id, name, number}."""
        async with self._database.direct() as connection, connection.transaction():
            await connection.execute("SELECT set_config('app.workspace_id', %s, true)", (workspace_id,))
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(_QUEUE, (queue_id,))
            return await cursor.fetchone()

    async def call_facts(self, workspace_id: str, conversation_id: str) -> dict[str, Any]:
        """What is known of the phone call of a conversation; empty when it has none."""
        return await self.value(_CALL_FACTS, workspace_id, conversation_id) or {}

    async def value(self, statement: str, *values: Any) -> Any:
        """The single value a statement gives."""
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=scalar_row)
            await cursor.execute(statement, values)
            return await cursor.fetchone()


class EffectRows:
    """The journal of one turn's effects, in the database. Implements `engine.effects.EffectJournal`."""

    def __init__(self, store: TurnStore, workspace_id: str, conversation_id: str, turn: LeasedTurn) -> None:
        self._store = store
        self._workspace_id = workspace_id
        self._conversation_id = conversation_id
        self._turn = turn
        self._known: dict[str, Any] = dict(turn.effects or {})
        self.was_used = self.has_acted = bool(self._known)
        """`has_acted`: something other than a model was called, so the turn must not be begun anew."""

    async def recorded(self, key: str) -> Any | None:
        """The result of a call that is known to have ended."""
        found = self._known.get(key)
        if found is not None:
            EFFECTS_REPLAYED.inc()
        return found

    async def begin(self, key: str, kind: str, node_id: str) -> None:
        """Note that the call is about to be made. Raises: LeaseLost."""
        self.was_used = True
        self.has_acted = self.has_acted or kind != "model"
        turn = self._turn
        is_ours = await self._store.value(
            _BEGIN_EFFECT, self._workspace_id, self._conversation_id, self._store.owner, turn.epoch,
            key, turn.turn_seq + 1, kind, node_id,
        )  # fmt: skip
        if not is_ours:
            raise LeaseLost(LEASE_LOST)

    async def begun_at(self, key: str) -> datetime | None:
        """When an earlier run of this turn began the call, by the database's clock; None when none did."""
        found: datetime | None = await self._store.value(_EFFECT_BEGUN_AT, self._workspace_id, key)
        return found

    async def finish(self, key: str, result: Any) -> None:
        """Note its result."""
        self._known[key] = result
        await self._store.value(_FINISH_EFFECT, self._workspace_id, key, _json(result))


def _json(value: Any) -> Jsonb:
    return Jsonb(value, dumps=_dumps)


def _dumps(value: Any) -> str | bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # whole numbers beyond 64 bits, which PostgreSQL keeps
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_ACCEPTED = "inbox_id, seq, is_new, status, at, must_lease, (leased).*"
_ACCEPT_TYPES = (
    "uuid", "uuid", "text", "text", "jsonb", "jsonb", "text", "text", "text", "uuid", "bigint", "integer",
)  # fmt: skip
_OPEN = (
    "SELECT * FROM open_conversation(%s::uuid, %s::uuid, %s::uuid, %s::text, %s::text, %s::jsonb, %s::text, %s::uuid, "
    "%s::boolean, %s::text, %s::bigint)"
)
_END = "SELECT end_conversation(%s::uuid, %s::uuid, %s::text, %s::bigint)"
_LEASE = "SELECT * FROM lease_turn(%s::uuid, %s::uuid, %s::bigint, %s::integer, %s::integer)"
_COMMITTED = "first_seq, has_more, at, said_now"
_COMMIT_TYPES = (
    "uuid", "uuid", "bigint", "integer", "uuid", "bytea", "text", "text", "text", "timestamptz", "boolean", "jsonb",
)  # fmt: skip
_COMMIT_HAND_OFF = f"SELECT {_COMMITTED} FROM commit_hand_off({', '.join(f'%s::{kind}' for kind in _COMMIT_TYPES)})"  # noqa: S608  # of constants
_GATHER = "SELECT * FROM gather_messages(%s::uuid, %s::uuid, %s::bigint, %s::integer, %s::uuid, %s::boolean)"
_GLANCE = """
    SELECT t.* FROM conversation c, LATERAL turn_start(c, jsonb_populate_record(NULL::inbox, jsonb_build_object(
        'id', uuidv7(), 'kind', 'message', 'payload', %s::jsonb, 'seq', c.message_seq + 1, 'attempts', 1,
        'first_run_at', clock_timestamp()))) t
    WHERE c.id = %s::uuid AND c.status = 'open' AND c.waits = 'reply' AND c.hand_off_id IS NULL
      AND c.pending_since IS NULL AND c.lease_owner IS NULL
"""
_RENEW = "SELECT renew_lease(%s::uuid, %s::uuid, %s::bigint, %s::integer, %s::integer)"
_RELEASE = "SELECT release_lease(%s::uuid, %s::uuid, %s::bigint, %s::integer, %s::uuid, %s::boolean)"
_BEGIN_EFFECT = (
    "SELECT begin_effect(%s::uuid, %s::uuid, %s::bigint, %s::integer, %s::text, %s::integer, %s::text, %s::text)"
)
_FINISH_EFFECT = "SELECT finish_effect(%s::uuid, %s::text, %s::jsonb)"
_EFFECT_BEGUN_AT = "SELECT effect_begun_at(%s::uuid, %s::text)"
_CALL_FACTS = "SELECT call_facts(%s::uuid, %s::uuid)"
_QUEUE = "SELECT id::text, name, number FROM queue WHERE id::text = %s"
_HELD = "SELECT text FROM held_message WHERE conversation_id = %s AND state = 'waiting' AND text <> '' ORDER BY place"
_ATTEMPTS = "SELECT attempts FROM inbox WHERE conversation_id = %s::uuid AND state = 'pending' ORDER BY id LIMIT 1"
_HISTORY = """
    SELECT role, text FROM (
        SELECT role, text, seq FROM message
        WHERE conversation_id = %(id)s AND (role <> 'contact' OR seq <= %(until)s) AND role <> 'system' AND text <> ''
        ORDER BY (role = 'contact' AND seq = %(until)s) DESC, seq DESC LIMIT %(limit)s
    ) m ORDER BY (role = 'contact' AND seq = %(until)s), seq
"""
