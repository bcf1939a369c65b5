"""Text-to-Speech: streamed with Chirp 3 HD voices, sentence by sentence with all others."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from connectors._speech.errors import UNREADABLE
from connectors._speech.waiting import audio_within
from connectors.google_speech.hearing import with_region
from connectors.google_speech.wire import VENDOR, Line, hides_its_reason, load, translate
from graph_runtime.contract.capabilities import split_text
from graph_runtime.contract.errors import BadAnswer
from graph_runtime.contract.speech import Audio, SpeakRequest, Voice, speaks

_ANY = ("en", "ru", "uk")
VOICES = (
    *(Voice(f"Chirp3-HD-{name}", f"{name} (Chirp 3 HD)", _ANY) for name in ("Achernar", "Aoede", "Kore", "Leda", "Charon", "Puck")),
    Voice("en-US-Neural2-C", "English, C (Neural2)", ("en-US",)),
    Voice("en-US-Neural2-D", "English, D (Neural2)", ("en-US",)),
    Voice("en-GB-Neural2-A", "English, Great Britain, A (Neural2)", ("en-GB",)),
    Voice("ru-RU-Wavenet-C", "Russian, C (WaveNet)", ("ru",)),
    Voice("ru-RU-Wavenet-D", "Russian, D (WaveNet)", ("ru",)),
    Voice("uk-UA-Wavenet-A", "Ukrainian, A (WaveNet)", ("uk",)),
)  # fmt: skip
STREAMED = "Chirp3-HD-"
SENTENCE = 200
_PREFIX = "/google.cloud.texttospeech.v1.TextToSpeech/"


class GoogleSynthesizer:
    """Google's voices."""

    provider = "google_speech"
    name = "text-to-speech"

    def __init__(self, line: Line) -> None:
        self._line = line

    def speak(self, request: SpeakRequest) -> AsyncIterator[Audio]:
        """As in the contract; at the rate that was wished for."""
        return audio_within(request, self._pieces(request))

    async def _pieces(self, request: SpeakRequest) -> AsyncGenerator[Audio, None]:
        if not any(character.isalnum() for character in request.text):
            return
        started = False
        try:
            await load()
            voice = full_name(request)
            parts = self._streamed(request, voice) if STREAMED in voice else self._whole(request, voice)
            async for pcm in parts:
                if pcm:
                    started = True
                    yield Audio(pcm, request.rate)
        except Exception as error:  # noqa: BLE001  # translated, never swallowed
            if hides_its_reason(error) and not started:
                await self.voices()  # refused for the same reason, and then it says so
            raise translate(error, started=started) from None
        if not started:
            raise BadAnswer(UNREADABLE, vendor=VENDOR)

    async def _streamed(self, request: SpeakRequest, voice: str) -> AsyncGenerator[bytes, None]:
        from google.cloud.texttospeech_v1 import types

        config = types.StreamingSynthesizeConfig(
            voice=_selected(voice),
            streaming_audio_config=types.StreamingAudioConfig(
                audio_encoding=types.AudioEncoding.PCM,
                sample_rate_hertz=request.rate,
                speaking_rate=request.speed,
            ),
        )
        method = self._line.call(
            "stream_stream",
            f"{_PREFIX}StreamingSynthesize",
            types.StreamingSynthesizeRequest,
            types.StreamingSynthesizeResponse,
        )
        call = method(metadata=self._line.metadata())
        try:
            await call.write(types.StreamingSynthesizeRequest(streaming_config=config))
            for text in split_text(request.text, 4000):
                await call.write(types.StreamingSynthesizeRequest(input=types.StreamingSynthesisInput(text=text)))
            await call.done_writing()
            async for response in call:
                yield response.audio_content
        finally:
            call.cancel()

    async def _whole(self, request: SpeakRequest, voice: str) -> AsyncGenerator[bytes, None]:
        from google.cloud.texttospeech_v1 import types

        method = self._line.call(
            "unary_unary", f"{_PREFIX}SynthesizeSpeech", types.SynthesizeSpeechRequest, types.SynthesizeSpeechResponse
        )
        audio = types.AudioConfig(
            audio_encoding=types.AudioEncoding.LINEAR16, sample_rate_hertz=request.rate, speaking_rate=request.speed
        )
        for sentence in split_text(request.text, SENTENCE):
            call = method(
                types.SynthesizeSpeechRequest(
                    input=types.SynthesisInput(text=sentence), voice=_selected(voice), audio_config=audio
                ),
                metadata=self._line.metadata(),
            )
            try:
                yield without_head((await call).audio_content, request.rate)
            finally:
                call.cancel()

    async def voices(self) -> list[str]:
        """What the account may use. Raises: as `speak`."""
        from google.cloud.texttospeech_v1 import types

        method = self._line.call(
            "unary_unary", f"{_PREFIX}ListVoices", types.ListVoicesRequest, types.ListVoicesResponse
        )
        try:
            answer = await method(types.ListVoicesRequest(), metadata=self._line.metadata(), timeout=15)
        except Exception as error:  # noqa: BLE001  # translated, never swallowed
            raise translate(error, started=False) from None
        return [voice.name for voice in answer.voices]

    async def warm_up(self) -> None:
        """Import Google's libraries and sign a token."""
        await load()
        self._line.metadata()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._line.aclose()


def full_name(request: SpeakRequest) -> str:
    """Google's name of the voice: the chosen one if it speaks the language, else the first of the list that does."""
    language = with_region(request.language)
    known = next((v for v in VOICES if v.id == request.voice), None)
    chosen = request.voice
    if not chosen or (known is not None and not speaks(known.languages, language)):
        chosen = VOICES[0].id
    return f"{language}-{chosen}" if chosen.startswith(STREAMED) else chosen


def without_head(answer: bytes, rate: int) -> bytes:
    """The samples of a WAV file, or the bytes as they are when there is no header. Raises: BadAnswer."""
    if not answer.startswith(b"RIFF"):
        return answer
    at = answer.find(b"data")
    if at < 0 or len(answer) < 44 or int.from_bytes(answer[24:28], "little") != rate:
        raise BadAnswer(UNREADABLE, vendor=VENDOR)
    return answer[at + 8 :]


def _selected(voice: str) -> Any:
    from google.cloud.texttospeech_v1 import types

    return types.VoiceSelectionParams(name=voice, language_code="-".join(voice.split("-")[:2]))
