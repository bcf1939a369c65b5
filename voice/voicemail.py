"""A message that a caller leaves: kept from the tone to its end, and written down pause by pause while it is spoken."""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
import wave

import numpy as np

from graph_runtime.contract.calls import Record, Speech
from graph_runtime.contract.errors import ConnectorError
from graph_runtime.contract.speech import ListenRequest, Transcriber
from voice.frames import PHONE, SAMPLE_BYTES, AudioFormat
from voice.transcriber import Hearing

LONGEST_MS = 1_200_000
"""What fits into one stored file."""

LEAST_VOICE_MS = 250
"""Less than this is nobody's message."""

SENTENCE_PAUSE_MS = 700
SENTENCE_MOST_MS = 25_000
"""A recogniser gets the message in pieces: no vendor takes an hour at once."""

KEPT_SILENCE_MS = 300
TONE_HZ, TONE_MS, TONE_LEVEL, TONE_EDGE_MS = 1_000, 300, 6_000, 10


class Message:
    """Fed with the caller's audio at 8 kHz; `over` is set when it has ended, by whatever ends it."""

    def __init__(self, wants: Record, transcriber: Transcriber | None, language: str) -> None:
        """`transcriber` None: it is not written down."""
        self.over = asyncio.Event()
        self._wants = wants
        self._transcriber = transcriber if wants.is_transcribed else None
        self._language = language
        self._audio = bytearray()
        self._voice_ms = self._silence_ms = 0.0
        self._hearing: Hearing | None = None
        self._hearing_ms = 0.0
        self._texts: list[asyncio.Task[Speech]] = []

    @property
    def was_left(self) -> bool:
        """Whether somebody spoke."""
        return self._voice_ms >= LEAST_VOICE_MS

    @property
    def duration_ms(self) -> int:
        """Of what is kept."""
        return round(PHONE.milliseconds(len(self._kept())))

    def window(self, is_voice: bool, audio: bytes) -> None:
        """The next piece of any length, judged."""
        if self.over.is_set():
            return
        ms = PHONE.milliseconds(len(audio))
        self._audio += audio
        self._voice_ms += ms if is_voice else 0
        self._silence_ms = 0.0 if is_voice else self._silence_ms + ms
        self._write_down(is_voice, audio, ms)
        longest = min(self._wants.longest_ms, LONGEST_MS)
        if self._silence_ms >= self._wants.silence_ms or PHONE.milliseconds(len(self._audio)) >= longest:
            self.stop()

    def press(self, digit: str) -> None:
        """A key, which may be one that ends it."""
        if digit in self._wants.stops_on:
            self.stop()

    def stop(self) -> None:
        """It is over: the caller hung up, or pressed the key."""
        if not self.over.is_set():
            self.over.set()
            self._end_sentence()

    async def ended(self) -> None:
        """Wait for its end; a line that carries no audio at all ends it like a silence."""
        patience = max(1.0, self._wants.silence_ms / 1000)
        while not self.over.is_set():
            before = len(self._audio)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self.over.wait()
            if len(self._audio) == before:
                self.stop()

    async def text(self) -> str:
        """Its words, after its end; "" for what could not be understood."""
        found = await asyncio.gather(*self._texts, return_exceptions=True)
        for lost in found:
            if isinstance(lost, BaseException) and not isinstance(lost, ConnectorError):
                raise lost
        return " ".join(speech.text for speech in found if isinstance(speech, Speech) and speech.text)

    def wav(self) -> bytes:
        """The sound as a file, without the silence at its end."""
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(SAMPLE_BYTES)
            out.setframerate(PHONE.rate)
            out.writeframes(self._kept())
        return file.getvalue()

    def _kept(self) -> bytes:
        surplus = int(max(0.0, self._silence_ms - KEPT_SILENCE_MS) * PHONE.rate / 1000) * SAMPLE_BYTES
        return bytes(self._audio[: len(self._audio) - surplus])

    def _write_down(self, is_voice: bool, audio: bytes, ms: float) -> None:
        if self._transcriber is None:
            return
        if self._hearing is None:
            if not is_voice:
                return
            request = ListenRequest(PHONE.rate, self._language)
            self._hearing, self._hearing_ms = Hearing(self._transcriber, request, lambda _: None), 0.0
        self._hearing.feed(audio)
        self._hearing_ms += ms
        if self._silence_ms >= SENTENCE_PAUSE_MS or self._hearing_ms >= SENTENCE_MOST_MS:
            self._end_sentence()

    def _end_sentence(self) -> None:
        hearing, self._hearing = self._hearing, None
        if hearing is not None:
            self._texts.append(asyncio.create_task(hearing.result(), name="message text"))


def tone(format: AudioFormat) -> bytes:
    """The sound after which a message is recorded."""
    count = format.rate * TONE_MS // 1000
    edge = format.rate * TONE_EDGE_MS // 1000
    wave_ = np.sin(2 * math.pi * TONE_HZ / format.rate * np.arange(count)) * TONE_LEVEL
    rise = np.minimum(1.0, np.arange(count) / edge)
    return bytes((wave_ * rise * rise[::-1]).astype("<i2").tobytes())
