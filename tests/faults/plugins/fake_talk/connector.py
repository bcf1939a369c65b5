"""A voice that can be read back from its sound, and ears that understand nothing: these callers use their keys."""

from __future__ import annotations

from collections.abc import AsyncIterator

from graph_runtime.contract.connectors import CheckResult, Connector, CredentialSettings
from graph_runtime.contract.speech import (
    Audio,
    ListenRequest,
    OfferedTranscriber,
    SpeakRequest,
    SynthesizerOffer,
    Transcriber,
    TranscriberOffer,
    Transcript,
    Voice,
)
from tests.voice.readable_speech import speech


class Settings(CredentialSettings):
    """Nothing to fill in."""


class ReadableVoice:
    """Speaks at once."""

    provider = name = "fake_talk"

    async def speak(self, request: SpeakRequest) -> AsyncIterator[Audio]:
        yield Audio(speech(request.text), 8000)

    async def warm_up(self) -> None: ...
    async def aclose(self) -> None: ...


class _Deaf:
    def feed(self, pcm: bytes) -> None: ...
    def finish(self) -> None: ...

    async def transcripts(self) -> AsyncIterator[Transcript]:
        yield Transcript("", is_final=True)

    async def aclose(self) -> None: ...


class DeafEars:
    """Understand nothing."""

    provider = name = "fake_talk"

    def listen(self, request: ListenRequest) -> _Deaf:
        return _Deaf()

    async def warm_up(self) -> None: ...
    async def aclose(self) -> None: ...


async def check(_settings: Settings) -> CheckResult:
    return CheckResult(ok=True, message="Ready.")


def _ears(_settings: object, _model: str) -> Transcriber:
    return DeafEars()


CONNECTOR = Connector(
    id="fake_talk",
    label="Readable speech",
    summary="Speaks so that every word can be read back.",
    settings=Settings,
    kinds=frozenset({"transcriber", "synthesizer"}),
    needs_credential=False,
    check=check,
    transcriber=TranscriberOffer(
        open=_ears, models=(OfferedTranscriber("deaf", "Understands nothing"),), is_offline=True, needs_key=False
    ),
    synthesizer=SynthesizerOffer(
        open=lambda _settings: ReadableVoice(), voices=(Voice("one", "The only one"),), is_offline=True, needs_key=False
    ),
)
