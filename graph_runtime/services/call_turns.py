"""The turns of an attached call: one thing heard in, and out what the agent says while its turn runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from graph_runtime.contract.calls import (
    LONGEST_HOLD_SECONDS,
    MOST_SINGLE_KEYS,
    Begin,
    CallEvent,
    DigitMap,
    HangUp,
    Heard,
    Hold,
    HungUp,
    LineSettings,
    Listen,
    Record,
    Recorded,
    Silence,
    Transfer,
    load_on_call,
)
from graph_runtime.contract.errors import Conflict, NotFound
from graph_runtime.contract.speakable import is_scale, speakable
from graph_runtime.engine.checkpoint import decode
from graph_runtime.services.call_speaking import Speaking
from graph_runtime.services.call_triggers import CallTriggers
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.live import Live, LiveEvent
from graph_runtime.services.principal import Principal
from graph_runtime.storage.conversations import ConversationReader
from graph_runtime.storage.database import Row
from graph_runtime.storage.phone_calls import PhoneCallRows
from graph_runtime.storage.turns import AcceptedTrigger

SECOND_LOOK_SECONDS: Final = 1.0
LONGEST_HOLD: Final = timedelta(seconds=LONGEST_HOLD_SECONDS)
"""Whoever is asked to wait longer on the line is called back by the flow instead."""
_NOT_HEARD: Final = {
    "en": "I cannot hear you. Please call again. Goodbye.",
    "ru": "Я вас не слышу. Перезвоните, пожалуйста. До свидания.",
    "uk": "Я вас не чую. Зателефонуйте, будь ласка, ще раз. До побачення.",
}


class Replaced(Conflict):
    """Another attachment holds this call now, or the call is over."""

    code = "call_replaced"


@dataclass(slots=True)
class PhoneCall:
    """One attached call. `epoch` counts attachments: an older holder of the same call finds itself replaced.

    `is_new`: this is the first attachment; otherwise a process died or a transfer was not answered, and `Begin` goes on.
    `waits`: how the last turn ended; None before the first.
    """

    uuid: str
    workspace_id: str
    agent_id: str
    channel_id: str
    conversation_id: str
    language: str
    line: LineSettings
    from_number: str
    did: str
    epoch: int
    is_new: bool
    access: ChannelAccess | Principal
    """Of the caller; the program's own for a member who tries the agent."""
    speaking: Speaking
    heard: int = 0
    taking: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One thing heard is committed after another, in order."""
    waits: Listen | Record | Transfer | HangUp | None = None
    is_operator: bool = False
    """It is the operator of a warm transfer who listens, not the caller."""


@dataclass(frozen=True, slots=True)
class CallTurns:
    """Runs nothing itself: a trigger is committed, its turn runs here or elsewhere, and its news is passed on."""

    rows: PhoneCallRows
    reader: ConversationReader
    live: Live
    triggers: CallTriggers
    clock: Clock = system_clock

    async def events(self, call: PhoneCall, heard: Heard) -> AsyncGenerator[CallEvent, None]:
        """As `PhoneCalls.turn`."""
        if not isinstance(heard, Begin):
            await self._place(call)  # in which language now
            silences = await self.rows.hear(
                call.workspace_id, call.uuid, call.epoch,
                is_silence=isinstance(heard, Silence), is_message=isinstance(heard, Recorded),
            )  # fmt: skip
            if silences is None:
                raise Replaced("This call is held by another process, or is over.", call=call.uuid)
            if isinstance(heard, Silence) and await self._asks_again(call, silences):
                for event in await self._open_question(call, f"~{call.epoch}.{silences}"):
                    yield event
                assert call.waits is not None
                yield call.waits
                return
        place = (call.workspace_id, call.conversation_id)
        async with self.live.subscribe(*place, after_seq=call.speaking.seq) as news:
            inbox_id = ""
            if not isinstance(heard, Begin):
                # Whoever stops listening to this turn does not unsay what was heard.
                accepted = await asyncio.shield(asyncio.ensure_future(self._take(call, heard)))
                if isinstance(heard, HungUp):
                    return
                inbox_id = str(accepted.inbox_id or "")
            has_spoken = False
            async with aclosing(self._said(call, news, inbox_id)) as said:
                async for event in said:
                    has_spoken = True
                    yield event
            if isinstance(heard, Begin) and not has_spoken:
                for event in await self._open_question(call, f"~{call.epoch}"):
                    yield event
            is_unheard = isinstance(heard, Silence) and not has_spoken
            async with aclosing(self._end(call, news, is_unheard=is_unheard)) as end:
                async for event in end:
                    yield event

    async def _take(self, call: PhoneCall, heard: Heard) -> AcceptedTrigger:
        async with call.taking:
            accepted = await self.triggers.take(
                call.workspace_id, call.conversation_id, f"{call.uuid}:{call.epoch}:{call.heard + 1}", heard
            )
            if accepted is None:
                raise NotFound("The conversation of this call does not exist any more.")
            call.heard += 1
            return accepted

    async def _said(
        self, call: PhoneCall, news: AsyncIterator[LiveEvent], inbox_id: str
    ) -> AsyncGenerator[CallEvent, None]:
        """Until the turn of a trigger is final; with none, until no turn runs."""

        async def is_done() -> bool:
            if inbox_id:
                return await self.reader.inbox_state(call.workspace_id, inbox_id) not in ("pending", "held")
            place = await self._place(call)
            return not place["is_running"]

        async with aclosing(self._until(call, news, inbox_id, is_done)) as events:
            async for event in events:
                yield event

    async def _until(
        self, call: PhoneCall, news: AsyncIterator[LiveEvent], turn_id: str, is_done: Callable[[], Awaitable[bool]]
    ) -> AsyncGenerator[CallEvent, None]:
        pending: asyncio.Future[LiveEvent] | None = None
        try:
            is_over = not turn_id and await is_done()
            while not is_over:
                if pending is None:
                    pending = asyncio.ensure_future(_next(news))
                done, _ = await asyncio.wait({pending}, timeout=SECOND_LOOK_SECONDS)
                if done:
                    happened = pending.result()
                    pending = None
                    for event in call.speaking.events(happened):
                        call.language = call.speaking.language
                        yield event
                    if happened["type"] == "turn" and turn_id and happened["turn_id"] == turn_id:
                        break
                    if happened["type"] not in ("turn", "ended", "closing"):
                        continue
                    if happened["type"] == "closing":
                        await asyncio.sleep(SECOND_LOOK_SECONDS / 4)
                is_over = await is_done()
        finally:
            if pending is not None:
                pending.cancel()
                await asyncio.gather(pending, return_exceptions=True)
        # What another process committed may not have been told yet.
        for message in await self.reader.messages(call.workspace_id, call.conversation_id, after_seq=call.speaking.seq):
            for event in call.speaking.events({"type": "message", "message": message}):
                yield event

    async def _end(
        self, call: PhoneCall, news: AsyncIterator[LiveEvent], *, is_unheard: bool = False
    ) -> AsyncGenerator[CallEvent, None]:
        """What the call does now; while the flow waits for time, what it says afterwards."""
        while True:
            place = await self._place(call)
            if place["status"] == "open" and place["waits"] == "time" and place["due_at"] is not None:
                due_at = place["due_at"]
                if due_at - self.clock() > LONGEST_HOLD:
                    call.waits = HangUp("waits", call.speaking.voice())
                    break
                yield Hold(due_at)

                async def has_moved(was: Any = due_at) -> bool:
                    now = await self._place(call)
                    return not now["is_running"] and (now["waits"] != "time" or now["due_at"] != was)

                async with aclosing(self._until(call, news, "", has_moved)) as events:
                    async for event in events:
                        yield event
                continue
            call.waits = await self._waits(call, place)
            if is_unheard and isinstance(call.waits, HangUp):
                words = _NOT_HEARD.get(call.language, _NOT_HEARD["en"])
                call.waits = HangUp("silence", call.speaking.voice(), words)
            break
        yield call.waits

    async def _open_question(self, call: PhoneCall, mark: str) -> list[CallEvent]:
        """What is open, to be said once more."""
        rows = await self.rows.open_question(call.workspace_id, call.conversation_id)
        return [event for row in rows for event in call.speaking.again(row, row["key"] + mark)]

    async def _asks_again(self, call: PhoneCall, silences: int) -> bool:
        call.waits = call.waits or await self._waits(call, await self._place(call))
        return isinstance(call.waits, Listen) and silences <= call.waits.repeats

    async def _place(self, call: PhoneCall) -> Row:
        place = await self.rows.place(call.workspace_id, call.conversation_id)
        if place is None:
            raise NotFound("The conversation of this call does not exist any more.")
        if not place["is_running"] and place["language"] != call.language:
            # A step changed it: from here on it is spoken, and listened to, in the other one.
            call.language = call.speaking.language = place["language"]
        return place

    async def _waits(self, call: PhoneCall, place: Row) -> Listen | Record | Transfer | HangUp:
        if place["status"] != "open":
            reason = "failed" if place["status"] == "quarantined" else place["result"] or "ended"
            return HangUp(reason, call.speaking.voice())
        state = decode(place["checkpoint"])[1] if place["checkpoint"] else {}
        on_call = load_on_call(state.get("w"))
        if isinstance(on_call, Record | Transfer):
            return on_call
        listen = on_call or Listen()
        if on_call is None or not on_call.hints:
            rows = await self.rows.open_question(call.workspace_id, call.conversation_id)
            listen = for_options(listen, rows, call.language, is_given=on_call is not None)
        return listen.model_copy(
            update={
                "endpoint_ms": listen.endpoint_ms or call.line.endpoint_ms,
                "no_input_ms": listen.no_input_ms or call.line.no_input_ms,
                "languages": listen.languages or (call.language,),
            }
        )


def for_options(listen: Listen, question: list[Row], language: str, *, is_given: bool) -> Listen:
    """Listen for the options that the question offers: their words, and their keys unless the step chose its own."""
    options = [o for row in question for part in row["parts"] if part["kind"] == "choices" for o in part["options"]]
    if not options:
        return listen
    labels = [speakable(o["label"], language) for o in options]
    highest = int(labels[-1]) if is_scale(labels) else len(labels)
    digits = listen.digits
    if digits is None and not is_given:
        two_keys = highest > MOST_SINGLE_KEYS
        digits = DigitMap(most=1 + two_keys, terminator="#" if two_keys else "")
    return listen.model_copy(update={"hints": tuple(labels), "digits": digits})


async def _next(news: AsyncIterator[LiveEvent]) -> LiveEvent:
    async for event in news:
        return event
    return {"type": "closing"}
