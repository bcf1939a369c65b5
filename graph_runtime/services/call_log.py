"""All calls of a workspace: what goes on now and how the others ended, and the lines they use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from graph_runtime.services.call_admission import FULL, SPEECH
from graph_runtime.services.call_recordings import RATE
from graph_runtime.services.conversation_list import Cursor
from graph_runtime.services.phone_lines import PhoneLines
from graph_runtime.services.principal import Principal
from graph_runtime.storage.call_log import CallLogRows
from graph_runtime.storage.database import Database, Row

Kind = Literal["", "live", "in", "out", "missed", "recorded"]
KINDS: Final[tuple[Kind, ...]] = ("", "live", "in", "out", "missed", "recorded")
MOST_ROWS: Final = 200
_TO_DESK: Final = {
    **dict.fromkeys(FULL, "full"),
    SPEECH: "no_speech",
    "closed": "closed",
    **dict.fromkeys(("channel_off", "no_agent", "agent_off", "no_version"), "off"),
}
"""Why nobody here took a call, as `phone_call.result` says it, in a word of `LoggedCall`."""


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """One call. `number`: of the other side, "" when it is hidden; `own_number`: the one that was called, or is shown.

    `outcome`: "ringing", "talking", "moving" while it goes on; then "talked", "transferred", "missed" (it came and
    nobody answered), "full", "no_speech", "closed" or "off" (it went to the desk at once: all lines were busy, speech rested, outside
    the line's hours, the line or its agent was off), or for a call out "busy", "no_answer", "rejected", "unreachable", "machine", "failed", "unknown".
    `recorded_seconds` are rounded up. `seconds` of talking, None before it is answered; those of a call that goes on count from `answered_at`.
    """

    id: str
    agent_id: str
    agent_name: str
    line_id: str
    line_name: str
    direction: Literal["in", "out"]
    number: str
    own_number: str
    outcome: str
    is_live: bool
    started_at: datetime
    answered_at: datetime | None
    seconds: int | None
    transfer_to: str
    transfer: str
    cause: int | None
    conversation_id: str
    recorded_seconds: int


@dataclass(frozen=True, slots=True)
class CallPage:
    """Newest first; `next_cursor` "" on the last page."""

    rows: list[LoggedCall]
    next_cursor: str


@dataclass(frozen=True, slots=True)
class PhoneLine:
    """A line. `numbers`: those that were called on it lately; `live`: calls now, `today`: begun within 24 hours."""

    id: str
    name: str
    agent_id: str
    agent_name: str
    connector: str
    is_on: bool
    can_call: bool
    most_calls: int
    numbers: list[str]
    live: int
    today: int
    created_at: datetime


class CallLog:
    """For who may read conversations."""

    def __init__(self, database: Database, lines: PhoneLines) -> None:
        self._rows = CallLogRows(database)
        self._lines = lines

    async def lines(self, principal: Principal) -> list[PhoneLine]:
        """Every phone line of the workspace, by agent. Raises: AccessDenied."""
        principal.require("conversation.read")
        found = []
        for row in await self._rows.lines(principal.workspace_id, self._lines.connectors):
            _, settings = await self._lines.settings(principal.workspace_id, str(row["id"]))
            found.append(
                PhoneLine(
                    id=str(row["id"]), name=row["label"], agent_id=str(row["agent_id"]), agent_name=row["agent_name"],
                    connector=row["connector"], is_on=row["is_on"], can_call=settings.can_call,
                    most_calls=settings.most_calls, numbers=list(row["numbers"] or ()), live=row["live"],
                    today=row["today"], created_at=row["created_at"],
                )
            )  # fmt: skip
        return found

    async def list(
        self, principal: Principal, *, agent_id: str = "", line_id: str = "", kind: Kind = "", number: str = "",
        cursor: str = "", limit: int = 50,
    ) -> CallPage:  # fmt: skip
        """`number`: digits in the caller's or our number. Raises: AccessDenied, InputInvalid for a damaged cursor."""
        principal.require("conversation.read")
        before, limit = Cursor.read(cursor), min(max(limit, 1), MOST_ROWS)
        digits = re.sub(r"\D", "", number)[:40]
        if (number.strip() and not digits) or not all(_is_id(i) for i in (agent_id, line_id) if i):
            return CallPage([], "")
        filters: dict[str, Any] = {
            "agent": agent_id or None, "line": line_id or None, "kind": kind,
            "number": f"%{digits}%" if digits else None, "before_at": before.at, "before_id": before.id,
            "limit": limit + 1,
        }  # fmt: skip
        found = await self._rows.listed(principal.workspace_id, filters)
        more = Cursor.write(found[limit - 1]) if len(found) > limit else ""
        return CallPage([_logged(row) for row in found[:limit]], more)


def _logged(row: Row) -> LoggedCall:
    is_out = row["direction"] == "out"
    began, ended = row["answered_at"], row["ended_at"]
    return LoggedCall(
        id=str(row["id"]), agent_id=str(row["agent_id"]), agent_name=row["agent_name"], line_id=str(row["channel_id"]),
        line_name=row["line_label"], direction=row["direction"], number=row["did"] if is_out else row["from_number"],
        own_number=row["from_number"] if is_out else row["did"], outcome=outcome(row), is_live=row["state"] != "ended",
        started_at=row["started_at"], answered_at=began,
        seconds=round((ended - began).total_seconds()) if began and ended else None,
        transfer_to=row["transfer_to"].partition("|")[0] if row["moves"] else "", transfer=row["transfer_result"],
        cause=row["cause"], conversation_id=str(row["conversation_id"] or ""),
        recorded_seconds=-(-row["recorded"] // RATE),
    )  # fmt: skip


def outcome(row: Row) -> str:
    """How a call stands, in a word of `LoggedCall`."""
    if row["state"] != "ended":
        return {"dialing": "ringing", "announced": "ringing", "moving": "moving"}.get(row["state"], "talking")
    if row["transfer_result"] == "answered":
        return "transferred"
    if row["answered_at"] is not None:
        return "talked"
    if row["direction"] == "out":
        return "missed" if row["result"] == "answered" else row["result"] or "unknown"
    return _TO_DESK.get(row["result"], "missed")


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
