"""Calls that we place: at most one per key, never more than the line may have, each with how it began."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

import structlog

from graph_runtime.contract.calls import OutgoingCall, OutgoingResult, dialable, is_dial_string
from graph_runtime.contract.errors import BuilderError, Conflict, InputInvalid, NotFound, OutcomeUnknown, TooMany
from graph_runtime.services.call_admission import CallAdmission
from graph_runtime.services.open_channels import OpenChannel
from graph_runtime.services.phone_lines import PhoneLines, dial_string
from graph_runtime.services.principal import Principal
from graph_runtime.storage.database import Database, Row
from graph_runtime.storage.phone_calls import PhoneCallRows
from graph_runtime.storage.receiving import or_away

log = structlog.get_logger(__name__)
UNTOLD_SECONDS: Final = 20
"""So long after the last ring a call of which nothing was heard keeps its place on the line."""
_REASONS: Final[dict[str, OutgoingResult]] = {"5": "busy", "3": "no_answer", "1": "no_answer"}
"""Asterisk's REASON in the extension `failed`; what it says of the rest is too rough to call it rejected."""


@dataclass(frozen=True, slots=True)
class PlacedCall:
    """A call out. `state`: "dialing", "announced", "up", "moving", "ended"; `result` "" while it rings, else as
    `OutgoingResult`; `conversation_id` "" until somebody answered."""

    id: str
    number: str
    state: str
    result: str
    conversation_id: str
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None


class CallsOut:
    """A killed process leaves a call that is not placed again: the dialplan tells how it ended, or its time runs out."""

    def __init__(self, database: Database, lines: PhoneLines, admission: CallAdmission) -> None:
        self._rows = PhoneCallRows(database)
        self._admission = admission
        self._lines = lines
        self.line_connectors = frozenset(lines.connectors)
        self._ringing: set[asyncio.Task[None]] = set()

    async def place(
        self, principal: Principal, channel_id: str, number: str, *, key: str, ring_seconds: int = 30
    ) -> PlacedCall:
        """Ring a number from a line; returns while it rings. The same `key` gives the same call, and rings nobody again.

        Only who may edit the agent names a technology (“PJSIP/100”); for others a target is a number or an extension.
        Raises: AccessDenied, NotFound, InputInvalid, Conflict (line or agent off, calls out not set up), TooMany (the line has
        as many calls as it may have, or nobody could hold the call).
        """
        principal.require("conversation.write")
        if not 5 <= ring_seconds <= 120:
            raise InputInvalid("Let it ring for 5 to 120 seconds.", field="ring_seconds")
        workspace_id = principal.workspace_id
        channel, line = await self._lines.settings(workspace_id, _uuid(channel_id))
        target = number.strip()
        if not (is_dial_string(target) and "agent.edit" in principal.scopes):
            target = dialable(target)
        dialed = dial_string(line, target) if target else ""
        if not dialed:
            raise InputInvalid("This is no number that can be dialed. Write it as +49 30 1234567.", field="number")
        if channel.offer.place is None or not line.can_call:
            raise Conflict("This line only takes calls. Fill in the address of Asterisk's manager to place some.")
        if not channel.is_on or await self._rows.can_begin(workspace_id, channel.agent_id):
            raise Conflict("The line or its agent is off, or nothing is published. Switch them on first.")
        if await self._rows.has_opted_out(workspace_id, target):
            raise Conflict("This person asked not to be contacted. They have to come back first.", reason="opted_out")
        refused = await self._admission.refuses(workspace_id, channel.agent_id)
        row, is_new = await self._rows.reserve(
            workspace_id,
            {
                "id": str(uuid4()), "agent_id": channel.agent_id, "channel_id": channel.id, "did": target[:80],
                "from_number": line.caller_id[:80], "key": f"{principal.actor}:{key}"[:300],
                "seconds": ring_seconds + UNTOLD_SECONDS, "most_calls": line.most_calls,
                "refused": refused,
            },
        )  # fmt: skip
        if row is None and refused:
            raise TooMany("Nobody could hold this call at the moment. Try again in a minute.", retry_after=60.0)
        if row is None:
            raise TooMany("This line has as many calls as it may have. Try again when one has ended.")
        if is_new:
            call = OutgoingCall(str(row["id"]), dialed, ring_seconds)
            task = asyncio.create_task(self._ring(channel, call), name=call.id)
            self._ringing.add(task)
            task.add_done_callback(self._ringing.discard)
        return _placed(row)

    async def get(self, principal: Principal, call_id: str) -> PlacedCall:
        """How a call out is doing. Raises: AccessDenied, NotFound."""
        principal.require("conversation.read")
        row = await self._rows.get_out(principal.workspace_id, _uuid(call_id))
        if row is None:
            raise NotFound("There is no such call.")
        return _placed(row)

    async def answered(self, secret: str, uuid: str, *, is_machine: bool) -> None:
        """The dialplan has the person called on the line, and audio is about to connect.

        Raises: NotFound, Conflict (`reason` "machine", "over": hang up), DatabaseAway.
        """
        with or_away():
            channel = await self._lines.by_secret(secret)
            assert channel.offer.line is not None
            is_over = is_machine and channel.offer.line(channel.settings).hangs_up_on_machines
            result = "machine" if is_over else "answered"
            row = await self._rows.answered(channel.workspace_id, _uuid(uuid), channel.id, result)
        if row is None:
            raise Conflict("This call was given up.", reason="over")
        if is_over:
            raise Conflict("A machine answered.", reason="machine")

    async def failed(self, secret: str, uuid: str, reason: str) -> None:
        """The dialplan tells that nobody answered; the manager may still say more precisely why. Raises: NotFound, DatabaseAway."""
        with or_away():
            channel = await self._lines.by_secret(secret)
            if await self._rows.get(channel.workspace_id, _uuid(uuid), channel.id) is None:
                raise NotFound("This line has no such call.")
            await self._rows.settle(channel.workspace_id, uuid, _REASONS.get(reason, "failed"))

    async def close(self) -> None:
        """Stop listening for how calls end; the dialplan tells it from now on."""
        ringing = [*self._ringing]
        for task in ringing:
            task.cancel()
        await asyncio.gather(*ringing, return_exceptions=True)

    async def _ring(self, channel: OpenChannel, call: OutgoingCall) -> None:
        assert channel.offer.place is not None
        try:
            result = await channel.offer.place(channel.settings, call)
        except OutcomeUnknown:
            log.warning("call_out_untold", call=call.id)
            return
        except BuilderError as error:
            log.warning("call_out_not_placed", call=call.id, reason=error.code)
            result = "failed"
        await self._rows.settle(channel.workspace_id, call.id, result)


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise NotFound("There is no such line or call in this workspace.") from None


def _placed(row: Row) -> PlacedCall:
    return PlacedCall(
        id=str(row["id"]), number=row["did"], state=row["state"], result=row["result"],
        conversation_id=str(row["conversation_id"] or ""), started_at=row["started_at"], answered_at=row["answered_at"],
        ended_at=row["ended_at"],
    )  # fmt: skip
