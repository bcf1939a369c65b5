"""Pages of the conversation list, and the cursor that leads from one to the next."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from graph_runtime.contract.errors import InputInvalid
from graph_runtime.services.versions import PinnedVersion


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the page before this one ended; both None at the beginning."""

    at: datetime | None = None
    id: str | None = None

    @classmethod
    def read(cls, text: str) -> Cursor:
        """Raises: InputInvalid."""
        if not text:
            return cls()
        try:
            at, _, row_id = base64.urlsafe_b64decode(text.encode()).decode().partition("|")
            return cls(datetime.fromisoformat(at), str(UUID(row_id)))
        except ValueError:
            raise InputInvalid("This cursor is damaged. Begin again without one.", field="cursor") from None

    @classmethod
    def write(cls, row: dict[str, Any]) -> str:
        """The cursor after a row."""
        return base64.urlsafe_b64encode(f"{row['updated_at'].isoformat()}|{row['id']}".encode()).decode()


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """One line of the list. `channel`: its kind; `node_id`: the step it waits at."""

    id: str
    agent_id: str
    agent_name: str
    contact_id: str
    contact_name: str
    channel: str
    status: str
    waits: str
    node_id: str
    language: str
    result: str
    is_test: bool
    is_running: bool
    preview: str
    message_seq: int
    version_id: str
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> ConversationRow:
        """From storage's row."""
        known = {f: row[f] for f in cls.__slots__ if f in row}
        return cls(**known, contact_name=contact_name(row["contact"]), channel=row["channel_kind"])


def contact_name(fields: dict[str, Any]) -> str:
    """What a contact is called; "" when nothing is known of them."""
    full = " ".join(str(fields[k]) for k in ("first_name", "last_name") if fields.get(k))
    return str(fields.get("name") or full or fields.get("email") or fields.get("phone") or "")[:200]


class ConversationPage(NamedTuple):
    """Rows newest first; `next_cursor` is "" on the last page."""

    rows: list[ConversationRow]
    next_cursor: str

    @classmethod
    def of(cls, rows: list[dict[str, Any]], limit: int) -> ConversationPage:
        """A page out of up to limit + 1 rows."""
        has_more = len(rows) > limit
        return cls([ConversationRow.of(r) for r in rows[:limit]], Cursor.write(rows[limit - 1]) if has_more else "")


@dataclass(frozen=True, slots=True)
class ConversationDetail:
    """One conversation. `turns`: {seq, turn_id, trigger, started_at, ms, attempts, error, steps: [[node_id, port, ms]]};
    `steps`: node_id → {name, type, flow_id}; `version_number` None for a test of a draft; `files`: what is known of the files
    in its messages, file_id → {mime, size, state, error}, without those that were deleted."""

    row: ConversationRow
    messages: list[dict[str, Any]]
    turns: list[dict[str, Any]]
    steps: dict[str, dict[str, str]]
    version_number: int | None
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        head: dict[str, Any],
        messages: list[dict[str, Any]],
        turns: list[dict[str, Any]],
        pinned: PinnedVersion,
        files: Iterable[dict[str, Any]] = (),
    ) -> ConversationDetail:
        """With the names of the steps that were passed."""
        passed = {node_id for turn in turns for node_id, _, _ in turn["steps"]} | {m["node_id"] for m in messages}
        steps = {
            step.id: {
                "name": step.scope.flow.nodes[step.local_id].name,
                "type": step.type_name,
                "flow_id": step.scope.flow.id,
            }
            for step in pinned.compiled.steps.values()
            if step.id in passed
        }
        return cls(ConversationRow.of(head), messages, turns, steps, pinned.number, {f["id"]: f for f in files})
