"""What a caller is going to hear: audio in order, one frame per tick, silence in between, and what was really heard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from voice.frames import AudioFormat
from voice.signals import Signal

QUEUE_MS = 500
"""Audio that may wait to be played; more makes `put` wait. It is what a call holds most of; a voice has its own beyond that."""

REMEMBERED_FRAMES = 35
"""The last 700 ms played, for telling an echo from the caller."""


class Mouth(Protocol):
    """Where frames go."""

    def speak(self, frame: bytes | None) -> bool:
        """Send a frame (None is silence); False when it will not be heard."""
        ...


@dataclass(eq=False, slots=True)
class Utterance:
    """A piece of speech with a beginning and an end, usually one sentence; `key` is the owner's."""

    key: object
    is_complete: bool = False
    total_bytes: int = 0
    played_bytes: int = 0
    """Of its audio, without the silence that fills its last frame."""

    is_started: bool = False
    _pieces: list[bytes] = field(default_factory=list)
    """What was not played yet, as it came: pieces that many calls play are there once."""

    _taken: int = 0
    """Bytes of the first piece that were played."""

    @property
    def waiting_bytes(self) -> int:
        """What was not played yet."""
        return self.total_bytes - self.played_bytes

    def add(self, audio: bytes) -> None:
        """More samples."""
        if audio:
            self._pieces.append(audio)
            self.total_bytes += len(audio)

    def next(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end; they stay the next ones until `take`."""
        if not self._pieces:
            return b""
        found = self._pieces[0][self._taken : self._taken + size]
        place = 1
        while len(found) < size and place < len(self._pieces):
            found += self._pieces[place][: size - len(found)]
            place += 1
        return found

    def place(self, frame: bytes) -> tuple[bytes, int]:
        """The audio of which the frame that `next` has just given is a part, and where it begins there."""
        if self._pieces and len(self._pieces[0]) - self._taken >= len(frame):
            return self._pieces[0], self._taken
        return frame, 0

    def take(self, size: int) -> None:
        """So many of them were played."""
        self.played_bytes += size
        self._taken += size
        while self._pieces and self._taken >= len(self._pieces[0]):
            self._taken -= len(self._pieces.pop(0))


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of an utterance the caller has heard when the rest was thrown away."""

    key: object
    played_ms: float
    total_ms: float
    """Of the audio that was there; the utterance may not have been complete."""

    is_complete: bool
    """Whether `total_ms` is the whole utterance."""


@dataclass(slots=True)
class PlayoutCounts:
    """Frames of this call by what they were."""

    spoken: int = 0
    silent: int = 0
    underruns: int = 0
    """Times an utterance had begun and the next frame of it was not there."""

    held: int = 0
    """Frames that waited because the line took nothing."""


@dataclass(slots=True)
class _Stretch:
    """Frames one after the other in `audio`, up to the byte `end`; None is silence."""

    audio: bytes | None
    end: int
    frames: int


class _Played:
    """The last 700 ms, as stretches of the audio that they are parts of: what waits to be played is there anyway."""

    __slots__ = ("_last", "_size", "_stretches")

    def __init__(self, frame_bytes: int) -> None:
        self._size = frame_bytes
        self._stretches: list[_Stretch] = []
        self._last = _Stretch(b"", -1, 0)

    def add(self, audio: bytes | None, at: int) -> None:
        """One frame more: `audio` from the byte `at` on, or silence (None, 0)."""
        last = self._last
        if audio is last.audio and at == last.end:
            last.frames += 1
            if audio is not None:
                last.end = at + self._size
            if last.frames == REMEMBERED_FRAMES:
                del self._stretches[:-1]
        else:
            self._begin(_Stretch(audio, at if audio is None else at + self._size, 1))

    def sound(self) -> bytes:
        """Their samples."""
        size, whole = self._size, b""
        for stretch in self._stretches:
            length = min(stretch.frames, REMEMBERED_FRAMES) * size
            whole += bytes(length) if stretch.audio is None else stretch.audio[stretch.end - length : stretch.end]
        return whole[-REMEMBERED_FRAMES * size :]

    def _begin(self, stretch: _Stretch) -> None:
        """A stretch more, and no longer those that lie wholly before the last 700 ms."""
        self._last = stretch
        self._stretches.append(stretch)
        frames = sum(s.frames for s in self._stretches)
        while frames - self._stretches[0].frames >= REMEMBERED_FRAMES:
            frames -= self._stretches.pop(0).frames


class Playout:
    """One call's queue. The clock calls `tick`; everything else is called by the call's own tasks.

    `on_started` and `on_ended` are told the key of each utterance with its first frame and after its last one.
    `tap` sees every frame that was sent, None for silence.
    """

    def __init__(self, mouth: Mouth, format: AudioFormat) -> None:
        self.format = format
        self.counts = PlayoutCounts()
        self.on_started: Callable[[object], None] = _nothing
        self.on_ended: Callable[[object], None] = _nothing
        self.tap: Callable[[bytes | None], None] | None = None
        self.is_paused = False
        self._speak = mouth.speak
        self._frame_bytes = format.frame_bytes
        self._played = _Played(format.frame_bytes)
        self._queue: list[Utterance] = []
        self._waiting_bytes = 0
        self._is_dry = False
        self._silent_ticks = REMEMBERED_FRAMES
        self._changed = Signal()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be said."""
        return not self._queue

    @property
    def waiting_ms(self) -> float:
        """Audio that is there and was not played."""
        return self.format.milliseconds(self._waiting_bytes)

    @property
    def was_speaking(self) -> bool:
        """Whether any of the last 700 ms was speech: then an echo of it may be heard."""
        return self._silent_ticks < REMEMBERED_FRAMES

    def last_played(self) -> bytes:
        """The last 700 ms, silence included; shorter at the beginning."""
        return self._played.sound()

    def open(self, key: object) -> Utterance:
        """A new utterance behind all others; `put` fills it, `finish` completes it."""
        utterance = Utterance(key)
        self._queue.append(utterance)
        return utterance

    async def put(self, utterance: Utterance, audio: bytes) -> None:
        """Append samples; waits while more than half a second is ahead. Silently nothing when it was flushed."""
        while utterance in self._queue and self._is_far_ahead(utterance):
            self._changed.clear()
            await self._changed.wait()
        if utterance in self._queue:
            utterance.add(audio)
            self._waiting_bytes += len(audio)

    def _is_far_ahead(self, utterance: Utterance) -> bool:
        """What is to be played next never waits for what comes after it."""
        waiting = utterance.waiting_bytes if self._queue[0] is utterance else self._waiting_bytes
        return waiting > QUEUE_MS * self.format.bytes_per_ms

    def withdraw(self, key: object) -> None:
        """Throw away utterances of that key of which nothing was played yet."""
        for utterance in [u for u in self._queue if u.key == key and not u.is_started]:
            self._queue.remove(utterance)
            self._waiting_bytes -= utterance.waiting_bytes
            self._changed.set()

    def finish(self, utterance: Utterance) -> None:
        """Nothing more follows in it."""
        utterance.is_complete = True
        self._drop_ended()

    def say(self, key: object, audio: bytes) -> None:
        """A whole utterance at once, of any length."""
        utterance = self.open(key)
        utterance.add(audio)
        self._waiting_bytes += len(audio)
        self.finish(utterance)

    def pause(self) -> None:
        """Silence from the next frame on; nothing is lost."""
        self.is_paused = True

    def resume(self) -> None:
        """Go on with the frame that was next."""
        self.is_paused = False

    def flush(self) -> list[Heard]:
        """Throw away what was not played; how much of each unfinished utterance was heard, in order."""
        ms = self.format.milliseconds
        heard = [Heard(u.key, ms(u.played_bytes), ms(u.total_bytes), u.is_complete) for u in self._queue]
        self._queue.clear()
        self._waiting_bytes = 0
        self.is_paused = self._is_dry = False
        self._changed.set()
        return heard

    async def drained(self) -> None:
        """Wait until everything was played or flushed."""
        while self._queue:
            self._changed.clear()
            await self._changed.wait()

    def tick(self) -> None:
        """Send the next frame."""
        utterance = self._queue[0] if self._queue and not self.is_paused else None
        frame = None if utterance is None else self._next_frame(utterance)
        audio, at = utterance.place(frame) if frame is not None and utterance is not None else (None, 0)
        is_heard = self._speak(frame)
        if frame is None:
            self.counts.silent += 1
            self._silent_ticks += 1
        elif is_heard:
            self.counts.spoken += 1
            self._silent_ticks = 0
        else:
            self.counts.held += 1
            self.counts.silent += 1
            self._silent_ticks += 1
            frame = audio = None
        self._played.add(audio, at)
        if self.tap is not None:
            self.tap(frame)
        if frame is not None and utterance is not None:
            self._advance(utterance)

    def _next_frame(self, utterance: Utterance) -> bytes | None:
        size = self._frame_bytes
        if utterance.total_bytes - utterance.played_bytes >= size:
            self._is_dry = False
            return utterance.next(size)
        if utterance.is_complete:
            return utterance.next(size).ljust(size, b"\0")
        if utterance.is_started and not self._is_dry:
            self._is_dry = True
            self.counts.underruns += 1
        return None

    def _advance(self, utterance: Utterance) -> None:
        size = min(self._frame_bytes, utterance.waiting_bytes)
        utterance.take(size)
        self._waiting_bytes -= size
        if not utterance.is_started:
            utterance.is_started = True
            self.on_started(utterance.key)
        if self._queue and not self._queue[0].waiting_bytes:
            self._drop_ended()
        self._changed.set()

    def _drop_ended(self) -> None:
        """An utterance ends with its last sample, not one tick later: what waits for its end must not lose a frame."""
        while self._queue and self._queue[0].is_complete and not self._queue[0].waiting_bytes:
            ended = self._queue.pop(0)
            self._changed.set()
            self.on_ended(ended.key)


def _nothing(_: object) -> None:
    """Nobody listens."""
