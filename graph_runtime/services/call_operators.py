"""Warm transfers: the operator hears what the call is about, and takes it or not, before the caller is connected."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from graph_runtime.contract.calls import (
    PHONE,
    CallEvent,
    DigitMap,
    Digits,
    HangUp,
    Heard,
    Listen,
    MessageEnds,
    Silence,
    Transfer,
    Words,
    load_on_call,
)
from graph_runtime.contract.speakable import speakable
from graph_runtime.engine.checkpoint import decode
from graph_runtime.services.call_speaking import Speaking
from graph_runtime.services.call_turns import PhoneCall
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.phone_lines import PhoneLines
from graph_runtime.storage.phone_calls import PhoneCallRows

ACCEPT, DECLINE = "1", "2"
_ASK: Final = {
    "en": "A call for you. Press 1 to take it, 2 to decline.",
    "ru": "Вам звонок. Нажмите 1, чтобы принять, 2, чтобы отказаться.",
    "uk": "Вам дзвінок. Натисніть 1, щоб прийняти, 2, щоб відмовитися.",
}
_KEYS: Final = Listen(
    takes_speech=False, digits=DigitMap(most=1), no_input_ms=6000, repeats=0, endpoint_ms=450, min_words=20
)  # fmt: skip
MOST_SILENCES: Final = 1


@dataclass(frozen=True, slots=True)
class CallOperators:
    """The operator's audio is a call of its own for the media process, whose turns are these."""

    rows: PhoneCallRows
    lines: PhoneLines

    async def attach(self, workspace_id: str, whisper_id: str) -> PhoneCall | None:
        """None when nobody is to be asked over this audio (any more)."""
        row = await self.rows.attach_operator(workspace_id, whisper_id)
        if row is None or row["conversation_id"] is None:
            return None
        conversation_id = str(row["conversation_id"])
        place = await self.rows.place(workspace_id, conversation_id)
        if place is None:
            return None
        _, line = await self.lines.settings(workspace_id, str(row["channel_id"]))
        agent_id, channel_id = str(row["agent_id"]), str(row["channel_id"])
        return PhoneCall(
            uuid=whisper_id, workspace_id=workspace_id, agent_id=agent_id, channel_id=channel_id,
            conversation_id=conversation_id, language=place["language"], line=line, from_number=row["from_number"],
            did=row["did"], epoch=1, is_new=True,
            access=ChannelAccess(workspace_id, agent_id, channel_id, row["from_number"], PHONE),
            speaking=Speaking(place["language"], line), is_operator=True,
        )  # fmt: skip

    async def events(self, call: PhoneCall, heard: Heard) -> AsyncGenerator[CallEvent, None]:
        """One turn with the operator: the summary and the question, until a key or the second silence."""
        voice = call.speaking.voice()
        if isinstance(heard, Digits) and heard.digits in (ACCEPT, DECLINE):
            said = "accepted" if heard.digits == ACCEPT else "declined"
            await self.rows.operator_said(call.workspace_id, call.uuid, said)
            yield HangUp(said, voice)
            return
        call.heard += isinstance(heard, Silence)
        if call.heard > MOST_SILENCES:
            await self.rows.operator_said(call.workspace_id, call.uuid, "declined")
            yield HangUp("declined", voice)
            return
        key = f"{call.uuid}:{call.heard}"
        summary = speakable(await self._summary(call), call.language)
        yield Words(key, f"{summary} {_ASK.get(call.language, _ASK['en'])}".strip(), "", voice)
        yield MessageEnds(key)
        yield _KEYS

    async def _summary(self, call: PhoneCall) -> str:
        place = await self.rows.place(call.workspace_id, call.conversation_id)
        state = decode(place["checkpoint"])[1] if place and place["checkpoint"] else {}
        waits = load_on_call(state.get("w"))
        return waits.summary if isinstance(waits, Transfer) else ""
