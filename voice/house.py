"""What all calls of a process share: the clock, the detector, the services and the voices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from graph_runtime.contract.calls import CallEvent, Heard, Sound, Speech, TurnTimes
from graph_runtime.contract.speech import Synthesizer, Transcriber
from graph_runtime.services.call_turns import PhoneCall
from graph_runtime.services.phrase_cache import PhraseCache
from voice.clock import Clock
from voice.recording import Recorder
from voice.voice_activity import Detector


class PhoneService(Protocol):
    """What a call needs of `PhoneCalls`; its docstrings hold."""

    async def attach(self, uuid: str, full: str = "") -> PhoneCall: ...
    def turn(self, call: PhoneCall, heard: Heard) -> AsyncGenerator[CallEvent, None]: ...
    def think_ahead(self, call: PhoneCall, speech: Speech) -> None: ...
    def think_no_more(self, call: PhoneCall) -> None: ...
    async def heard_until(self, call: PhoneCall, key: str, text: str) -> None: ...
    async def spoken(self, call: PhoneCall) -> None: ...
    async def let_go(self, call: PhoneCall, *, again: bool = False) -> None: ...
    async def gone(self, call: PhoneCall) -> None: ...
    async def keep_recording(self, call: PhoneCall, wav: bytes) -> str: ...
    async def keep_part(self, call: PhoneCall, part: int, sound: bytes) -> None: ...
    async def sound(self, call: PhoneCall, sound: Sound) -> bytes: ...
    async def measured(self, call: PhoneCall, times: TurnTimes) -> None: ...


@dataclass(slots=True)
class SpeechParts:
    """What hears and speaks on one call; `voice` for words that name none.

    `backup` speaks from the moment the synthesizer failed, in a voice of its own choice; None: nothing does.
    """

    transcriber: Transcriber
    synthesizer: Synthesizer
    voice: str = ""
    backup: Synthesizer | None = None

    def fall_back(self) -> bool:
        """The synthesizer failed: whether another one speaks from now on."""
        if self.backup is None:
            return False
        self.synthesizer, self.voice, self.backup = self.backup, "", None
        return True


@dataclass(frozen=True, slots=True)
class Waiting:
    """How the wait for an answer is measured, in seconds; tests move it."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep


@dataclass(slots=True)
class House:
    """One per process."""

    clock: Clock
    detector: Detector
    phone: PhoneService
    speech: Callable[[PhoneCall], Awaitable[SpeechParts]]
    """Raises: ConnectorError when nothing is installed or chosen."""

    phrases: PhraseCache = field(default_factory=PhraseCache)
    monotonic: Callable[[], float] = time.monotonic
    recorder: Recorder = field(default_factory=Recorder)
    waiting: Waiting = field(default_factory=Waiting)
