"""Calls as the voice process holds them, with everything but services and engines: those answer at once, from memory."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from typing import Any

from graph_runtime.contract.calls import (
    CallEvent,
    Heard,
    LineSettings,
    Listen,
    MessageEnds,
    Sound,
    Speech,
    TurnTimes,
    Voice,
    Words,
)
from graph_runtime.contract.speech import Audio, ListenRequest, SpeakRequest, Transcript
from graph_runtime.services.call_speaking import Speaking
from graph_runtime.services.call_turns import PhoneCall
from graph_runtime.services.principal import Principal
from tests.voice import sounds
from voice.call import Call
from voice.clock import Clock
from voice.house import House, SpeechParts, Waiting
from voice.voice_activity import Detector

ENDPOINT_MS = 400
ANSWER_MS = 2500
_LINE = LineSettings(dial_template="{number}", endpoint_ms=ENDPOINT_MS, no_input_ms=60_000)
_VOICE = Voice("en")


class AtOnce:
    """Understands, answers and speaks without a moment's thought. `answers` counts turns."""

    provider = name = "at once"

    def __init__(self) -> None:
        self.answers = 0
        self._speech = sounds.voice(ANSWER_MS, seed=1, pitch=200, level_db=-18)

    # as a synthesizer and a recogniser

    async def speak(self, _: SpeakRequest) -> AsyncIterator[Audio]:
        for at in range(0, len(self._speech), 4000):
            yield Audio(self._speech[at : at + 4000], 8000)

    def listen(self, _: ListenRequest) -> Utterance:
        return Utterance()

    async def warm_up(self) -> None: ...
    async def aclose(self) -> None: ...

    # as the service

    async def attach(self, uuid: str, full: str = "") -> PhoneCall:
        return PhoneCall(
            uuid=uuid, workspace_id="", agent_id="", channel_id="", conversation_id="", language="en", line=_LINE,
            from_number="", did="", epoch=1, is_new=True, access=Principal("", None, "owner", frozenset()),
            speaking=Speaking("en", _LINE),
        )  # fmt: skip

    async def turn(self, call: PhoneCall, heard: Heard) -> AsyncGenerator[CallEvent, None]:
        self.answers += 1
        key = f"{call.uuid}:{self.answers}"
        yield Words(key, "So that is what you have said.", "n", _VOICE)
        yield MessageEnds(key)
        call.waits = Listen(endpoint_ms=ENDPOINT_MS, no_input_ms=60_000)
        yield call.waits

    async def sound(self, call: PhoneCall, sound: Sound) -> bytes:
        return b""

    async def keep_recording(self, call: PhoneCall, wav: bytes) -> str:
        return ""

    def think_ahead(self, call: PhoneCall, speech: Speech) -> None: ...
    def think_no_more(self, call: PhoneCall) -> None: ...
    async def heard_until(self, call: PhoneCall, key: str, text: str) -> None: ...
    async def spoken(self, call: PhoneCall) -> None: ...
    async def let_go(self, call: PhoneCall, *, again: bool = False) -> None: ...
    async def gone(self, call: PhoneCall) -> None: ...
    async def keep_part(self, call: PhoneCall, part: int, sound: bytes) -> None: ...
    async def measured(self, call: PhoneCall, times: TurnTimes) -> None: ...


class Utterance:
    """Says "yes" when it is over."""

    def __init__(self) -> None:
        self._over = asyncio.Event()

    def feed(self, pcm: bytes) -> None:
        """Listens to nothing."""

    def finish(self) -> None:
        self._over.set()

    async def transcripts(self) -> AsyncIterator[Transcript]:
        await self._over.wait()
        yield Transcript("yes", is_final=True, confidence=0.9)

    async def aclose(self) -> None: ...


class Calls:
    """Takes every call. `monotonic` is the clock's."""

    def __init__(self, clock: Clock, detector: Detector, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.at_once = AtOnce()
        self._on: set[Call] = set()
        self._gone = _counted(())

        async def speech(_: PhoneCall) -> SpeechParts:
            engine: Any = self.at_once
            return SpeechParts(engine, engine)

        self._house = House(
            clock, detector, self.at_once, speech, monotonic=monotonic, waiting=Waiting(monotonic, asyncio.sleep)
        )

    def admit(self, call_id: uuid.UUID) -> Call:
        """One more."""
        call = Call(self._house, call_id, self._over)
        self._on.add(call)
        return call

    def figures(self) -> dict[str, float]:
        """Of all calls so far, those that are over among them."""
        on = _counted(self._on)
        return {"answers": self.at_once.answers} | {name: on[name] + gone for name, gone in self._gone.items()}

    def _over(self, call: Call) -> None:
        if call in self._on:
            self._on.remove(call)
            for name, count in _counted((call,)).items():
                self._gone[name] += count


def _counted(calls: Iterable[Call]) -> dict[str, float]:
    calls = tuple(calls)
    return {
        "underruns": sum(c._playout.counts.underruns for c in calls if c._playout is not None),
        "interruptions": sum(c.counts.interruptions for c in calls),
        "false_interruptions": sum(c.counts.false_interruptions for c in calls),
    }
