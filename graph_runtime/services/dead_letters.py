"""Dead letters: what was given up, why, and bringing it back: one, all alike, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from graph_runtime.contract.errors import Conflict, NotFound
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.principal import Principal
from graph_runtime.storage import audit, crm_writes
from graph_runtime.storage import dead_letters as rows
from graph_runtime.storage.database import Connection, Database, Row

REASONS: Final = (
    "too_many_attempts",
    "refused",
    "credential_rejected",
    "expired",
    "outcome_unknown",
    "channel_gone",
)
"""Why something was given up; screens translate by these."""
MOST_AT_ONCE: Final = 1000
SHOWN_CHARACTERS: Final = 2000

Letters = list[Row]
RunPending = Callable[[str, str], Any]
"""(workspace, conversation): run what waits there, in the background."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One letter. `source` "inbox": something that came in and failed; "outbox": a message that did not arrive; "crm": what a
    customer system did not take.

    `text`: what was said, `options`: its buttons. `error`: an English sentence that is safe to show, or "".
    """

    id: str
    source: Literal["inbox", "outbox", "crm"]
    reason: str
    error: str
    text: str
    options: tuple[str, ...]
    kind: str
    conversation_id: str
    agent_id: str
    agent: str
    contact: str
    channel_id: str | None
    channel_kind: str
    channel_label: str
    attempts: int
    first_at: datetime
    last_at: datetime
    can_replay: bool


@dataclass(frozen=True, slots=True)
class LetterGroup:
    """Open letters with the same source, reason and channel; `since`: the first attempt of the oldest."""

    source: str
    reason: str
    channel_id: str | None
    channel_kind: str
    channel_label: str
    letters: int
    since: datetime


class DeadLetters:
    """Read by whoever may read conversations, decided by whoever may write in them."""

    def __init__(self, database: Database, run_pending: RunPending, clock: Clock = system_clock) -> None:
        self._database = database
        self._run_pending = run_pending
        self._clock = clock

    async def list(
        self,
        principal: Principal,
        *,
        reason: str | None = None,
        agent_id: str | None = None,
        channel_id: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[DeadLetter]:
        """Open letters, newest first; `before` is the id of the last one of the page before. Raises: AccessDenied."""
        principal.require("conversation.read")
        filters = {
            "reason": reason or None, "agent": _id(agent_id), "channel": _id(channel_id), "before": _id(before),
            "limit": min(max(limit, 1), 200),
        }  # fmt: skip
        async with self._database.workspace(principal.workspace_id) as connection:
            return [_shown(row) for row in await rows.listed(connection, filters)]

    async def groups(self, principal: Principal) -> tuple[LetterGroup, ...]:
        """What there is, by reason and channel, the most letters first. Raises: AccessDenied."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return tuple(LetterGroup(**row) for row in await rows.groups(connection))

    async def replay(self, principal: Principal, letter_id: str) -> None:
        """Try once more: a message under its old key, an event with its attempts forgotten.

        Raises: AccessDenied, NotFound, Conflict when what it was about is gone.
        """
        principal.require("conversation.write")
        async with self._database.workspace(principal.workspace_id) as connection:
            letter = await _found(connection, letter_id)
            if not await self._revive(connection, principal, letter):
                raise Conflict("What this letter was about is gone, so it can only be discarded.", reason="gone")
        self._wake(principal, [letter])

    async def replay_alike(self, principal: Principal, letter_id: str) -> int:
        """Try this letter and all with the same source, reason and channel once more; how many, at most 1000.

        Raises: AccessDenied, NotFound.
        """
        principal.require("conversation.write")
        async with self._database.workspace(principal.workspace_id) as connection:
            letter = await _found(connection, letter_id)
            letters = await rows.alike(connection, letter, MOST_AT_ONCE)
            revived = [row for row in letters if await self._revive(connection, principal, row)]
        self._wake(principal, revived)
        return len(revived)

    async def discard(self, principal: Principal, letter_id: str) -> None:
        """Leave it undelivered. Raises: AccessDenied, NotFound."""
        principal.require("conversation.write")
        async with self._database.workspace(principal.workspace_id) as connection:
            letter = await _found(connection, letter_id)
            await rows.resolve(connection, letter["id"], "discarded", principal.actor)
            await self._note(connection, principal, "dead_letter.discarded", letter)

    async def _revive(self, connection: Connection, principal: Principal, letter: Row) -> bool:
        if not letter["can_replay"]:
            return False
        revive = {"inbox": rows.revive_trigger, "outbox": rows.requeue_message, "crm": crm_writes.revive}
        if not await revive[letter["source"]](connection, letter["ref"]):
            return False
        await rows.resolve(connection, letter["id"], "replayed", principal.actor)
        await self._note(connection, principal, "dead_letter.replayed", letter)
        return True

    def _wake(self, principal: Principal, letters: Letters) -> None:
        conversations = {row["conversation_id"] for row in letters if row["source"] == "inbox"}
        for conversation_id in conversations:
            self._run_pending(principal.workspace_id, conversation_id)

    async def _note(self, connection: Connection, principal: Principal, action: str, letter: Row) -> None:
        ids = {"dead_letter": letter["id"], "conversation": letter["conversation_id"]}
        await audit.append(connection, principal.actor, action, ids, self._clock())


async def _found(connection: Connection, letter_id: str) -> Row:
    row = await rows.get(connection, letter_id)
    if row is None:
        raise NotFound("There is no such letter, or somebody has decided about it already. Reload the list.")
    return row


def _id(value: str | None) -> str | None:
    return value if value and is_uuid(value) else None


def _write(write: dict[str, Any] | None) -> str:
    """What was to be written, a line for each field."""
    told = {**(write or {}).get("values", {}), "note": (write or {}).get("note"), "task": (write or {}).get("task")}
    head = " ".join(str((write or {}).get(k) or "") for k in ("entity", "known")).strip()
    return "\n".join([head, *(f"{name}: {value}" for name, value in told.items() if value not in (None, ""))])


def _shown(row: Row) -> DeadLetter:
    parts = row["parts"] or [row["reply"]]
    texts = [str(p.get("text") or p.get("caption") or "") for p in parts]
    fields = row["contact"]
    return DeadLetter(
        id=row["id"],
        source=row["source"],
        reason=row["reason"],
        error=row["error"],
        text=(_write(row["write"]) if row["source"] == "crm" else "\n".join(t for t in texts if t))[:SHOWN_CHARACTERS],
        options=tuple(str(o.get("label", "")) for p in parts for o in p.get("options") or ()),
        kind=row["kind"],
        conversation_id=row["conversation_id"],
        agent_id=row["agent_id"],
        agent=row["agent"],
        contact=str(fields.get("name") or fields.get("email") or fields.get("phone") or "")[:200],
        channel_id=row["channel_id"],
        channel_kind=row["channel_kind"],
        channel_label=row["channel_label"],
        attempts=row["attempts"],
        first_at=row["first_at"],
        last_at=row["last_at"],
        can_replay=row["can_replay"],
    )
