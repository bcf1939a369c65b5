"""Every connector of speech with its way to a local stand-in, or to the real library on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.faster_whisper import connector as faster_whisper
from connectors.google_speech import connector as google_speech
from connectors.offline_speech import connector as offline_speech
from connectors.offline_speech.speech import missing
from connectors.openai import connector as openai
from graph_runtime.contract.speech import ListenRequest, SpeakRequest, Synthesizer, Transcriber, Transcript
from tests.fakes.google_speech import GoogleSpeech
from tests.fakes.openai_speech import OpenAiSpeech

needs_offline = pytest.mark.skipif(bool(missing()), reason="the extra offline-voice is not installed")
CANARY = "canary-secret-4711"


@dataclass
class SpeechWire:
    """One connector. `fail` lets the next call go wrong; `pids` are its helper processes."""

    name: str
    module: Any
    settings: Any
    transcriber: Transcriber | None
    synthesizer: Synthesizer | None
    fail: Callable[[str], None] | None = None
    left: Any = None

    @property
    def connector(self) -> Any:
        return self.module.CONNECTOR

    def pids(self) -> list[int]:
        """Of helper processes that run."""
        found: list[int] = []
        for one in (self.transcriber, self.synthesizer):
            helper = getattr(one, "_helper", None) or getattr(one, "_pool", None)
            if helper is not None:
                found += helper.pids if hasattr(helper, "pids") else [p for p in (helper.pid,) if p]
        return found

    def kill(self) -> None:
        """End its helper processes as a crash would."""
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)

    async def aclose(self) -> None:
        for one in (self.transcriber, self.synthesizer):
            if one is not None:
                await one.aclose()


def make(name: str, google: GoogleSpeech, vendor: OpenAiSpeech, whisper: Path) -> SpeechWire:
    """The connector of that name."""
    if name == "google_speech":
        settings: Any = google_speech.Settings(key=SecretStr(google.account), base_url=google.url, voice_url=google.url)
        hear, speak = google_speech.transcriber(settings, ""), google_speech.synthesizer(settings)
        wire = SpeechWire(name, google_speech, settings, hear, speak, left=google.left)
        wire.fail = lambda fault: setattr(google, "fault", fault)
        return wire
    if name == "openai":
        settings = openai.Settings(key=SecretStr(CANARY), base_url=vendor.url)
        wire = SpeechWire(name, openai, settings, openai.transcriber(settings, ""), openai.synthesizer(settings))
        wire.fail = lambda fault: setattr(vendor, "fault", fault)
        wire.left = vendor.left
        return wire
    if name == "faster_whisper":
        settings = faster_whisper.Settings(model=str(whisper), compute_type="float32")
        return SpeechWire(name, faster_whisper, settings, faster_whisper.transcriber(settings, ""), None)
    if missing():
        pytest.skip("the extra offline-voice is not installed")
    offer_in, offer_out = offline_speech.CONNECTOR.transcriber, offline_speech.CONNECTOR.synthesizer
    assert offer_in is not None
    assert offer_out is not None
    settings = offline_speech.Settings()
    return SpeechWire(name, offline_speech, settings, offer_in.open(settings, ""), offer_out.open(settings))


NAMES = ("google_speech", "openai", "faster_whisper", "offline_speech")
HEARING = NAMES
SPEAKING = ("google_speech", "openai", "offline_speech")
FAKED = ("google_speech", "openai")


def numbers(first: int, last: int, rate: int = 8000) -> bytes:
    """A tenth of a second of each number, which the stand-ins hear as words."""
    return b"".join(n.to_bytes(2, "little", signed=True) * (rate // 10) for n in range(first, last + 1))


async def hear(transcriber: Transcriber, pcm: bytes, **more: Any) -> list[Transcript]:
    """Feed 20 ms at a time and take everything."""
    request = ListenRequest(**({"rate": 8000} | more))
    listening = transcriber.listen(request)
    step = request.rate // 50 * 2
    try:
        for at in range(0, len(pcm), step):
            listening.feed(pcm[at : at + step])
        listening.finish()
        return [t async for t in listening.transcripts()]
    finally:
        await listening.aclose()


def finals(transcripts: list[Transcript]) -> str:
    """The utterance."""
    return " ".join(t.text for t in transcripts if t.is_final)


async def speak(synthesizer: Synthesizer, text: str, **more: Any) -> tuple[bytes, set[int]]:
    """All samples and the rates stated."""
    pcm, rates = b"", set()
    async with contextlib.aclosing(_generator(synthesizer.speak(SpeakRequest(text, **more)))) as source:
        async for audio in source:
            assert audio.pcm
            assert len(audio.pcm) % 2 == 0
            pcm += audio.pcm
            rates.add(audio.rate)
    return pcm, rates


def _generator(source: AsyncIterator[Any]) -> Any:
    assert hasattr(source, "aclose"), "closing the iterator stops the work"
    return source
