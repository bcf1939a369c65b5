"""The offline synthesizer and transcriber: each asks a helper process of its own."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncGenerator, AsyncIterator

from connectors._processes.child_process import Helper
from connectors._speech.errors import NO_LANGUAGE
from connectors._speech.helping import SPEECH
from connectors._speech.listening import Frames, TaskListening
from connectors._speech.waiting import audio_within
from connectors.offline_speech.texts import NOT_INSTALLED
from graph_runtime.contract.errors import Refused
from graph_runtime.contract.speech import Audio, ListenRequest, SpeakRequest, Transcript, Voice, speaks

VOICES = (
    Voice("gmw/en-US", "English (United States)", ("en",)),
    Voice("gmw/en", "English (Great Britain)", ("en",)),
    Voice("gmw/en-GB-x-rp", "English (received pronunciation)", ("en",)),
    Voice("zle/ru", "Russian", ("ru",)),
    Voice("zle/uk", "Ukrainian", ("uk",)),
)
LANGUAGES = ("en", "ru", "uk")
HEARD = ("en",)
YES_NO = ("yes", "no", "yes please", "no thanks")


def missing() -> str:
    """A sentence when the extra is not installed."""
    found = all(importlib.util.find_spec(name) for name in ("espeakng_loader", "pocketsphinx"))
    return "" if found else NOT_INSTALLED


class EspeakSynthesizer:
    """Speaks English, Russian and Ukrainian, about a thousand times faster than it is heard."""

    provider = "offline_speech"
    name = "espeak-ng"

    def __init__(self) -> None:
        self._helper = Helper("connectors.offline_speech.espeak_process", {}, SPEECH)

    def speak(self, request: SpeakRequest) -> AsyncIterator[Audio]:
        """As in the contract; `rate` is always 22 050."""
        return audio_within(request, self._pieces(request))

    async def _pieces(self, request: SpeakRequest) -> AsyncGenerator[Audio, None]:
        voice = _voice(request)
        if not any(character.isalnum() for character in request.text):
            return
        self._require()
        job = await self._helper.begin({"text": request.text, "voice": voice, "speed": request.speed})
        try:
            async for head, pcm in job.results():
                yield Audio(pcm, head["rate"])
        finally:
            job.cancel()

    async def warm_up(self) -> None:
        """Start the process (0.1 s)."""
        self._require()
        await self._helper.start()

    async def aclose(self) -> None:
        """End the process."""
        await self._helper.aclose()

    @staticmethod
    def _require() -> None:
        if sentence := missing():
            raise Refused(sentence)


class SphinxTranscriber:
    """Understands which of the expected English answers was given; nothing else."""

    provider = "offline_speech"
    name = "pocketsphinx"

    def __init__(self) -> None:
        self._helper = Helper("connectors.offline_speech.pocketsphinx_process", {}, SPEECH)

    def listen(self, request: ListenRequest) -> TaskListening:
        """As in the contract; `options` and `hints` together are the grammar, yes and no when there are none."""
        return TaskListening(request, lambda frames: self._recognise(request, frames))

    async def _recognise(self, request: ListenRequest, frames: Frames) -> AsyncGenerator[Transcript, None]:
        if not speaks(HEARD, request.language):
            raise Refused(NO_LANGUAGE, language=request.language)
        if sentence := missing():
            raise Refused(sentence)
        phrases = list(dict.fromkeys([*request.options, *request.hints])) or list(YES_NO)
        job = await self._helper.begin({"phrases": phrases, "rate": request.rate})
        try:
            async for pcm in frames:
                job.audio(pcm)
            job.finish()
            async for head, _ in job.results():
                yield Transcript(head["text"], is_final=True, confidence=head["confidence"], language="en")
        finally:
            job.cancel()

    async def warm_up(self) -> None:
        """Start the process and load the model (0.6 s)."""
        if sentence := missing():
            raise Refused(sentence)
        await self._helper.start()

    async def aclose(self) -> None:
        """End the process."""
        await self._helper.aclose()


def _voice(request: SpeakRequest) -> str:
    fitting = [v.id for v in VOICES if speaks(v.languages, request.language)]
    if not fitting:
        raise Refused(NO_LANGUAGE, language=request.language)
    return request.voice if request.voice in fitting else fitting[0]
