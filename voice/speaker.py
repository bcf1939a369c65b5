"""What the agent says becomes audio: words to sentences, sentences to speech, in order, the next one while one is played."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

import numpy as np
import structlog

from graph_runtime.contract.calls import Sound, Voice, Words
from graph_runtime.contract.errors import BuilderError, ConnectorError
from graph_runtime.contract.sentences import SentenceSplitter
from graph_runtime.contract.speech import SpeakRequest
from graph_runtime.services.phrase_cache import PhraseCache
from voice.house import SpeechParts
from voice.playout import Heard, Playout, Utterance
from voice.resample import Resampler
from voice.signals import Signal
from voice.wav import SoundRefused, samples

log = structlog.get_logger(__name__)

DEEP = 2
"""Sentences that are synthesised at a time, the one that is played among them."""

STILL = 60
"""Samples below this (-55 dBFS) at the beginning of an answer are left out; voices begin with up to 200 ms of them."""

LEAD_IN_MS = 10
MOST_TRIMMED_MS = 300

FIRST_AUDIO_SECONDS = 3.0
"""A voice that has not begun by then counts as failed: the caller hears nothing meanwhile."""

CHARACTERS_PER_SECOND = 14
"""Of speech at normal speed; for how much of an unfinished sentence was heard."""


def _nothing() -> None:
    """Nobody wants to know."""


@dataclass(eq=False, slots=True)
class Piece:
    """One sentence, or one recording. `key` is its message's, "" for what is said to bridge a silence."""

    key: str
    text: str
    voice: Voice
    is_interruptible: bool = True
    may_cache: bool = False
    recording: Callable[[], Awaitable[bytes]] | None = None
    is_started: bool = False
    is_over: bool = False
    on_over: Callable[[], None] = _nothing

    def end(self) -> None:
        """It was played, or never will be."""
        self.is_over = True
        self.on_over()


