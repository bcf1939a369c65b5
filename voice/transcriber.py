"""One utterance of the caller on its way to text: recognised as it is spoken, begun anew when a pause was no end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from graph_runtime.contract.calls import Speech
from graph_runtime.contract.speech import Listening, ListenRequest, Transcriber


class Hearing:
    """`on_words` is told the text so far, where the recogniser gives it before the end; `on_final` what `result` will be,
    as soon as that is known, unless the speaker goes on. `before`: what was heard of it until now, in pieces."""

    def __init__(
        self,
        transcriber: Transcriber,
        request: ListenRequest,
        on_words: Callable[[str], None],
        on_final: Callable[[Speech], None] = lambda _: None,
        before: Sequence[bytes] = (),
    ) -> None:
        self._transcriber = transcriber
        self._request = request
        self._on_words = on_words
        self._on_final = on_final
        self._audio: list[bytes] = list(before)
        self._listening: Listening
        self._reading: asyncio.Task[Speech]
        self._closing: set[asyncio.Task[None]] = set()
        self._is_finished = False
        self._open()
        if before:
            self._listening.feed(b"".join(before))

    def feed(self, audio: bytes) -> None:
        """The next piece of the utterance, at the request's rate."""
        self._audio.append(audio)
        if not self._is_finished:
            self._listening.feed(audio)

    def soft_end(self) -> None:
        """Probably over: the final text is begun, while what follows is kept in case it was not."""
        if not self._is_finished:
            self._is_finished = True
            self._listening.finish()

    def went_on(self) -> None:
        """It was not over: recognise all of it anew."""
        if self._is_finished:
            self._abandon()
            self._open()
            self._listening.feed(b"".join(self._audio))

    async def result(self) -> Speech:
        """The final text, empty when nothing could be understood. Raises: ConnectorError, also when it takes too long."""
        self.soft_end()
        try:
            return await self._reading
        finally:
            await self._listening.aclose()

    def discard(self) -> None:
        """Nobody wants to know any more."""
        self._abandon()

    def _open(self) -> None:
        self._is_finished = False
        self._listening = self._transcriber.listen(self._request)
        self._reading = asyncio.create_task(self._read(self._listening), name="transcripts")

    def _abandon(self) -> None:
        self._reading.cancel()
        closing = asyncio.create_task(self._listening.aclose(), name="listening closes")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _read(self, listening: Listening) -> Speech:
        finals: list[str] = []
        confidences: list[float] = []
        language = ""
        async for transcript in listening.transcripts():
            if transcript.is_final:
                finals.append(transcript.text.strip())
                language = transcript.language or language
                if transcript.confidence is not None:
                    confidences.append(transcript.confidence)
            text = " ".join(filter(None, [*finals, "" if transcript.is_final else transcript.text]))
            if text:
                self._on_words(text)
        confidence = min(1.0, max(0.0, min(confidences))) if confidences else None
        speech = Speech(text=" ".join(filter(None, finals)), confidence=confidence, language=language)
        if self._is_finished:
            self._on_final(speech)
        return speech
