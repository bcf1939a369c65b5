"""Speech-to-Text v2: one stream for an utterance, a new one before Google's limit of five minutes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from connectors._speech.errors import CUT
from connectors._speech.listening import Frames, TaskListening
from connectors.google_speech.wire import VENDOR, Line, hides_its_reason, load, translate
from graph_runtime.contract.errors import BadAnswer
from graph_runtime.contract.speech import ListenRequest, OfferedTranscriber, Transcript

LARGEST = 24_000
"""Bytes of audio in one request; Google takes 25 kB."""
STREAM_SECONDS = 285.0
PIECE_SECONDS = 0.1
REASON_SECONDS = 3.0
MODELS = (
    OfferedTranscriber("long", "Long: any conversation"),
    OfferedTranscriber("short", "Short: a few words"),
    OfferedTranscriber("telephony", "Telephony: made for 8 kHz"),
    OfferedTranscriber("chirp_2", "Chirp 2: most languages, in some regions only"),
)
REGIONS = {"en": "en-US", "ru": "ru-RU", "uk": "uk-UA"}
_METHOD = "/google.cloud.speech.v2.Speech/StreamingRecognize"
_MOST_PHRASES, _LONGEST_PHRASE = 500, 100


def with_region(language: str) -> str:
    """Google wants "uk-UA" for "uk"."""
    return language if "-" in language else REGIONS.get(language.lower(), language)


class GoogleTranscriber:
    """Interim results while the caller speaks."""

    provider = "google_speech"

    def __init__(self, line: Line, model: str, location: str, stream_seconds: float = STREAM_SECONDS) -> None:
        self.name = model or MODELS[0].name
        self._line = line
        self._location = location
        self._stream_seconds = stream_seconds

    def listen(self, request: ListenRequest) -> TaskListening:
        """As in the contract."""
        return TaskListening(request, lambda frames: self._recognise(request, frames))

    async def _recognise(self, request: ListenRequest, frames: Frames) -> AsyncGenerator[Transcript, None]:
        started = False
        try:
            await load()
            source = _Source(frames, request.rate, self._stream_seconds)
            while await source.has_more():
                async for transcript in self._stream(request, source):
                    started = True
                    yield transcript
        except Exception as error:  # noqa: BLE001  # translated, never swallowed
            is_hidden = hides_its_reason(error) or (isinstance(error, BadAnswer) and not started)
            reason = await self._reason(request) if is_hidden else None
            raise translate(reason or error, started=started) from None

    async def _reason(self, request: ListenRequest) -> Exception | None:
        """Why a stream was refused, learnt from one without audio; None when that one is not refused."""
        path, types_, metadata, first = self._request(request)
        return await asyncio.to_thread(self._line.refusal, path, *types_, metadata, first, REASON_SECONDS)

    async def _stream(self, request: ListenRequest, source: _Source) -> AsyncGenerator[Transcript, None]:
        call, first = self._open(request)
        sending = asyncio.create_task(_send(call, first, source.pieces()))
        pending = ""
        try:
            async for response in call:
                interim = []
                for result in response.results:
                    if not result.alternatives:
                        continue
                    best, language = result.alternatives[0], result.language_code or request.language
                    if result.is_final:
                        pending = ""
                        yield Transcript(best.transcript.strip(), True, best.confidence or None, language)
                    else:
                        interim.append(best.transcript)
                if interim:
                    pending = "".join(interim).strip()
                    yield Transcript(pending, False, None, request.language)
            if not sending.done() and not source.is_cut:
                raise BadAnswer(CUT, vendor=VENDOR)
            await sending
            if pending:  # the stream ended before these words became final
                yield Transcript(pending, True, None, request.language)
        finally:
            call.cancel()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    def _open(self, request: ListenRequest) -> tuple[Any, Any]:
        """A call, and the request that must be its first."""
        path, types_, metadata, first = self._request(request)
        return self._line.call("stream_stream", path, *types_)(metadata=metadata), first

    def _request(self, request: ListenRequest) -> tuple[str, tuple[Any, Any], Any, Any]:
        """Method, its types, metadata and first message of a stream."""
        from google.cloud.speech_v2 import types

        recognizer = f"projects/{self._line.account.project}/locations/{self._location}/recognizers/_"
        first = types.StreamingRecognizeRequest(recognizer=recognizer, streaming_config=self._config(request))
        both = (types.StreamingRecognizeRequest, types.StreamingRecognizeResponse)
        return _METHOD, both, self._line.metadata(f"recognizer={recognizer}"), first

    def _config(self, request: ListenRequest) -> Any:
        from google.cloud.speech_v2 import types

        phrases = list(dict.fromkeys(p[:_LONGEST_PHRASE] for p in [*request.options, *request.hints] if p.strip()))
        adaptation = types.SpeechAdaptation(
            phrase_sets=[
                types.SpeechAdaptation.AdaptationPhraseSet(
                    inline_phrase_set=types.PhraseSet(
                        phrases=[types.PhraseSet.Phrase(value=p, boost=10.0) for p in phrases[:_MOST_PHRASES]]
                    )
                )
            ]
        )
        return types.StreamingRecognitionConfig(
            config=types.RecognitionConfig(
                explicit_decoding_config=types.ExplicitDecodingConfig(
                    encoding=types.ExplicitDecodingConfig.AudioEncoding.LINEAR16,
                    sample_rate_hertz=request.rate,
                    audio_channel_count=1,
                ),
                model=self.name,
                language_codes=[with_region(request.language)],
                features=types.RecognitionFeatures(enable_automatic_punctuation=True),
                adaptation=adaptation if phrases else None,
            ),
            streaming_features=types.StreamingRecognitionFeatures(interim_results=True),
        )

    async def warm_up(self) -> None:
        """Import Google's libraries and sign a token."""
        await load()
        self._line.metadata()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._line.aclose()


class _Source:
    """The utterance's audio, cut into streams. What is fed while one stream ends waits for the next."""

    def __init__(self, frames: Frames, rate: int, seconds: float) -> None:
        self._frames = frames
        self._piece = max(2, round(rate * PIECE_SECONDS) * 2)
        self._limit = round(rate * seconds) * 2
        self._seconds = seconds
        self._held = b""
        self._is_over = False
        self.is_cut = False

    async def has_more(self) -> bool:
        """Wait until there is audio for another stream; False at the end."""
        while not self._held and not self._is_over:
            await self._take()
        return bool(self._held)

    async def _take(self) -> None:
        pcm = await anext(self._frames, None)
        if pcm is None:
            self._is_over = True
        else:
            self._held += pcm

    async def pieces(self) -> AsyncIterator[bytes]:
        """Pieces for one stream, each at most LARGEST bytes."""
        self.is_cut = False
        sent, loop = 0, asyncio.get_running_loop()
        until = loop.time() + self._seconds
        while sent < self._limit and loop.time() < until:
            while len(self._held) < self._piece and not self._is_over:
                await self._take()
            if not self._held:
                break
            size = min(len(self._held), LARGEST, self._limit - sent)
            piece, self._held = self._held[:size], self._held[size:]
            sent += size
            yield piece
        self.is_cut = True


async def _send(call: Any, first: Any, pieces: AsyncIterator[bytes]) -> None:
    from google.cloud.speech_v2 import types

    await call.write(first)
    async for pcm in pieces:
        await call.write(types.StreamingRecognizeRequest(audio=pcm))
    await call.done_writing()