class Speaker:
    """One turn's speech on one call: it is spoken from `start` to `stop`. What does not wait returns at once."""

    __slots__ = (
        "_begun", "_is_started", "_news", "_phrases", "_pieces", "_playout", "_speaking", "_speech", "_splitters", "failure",
        "on_first_audio", "on_first_sentence",
    )  # fmt: skip

    def __init__(self, playout: Playout, speech: SpeechParts, phrases: PhraseCache) -> None:
        self.on_first_sentence: Callable[[], None] = _nothing
        self.on_first_audio: Callable[[], None] = _nothing
        self.failure: ConnectorError | None = None
        self._playout = playout
        self._speech = speech
        self._phrases = phrases
        self._splitters: dict[str, tuple[SentenceSplitter, Words]] = {}
        self._pieces: list[Piece] = []
        self._begun = 0
        """Of the pieces, from the first on."""

        self._is_started = False
        self._speaking: tuple[asyncio.Task[None], ...] = ()
        """At most DEEP; not in a task group, which keeps itself in memory when it is cancelled."""

        self._news = Signal()

    @property
    def is_heard(self) -> bool:
        """Whether a message is being spoken now; what bridges a silence does not count."""
        return any(piece.is_started and not piece.is_over and piece.key for piece in self._pieces)

    def words(self, words: Words) -> None:
        """More of a message."""
        splitter, _ = self._splitters.setdefault(words.key, (SentenceSplitter(words.voice.language), words))
        self._splitters[words.key] = (splitter, words)
        for text in splitter.feed(words.text):
            self._add(text, words)

    def message_ends(self, key: str) -> None:
        """The rest of it can be spoken."""
        if key in self._splitters:
            splitter, words = self._splitters.pop(key)
            for text in splitter.finish():
                self._add(text, words)

    def drop(self, key: str) -> None:
        """What was not spoken of it is void."""
        self._splitters.pop(key, None)
        for piece in self._pieces:
            if piece.key == key and not piece.is_started:
                piece.end()
                self._playout.withdraw(piece)  # the one that is being played is spoken to its end

    def say(self, text: str, voice: Voice, *, is_interruptible: bool = True) -> None:
        """Something that belongs to no message."""
        self._enqueue(Piece("", text, voice, is_interruptible, may_cache=True))

    def sound(self, sound: Sound, content: Callable[[], Awaitable[bytes]]) -> None:
        """A recording inside a message; its words are spoken when it cannot be had or played.

        `content` gives the file. Raises: BuilderError.
        """
        self.message_ends(sound.key)  # what was said before it is spoken before it
        self._enqueue(Piece(sound.key, sound.text, sound.voice, sound.is_interruptible, True, content))

    def heard(self, flushed: list[Heard]) -> tuple[str, str] | None:
        """The message that was interrupted and what was heard of it, after `Playout.flush`; None when there was none."""
        parts = {id(h.key): h for h in flushed}
        first = next((p for p in self._pieces if not p.is_over or id(p) in parts), None)
        key = first.key if first is not None else next(iter(self._splitters), "")
        if not key:
            messages = [p.key for p in self._pieces if p.key]
            if first is None or not messages:
                return None
            key = messages[-1]
        text = ""
        for piece in self._pieces:
            if piece.key == key:
                part = parts.get(id(piece))
                text += piece.text if piece.is_over and part is None else _beginning(piece, part)
        return key, text.strip()

    async def finished(self) -> None:
        """Wait until all of it was played. Raises: ConnectorError when it cannot be spoken."""
        while self.failure is None and any(not piece.is_over for piece in self._pieces):
            self._news.clear()
            await self._news.wait()
        if self.failure is not None:
            raise self.failure

    def start(self) -> None:
        """Synthesise and play, in order, what there is and what comes."""
        self._is_started = True
        self._begin()

    async def stop(self) -> None:
        """Begin nothing more, and end what was begun."""
        self._is_started = False
        for task in self._speaking:
            task.cancel()
        if self._speaking:
            await asyncio.wait(self._speaking)

    def _begin(self) -> None:
        while self._is_started and len(self._speaking) < DEEP and self._begun < len(self._pieces):
            piece = self._pieces[self._begun]
            self._begun += 1
            if not piece.is_over:
                task = asyncio.create_task(self._speak(piece, self._playout.open(piece)), name="synthesis")
                self._speaking = (*self._speaking, task)
                task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._speaking = tuple(other for other in self._speaking if other is not task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("sentence_not_spoken", reason=type(error).__name__, exc_info=error)
        self._begin()

    def _add(self, text: str, words: Words) -> None:
        if text.strip():
            self._enqueue(Piece(words.key, text, words.voice, words.is_interruptible, words.may_cache))

    def _enqueue(self, piece: Piece) -> None:
        piece.on_over = self._news.set
        self._pieces.append(piece)
        self.on_first_sentence()
        self._begin()

    async def _speak(self, piece: Piece, utterance: Utterance) -> None:
        """A voice that is far ahead is not read: what it has ready waits where it makes it."""
        try:
            async with aclosing(self._audio(piece)) as source:
                async for audio in source:
                    self.on_first_audio()
                    await self._playout.put(utterance, audio)
        except ConnectorError as error:
            self.failure = error
            self._news.set()
        finally:
            self._playout.finish(utterance)

    async def _audio(self, piece: Piece) -> AsyncGenerator[bytes, None]:
        rate = self._playout.format.rate
        if piece.recording is not None:
            try:
                content = await piece.recording()
                yield await asyncio.to_thread(samples, content, rate)
                return
            except (BuilderError, SoundRefused) as error:
                log.warning("recording_not_played", reason=type(error).__name__, advice=str(error))
        phrases = self._phrases if piece.may_cache else None
        speech = replace(self._speech)
        try:
            sound = speech_of(piece.text, piece.voice, rate, speech, phrases)
            async with aclosing(from_first_sound(sound, rate) if piece is self._pieces[0] else sound) as source:
                async for audio in source:
                    yield audio
            return
        except ConnectorError as error:
            if self._speech.synthesizer is speech.synthesizer and not self._speech.fall_back():
                raise
            log.warning("other_voice_speaks", reason=type(error).__name__)
        # A sentence that broke off is said again from its beginning.
        own = replace(piece.voice, name="")
        async with aclosing(speech_of(piece.text, own, rate, self._speech, phrases)) as source:
            async for audio in source:
                yield audio


async def speech_of(
    text: str, voice: Voice, rate: int, speech: SpeechParts, phrases: PhraseCache | None
) -> AsyncGenerator[bytes, None]:
    """Samples at `rate`. Raises: ConnectorError."""
    if not text.strip():
        return
    request = SpeakRequest(
        text.strip(), voice.language, voice.name or speech.voice, rate, voice.rate, first_seconds=FIRST_AUDIO_SECONDS
    )
    source = phrases.speak(speech.synthesizer, request) if phrases else speech.synthesizer.speak(request)
    resampler: Resampler | None = None
    try:
        async for audio in source:
            resampler = resampler or Resampler(audio.rate, rate)
            if piece := resampler.feed(audio.pcm):
                yield piece
    finally:
        if (close := getattr(source, "aclose", None)) is not None:
            await close()  # an interruption stops the synthesizer, too
    if resampler is not None and (rest := resampler.finish()):
        yield rest


async def from_first_sound(audio: AsyncGenerator[bytes, None], rate: int) -> AsyncGenerator[bytes, None]:
    """Samples at `rate` without the stillness that they begin with."""
    most = rate * MOST_TRIMMED_MS // 1000
    held: bytes | None = b""
    async with aclosing(audio):
        async for piece in audio:
            if held is None:
                yield piece
                continue
            held += piece
            first = _first_sound(held)
            if first is not None or len(held) >= most * 2:
                first = most if first is None else min(first, most)
                trimmed, held = held[max(0, first - rate * LEAD_IN_MS // 1000) * 2 :], None
                yield trimmed
                del trimmed
    if held:
        yield held


def _first_sound(audio: bytes) -> int | None:
    """The first sample that is not still."""
    is_loud = np.abs(np.frombuffer(audio, "<i2").astype(np.int32)) > STILL
    first = int(is_loud.argmax())
    return first if is_loud[first] else None


def _beginning(piece: Piece, part: Heard | None) -> str:
    """What was heard of a sentence, in whole words."""
    if part is None or part.played_ms <= 0:
        return ""
    if part.is_complete:
        length = int(len(piece.text) * part.played_ms / part.total_ms)
    else:
        length = int(part.played_ms / 1000 * CHARACTERS_PER_SECOND * piece.voice.rate)
    if length >= len(piece.text):
        return piece.text
    beginning = piece.text[:length]
    if piece.text[length].isspace():
        return beginning
    space = beginning.rfind(" ")
    return beginning[:space] if space > 0 else ""
