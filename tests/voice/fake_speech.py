"""A recogniser that knows what will be said, and a voice whose words can be told from its sound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import cache

from graph_runtime.contract.errors import Unreachable
from graph_runtime.contract.speech import Audio, ListenRequest, SpeakRequest, Transcript
from tests.voice import sounds

MS_PER_CHARACTER = 30


LONGEST_MS = 6_000


@cache
def _speech() -> bytes:
    return sounds.voice(LONGEST_MS, seed=1, pitch=200, level_db=-18)


def sound_of(length: int) -> bytes:
    """Something like speech, for so many characters."""
    return _speech()[: min(max(length, 4) * MS_PER_CHARACTER, LONGEST_MS) * 16]


class FakeSynthesizer:
    """Speaks at once; keeps what it was asked for. `fails` and `breaks_off` make it raise; `waits` makes it late."""

    provider = name = "fake"

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.languages: list[str] = []
        self.fails = self.breaks_off = False
        self.waits = 0.0
        sound_of(0)  # takes a while the first time, which must not be while a call is held

    async def speak(self, request: SpeakRequest) -> AsyncIterator[Audio]:
        self.texts.append(request.text)
        self.languages.append(request.language)
        if self.fails:
            raise Unreachable("The fake voice is away.")
        if self.breaks_off:
            yield Audio(sound_of(4), 8000)
            raise Unreachable("The fake voice broke off.")
        await asyncio.sleep(self.waits)
        audio = sound_of(len(request.text))
        for at in range(0, len(audio), 4000):
            yield Audio(audio[at : at + 4000], 8000)

    async def warm_up(self) -> None: ...
    async def aclose(self) -> None: ...


class FakeListening:
    """One utterance."""

    def __init__(self, owner: FakeTranscriber, request: ListenRequest) -> None:
        self.owner = owner
        self.request = request
        self.audio = bytearray()
        self.is_over = asyncio.Event()
        self.is_closed = False

    def feed(self, pcm: bytes) -> None:
        self.audio += pcm

    def finish(self) -> None:
        self.is_over.set()

    async def transcripts(self) -> AsyncIterator[Transcript]:
        await self.is_over.wait()
        self.owner.heard.append(bytes(self.audio))
        if self.owner.hangs:
            await self.owner.may_go.wait()
        if self.owner.fails:
            raise Unreachable("The fake recogniser is away.")
        yield Transcript(self.owner.texts.pop(0) if self.owner.texts else "", is_final=True, confidence=0.9)

    async def aclose(self) -> None:
        self.is_closed = True


class FakeTranscriber:
    """Understands the next of `texts`, whatever was said; `heard` keeps the audio of each utterance that was finished."""

    provider = name = "fake"

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.heard: list[bytes] = []
        self.listenings: list[FakeListening] = []
        self.fails = self.hangs = False
        self.may_go = asyncio.Event()

    def listen(self, request: ListenRequest) -> FakeListening:
        self.listenings.append(FakeListening(self, request))
        return self.listenings[-1]

    async def warm_up(self) -> None: ...
    async def aclose(self) -> None: ...
