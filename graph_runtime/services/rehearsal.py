"""A phone call played as text: what a tester types is heard as speech, keys, or the end of a transfer."""

from __future__ import annotations

from typing import Any, Final, get_args

from graph_runtime.contract.calls import (
    Digits,
    Heard,
    Record,
    Recorded,
    Silence,
    Speech,
    Transfer,
    TransferOutcome,
    Transferred,
    load_on_call,
)
from graph_runtime.contract.errors import Conflict, NotFound
from graph_runtime.engine.checkpoint import decode
from graph_runtime.services.call_triggers import CallTriggers
from graph_runtime.services.conversation_side import ConversationSide
from graph_runtime.services.principal import Principal
from graph_runtime.storage.phone_calls import PhoneCallRows

OUTCOMES: Final = frozenset(get_args(TransferOutcome))
WORDS_A_SECOND: Final = 2.5


class Rehearsal:
    """For test conversations whose channel is a phone: no line, no audio, the same turns."""

    def __init__(self, side: ConversationSide) -> None:
        self._rows = PhoneCallRows(side.database)
        self._triggers = CallTriggers(side.store, side.starts, side.live)

    async def waits(self, principal: Principal, conversation_id: str) -> dict[str, Any]:
        """What the call waits for, as JSON (`Listen`, `Record`, `Transfer`); empty: it listens, or is over.

        Raises: AccessDenied, NotFound.
        """
        on_call = await self._on_call(principal, conversation_id)
        return on_call.model_dump(mode="json") if on_call is not None else {}

    async def hear(self, principal: Principal, conversation_id: str, text: str, *, choice: str = "", key: str) -> None:
        """The tester speaks or presses keys; while a transfer rings, `choice` says how it ends.

        Raises: AccessDenied, NotFound, Conflict when the conversation is over.
        """
        on_call = await self._on_call(principal, conversation_id)
        heard: Heard
        if isinstance(on_call, Transfer):
            heard = Transferred.model_validate({"result": choice if choice in OUTCOMES else "answered"})
        elif isinstance(on_call, Record):
            heard = Recorded(text=text, duration_ms=round(len(text.split()) / WORDS_A_SECOND * 1000))
        elif text.strip() and not text.strip().strip("0123456789*#"):
            heard = Digits(digits=text.strip().rstrip("#") or "#")
        else:
            heard = Speech(text=text, confidence=1.0)
        await self._take(principal, conversation_id, key, heard)

    async def stay_silent(self, principal: Principal, conversation_id: str, *, key: str) -> None:
        """The caller says nothing, until the step gives up asking. Raises: AccessDenied, NotFound, Conflict."""
        await self._on_call(principal, conversation_id)
        await self._take(principal, conversation_id, key, Silence())

    async def _take(self, principal: Principal, conversation_id: str, key: str, heard: Heard) -> None:
        accepted = await self._triggers.take(
            principal.workspace_id, conversation_id, f"{conversation_id}:{key}", heard, client_id=key
        )
        if accepted is None or accepted.inbox_id is None:
            raise Conflict("This conversation is over. Start a new one.", reason="conversation_ended")

    async def _on_call(self, principal: Principal, conversation_id: str) -> Any:
        principal.require("flow.edit")
        place = await self._rows.place(principal.workspace_id, conversation_id)
        if place is None or not place["is_test"]:
            raise NotFound("There is no such test conversation here.", conversation_id=conversation_id)
        state = decode(place["checkpoint"])[1] if place["checkpoint"] else {}
        return load_on_call(state.get("w"))
