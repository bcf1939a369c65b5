"""Speech of OpenAI and of every server with the same two addresses: /audio/transcriptions and /audio/speech."""

from __future__ import annotations

import io
import math
import wave
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from connectors._langchain import clients
from connectors._langchain.errors import UNREADABLE, from_status, translate
from connectors._speech.listening import Frames, TaskListening, collect
from connectors._speech.waiting import audio_within
from graph_runtime.contract.errors import BadAnswer, ConnectorError
from graph_runtime.contract.speech import Audio, ListenRequest, OfferedTranscriber, SpeakRequest, Transcript, Voice

TRANSCRIBERS = (
    OfferedTranscriber("gpt-4o-mini-transcribe", "GPT-4o mini transcribe: quick and inexpensive"),
    OfferedTranscriber("gpt-4o-transcribe", "GPT-4o transcribe: more exact"),
    OfferedTranscriber("whisper-1", "Whisper"),
)
SPEECH_MODEL = "gpt-4o-mini-tts"
VOICES = tuple(
    Voice(name, name.capitalize())
    for name in ("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse")
)
PCM_RATE = 24_000
_VENDOR = "OpenAI"
_WAV_HEAD = 44


class _Api:
    """The connections of one credential; opened at the first call and again after `aclose`."""

    def __init__(self, address: str, key: str) -> None:
        self._address = address
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._client: Any = None

    def request(self, path: str, **what: Any) -> Any:
        """A stream of an answer, as a context manager."""
        if self._client is None:
            self._client = clients.http_client()
        return self._client.stream("POST", f"{self._address}{path}", headers=self._headers, **what)

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


class OpenAiTranscriber:
    """Sends each utterance when it is over."""

    def __init__(self, provider: str, address: str, key: str, model: str) -> None:
        self.provider = provider
        self.name = model or TRANSCRIBERS[0].name
        self._api = _Api(address, key)

    def listen(self, request: ListenRequest) -> TaskListening:
        """As in the contract; hints and options become the prompt."""
        return TaskListening(request, lambda frames: self._recognise(request, frames))

    async def _recognise(self, request: ListenRequest, frames: Frames) -> AsyncGenerator[Transcript, None]:
        pcm = await collect(frames, request.rate)
        if not pcm:
            return
        fields: dict[str, Any] = {
            "model": self.name,
            "response_format": "json",
            "language": request.language.partition("-")[0],
        }
        if hints := ", ".join(dict.fromkeys([*request.options, *request.hints])):
            fields["prompt"] = hints[:1000]
        if self.provider == "openai" and self.name.startswith("gpt-4o"):
            fields["include[]"] = "logprobs"
        try:
            file = {"file": ("speech.wav", _wav(pcm, request.rate), "audio/wav")}
            async with self._api.request("/audio/transcriptions", data=fields, files=file) as answer:
                await answer.aread()
                if answer.status_code >= 300:
                    raise from_status(answer.status_code, answer.text[:4000], answer.headers, vendor=_VENDOR)
                found = answer.json()
                text = found["text"]
                if not isinstance(text, str):
                    raise BadAnswer(UNREADABLE)
        except ConnectorError:
            raise
        except (ValueError, KeyError, TypeError):
            raise BadAnswer(UNREADABLE, vendor=_VENDOR) from None
        except Exception as error:  # noqa: BLE001  # translated, never swallowed; the request holds the key
            raise translate(error, vendor=_VENDOR, started=False) from None
        yield Transcript(text.strip(), True, _confidence(found), request.language)

    async def warm_up(self) -> None:
        """Nothing to load but the HTTP library."""
        clients.tls()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._api.aclose()


class OpenAiSynthesizer:
    """Streams raw audio while it is made."""

    def __init__(self, provider: str, address: str, key: str, model: str) -> None:
        self.provider = provider
        self.name = model
        self._api = _Api(address, key)

    def speak(self, request: SpeakRequest) -> AsyncIterator[Audio]:
        """As in the contract; 24 000 unless the server answers with a WAV file of another rate."""
        return audio_within(request, self._pieces(request))

    async def _pieces(self, request: SpeakRequest) -> AsyncGenerator[Audio, None]:
        if not any(character.isalnum() for character in request.text):
            return
        body: dict[str, Any] = {
            "model": self.name,
            "voice": request.voice or VOICES[0].id,
            "input": request.text,
            "response_format": "pcm",
        }
        if request.speed != 1.0:
            body["speed"] = request.speed
        started = False
        try:
            async with self._api.request("/audio/speech", json=body) as answer:
                if answer.status_code >= 300:
                    await answer.aread()
                    raise from_status(answer.status_code, answer.text[:4000], answer.headers, vendor=_VENDOR)
                if answer.headers.get("content-type", "").startswith(("text/", "application/json", "audio/mpeg")):
                    raise BadAnswer(UNREADABLE, vendor=_VENDOR)
                async for audio in _without_head(answer.aiter_bytes()):
                    started = True
                    yield audio
        except ConnectorError:
            raise
        except Exception as error:  # noqa: BLE001  # translated, never swallowed; the request holds the key
            raise translate(error, vendor=_VENDOR, started=started) from None
        if not started:
            raise BadAnswer(UNREADABLE, vendor=_VENDOR)

    async def warm_up(self) -> None:
        """Nothing to load but the HTTP library."""
        clients.tls()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._api.aclose()


async def _without_head(pieces: AsyncIterator[bytes]) -> AsyncIterator[Audio]:
    """Raw audio; some servers send a WAV file whatever was asked for."""
    head, rate = b"", 0
    async for piece in pieces:
        if rate:
            yield Audio(piece, rate)
            continue
        head += piece
        if len(head) < _WAV_HEAD:
            continue
        rate, start = PCM_RATE, 0
        if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
            rate, start = int.from_bytes(head[24:28], "little"), head.find(b"data") + 8
            if start < 8 or head[20:24] != b"\x01\x00\x01\x00" or head[34:36] != b"\x10\x00":
                raise BadAnswer(UNREADABLE, vendor=_VENDOR)
        if head[start:]:
            yield Audio(head[start:], rate)
    if head and not rate:
        yield Audio(head, PCM_RATE)


def _wav(pcm: bytes, rate: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return out.getvalue()


def _confidence(found: dict[str, Any]) -> float | None:
    """The mean probability of a token, where the answer tells it."""
    tokens = found.get("logprobs")
    if not isinstance(tokens, list) or not tokens:
        return None
    try:
        return min(1.0, math.exp(sum(float(t["logprob"]) for t in tokens) / len(tokens)))
    except (KeyError, TypeError, ValueError):
        return None
