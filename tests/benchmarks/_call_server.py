"""The measured process of `bench calls`: one media core, or the yardstick, an echo server on asyncio streams.

`python -m tests.benchmarks._call_server KIND [steps]` prints its port; each line on its input is answered with its figures.
With `steps` time passes only when a line says what time it is, and everything that is due happens before that is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
import uuid
from collections.abc import Callable
from functools import partial

import psutil
import structlog
import uvloop

from graph_runtime import event_loop
from tests.benchmarks._call_load import STEPS_FROM
from tests.benchmarks.parts.whole_calls import Calls
from voice.audiosocket.server import Ears, Line, Server
from voice.clock import Clock
from voice.playout import Playout
from voice.turn_taking import Heard, Rules, TurnTaking, WeWait
from voice.voice_activity import GROUPS, WINDOW_MS, Detector, Ear

SPEECH_SECONDS = 2
LOOKS = 8
"""Rounds of the event loop after each piece of work: what one task leads to in others."""


class MediaCall:
    """What every call does 50 times a second: hears, is judged, speaks."""

    def __init__(self, media: Media) -> None:
        self.media = media
        self.line: Line | None = None
        self.playout: Playout | None = None
        self.turns = TurnTaking()
        self.turns.step(WeWait(Rules()), 0.0)
        self.ear = Ear(self._judged)

    def opened(self, line: Line) -> None:
        """Speak without an end."""
        self.line = line
        self.playout = Playout(line, line.format)
        self.playout.on_ended = lambda _: self._speak()
        self._speak()
        self.media.clock.join(self.playout)
        if self.media.detector is not None:
            self.ear.pull = line.fetch
            self.media.detector.join(self.ear)
        else:
            self.media.fetched.append(line)
        line.fetch_only()

    def heard(self, audio: bytes) -> None:
        """Into the ear."""
        if self.media.detector is not None:
            self.ear.feed(audio)

    def pressed(self, digit: str) -> None:
        """No keys here."""

    def closed(self, reason: str) -> None:
        """Make room."""
        if self.playout is not None:
            self.media.clock.leave(self.playout)
        if self.media.detector is not None:
            self.media.detector.leave(self.ear)
        elif self.line is not None:
            self.media.fetched.remove(self.line)

    def _speak(self) -> None:
        if self.playout is not None:
            self.playout.say("speech", self.media.speech)

    def _judged(self, is_voice: bool, window: bytes) -> None:
        self.turns.step(Heard(is_voice, 32), time.monotonic())


class Media:
    """One clock, one detector, one door."""

    def __init__(self, kind: str, stepped: Callable[[], float] | None = None) -> None:
        self.clock = Clock(stepped or time.monotonic)
        self._is_stepped = stepped is not None
        self.detector = None if kind == "plain" else Detector(self.clock, judges_all=kind == "neural_on_all")
        self.fetched: list[Line] = []
        """Without a detector somebody else has to read what comes, as often as it would."""

        self.speech = os.urandom(16_000 * SPEECH_SECONDS)
        self.calls: Calls | None = None
        if kind == "whole" and self.detector is not None:
            self.calls = Calls(self.clock, self.detector, stepped or time.monotonic)
        self.server = Server(self._admit, first_message_seconds=30)

    async def open(self) -> int:
        """The port."""
        if self.detector is not None:
            self.detector.start()
        else:
            for group in range(GROUPS):
                period = WINDOW_MS / 1000
                self.clock.every(period, group * period / GROUPS, partial(self._fetch, group))
        if not self._is_stepped:
            self.clock.start()
        return await self.server.open("127.0.0.1", 0)

    def _fetch(self, group: int) -> None:
        for line in self.fetched[group::GROUPS]:
            line.fetch()

    def figures(self) -> dict[str, float]:
        """So far."""
        detector = self.detector
        return {
            "lost": self.clock.lost,
            "silenced": self.server.counts.silenced_frames,
            "windows_judged": detector.runs if detector is not None else 0,
            "windows_quiet": detector.quiet if detector is not None else 0,
        } | (self.calls.figures() if self.calls is not None else {})

    def _admit(self, call_id: uuid.UUID) -> Ears:
        return MediaCall(self) if self.calls is None else self.calls.admit(call_id)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What one writes first: read a frame, write a frame."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            header = await reader.readexactly(3)
            payload = await reader.readexactly(int.from_bytes(header[1:], "big"))
            if header[0] == 0x10:
                writer.write(header + payload)
                await writer.drain()
    writer.close()


class Steps:
    """Time that passes only when it is told to. `seconds` of the processor were taken meanwhile."""

    def __init__(self) -> None:
        self.at = STEPS_FROM
        self.seconds = 0.0

    async def to(self, at: float, clock: Clock) -> None:
        """Until then, with all that is due and all that comes of it."""
        began = time.process_time()
        self.at = at
        due = True
        while due:
            next_due = clock.run_due()
            due = next_due is not None and next_due <= at
            for _ in range(LOOKS):
                await asyncio.sleep(0)
        self.seconds += time.process_time() - began


async def _serve(kind: str, *, steps: bool) -> None:
    me = psutil.Process()
    media, stepped = None, Steps()
    if kind == "streams":
        listening = await asyncio.start_server(_echo, "127.0.0.1", 0, backlog=1024)
        port = listening.sockets[0].getsockname()[1]
    else:
        media = Media(kind, (lambda: stepped.at) if steps else None)
        port = await media.open()
    print(port, flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        what = line.strip()
        if media is not None and what.startswith("1"):
            await stepped.to(float(what), media.clock)
            print(flush=True)
            continue
        if what == "freeze":
            event_loop.keep_what_stands()
        times = me.cpu_times()
        found = {
            "rss": me.memory_info().rss,
            "cpu": times.user + times.system,
            "stepped_cpu": stepped.seconds,
            "at": time.monotonic(),
        }
        print(json.dumps(found | (media.figures() if media is not None else {})), flush=True)


if __name__ == "__main__":
    # Its output is its answers.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    (asyncio if sys.argv[1] == "streams" else uvloop).run(_serve(sys.argv[1], steps="steps" in sys.argv))
