"""Bridges the wait for an answer: a filler, more words, an apology, and at last the end, by `ladder.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from graph_runtime.contract.calls import Voice
from graph_runtime.contract.errors import ConnectorError
from voice.ladder import Ladder
from voice.speaker import Speaker
from voice.texts import Bridge, text_of

if TYPE_CHECKING:
    from voice.house import House, SpeechParts
    from voice.playout import Playout

LOOK_SECONDS = 0.05


class Bridging:
    """One call's. It runs only while something is awaited: from the end of what the caller said to the end of the turn."""

    def __init__(
        self, house: House, playout: Playout, is_answering: Callable[[], bool], give_up: Callable[[], None]
    ) -> None:
        """`is_answering`: whether the caller hears a message now. `give_up` is called once per wait, with its words said."""
        self.ladder = Ladder(0.0)
        self._house = house
        self._playout = playout
        self._is_answering = is_answering
        self._give_up = give_up
        self._running: asyncio.Task[None] | None = None
        self._is_closed = False

    def begin(self, speech: SpeechParts, voice: Callable[[], Voice]) -> None:
        """An answer is due from now on; nothing new when one was due before. `voice`: of the call, whenever it is asked."""
        if self._running is None and not self._is_closed:
            self.ladder = Ladder(self._house.waiting.now())
            self._running = asyncio.create_task(self._run(speech, voice), name="bridging")

    async def end(self) -> None:
        """The answer is complete, or nobody waits for it."""
        running, self._running = self._running, None
        if running is not None and running is not asyncio.current_task():
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def close(self) -> None:
        """The call is over: nothing is awaited any more, and nobody asked."""
        self._is_closed = True
        await self.end()
        self._is_answering, self._give_up = bool, _nothing

    async def _run(self, speech: SpeechParts, voice_now: Callable[[], Voice]) -> None:
        speaker: Speaker | None = None  # most answers need none
        try:
            while True:
                await self._house.waiting.sleep(LOOK_SECONDS)
                is_answering = self._is_answering()
                rung = self.ladder.look(
                    self._house.waiting.now(), is_answering=is_answering,
                    is_bridging=not is_answering and not self._playout.is_idle,
                )  # fmt: skip
                if rung is None:
                    continue
                voice = voice_now()
                text = (
                    self.ladder.filler
                    if rung is Bridge.FILLER and self.ladder.filler
                    else text_of(rung, voice.language)
                )
                if speaker is None:
                    speaker = Speaker(self._playout, speech, self._house.phrases)
                    speaker.start()
                speaker.say(text, voice)
                if rung is Bridge.GIVE_UP:
                    await _heard(speaker)
                    self._give_up()
                    return
        finally:
            if speaker is not None:
                await speaker.stop()


def _nothing() -> None:
    """Nobody is told."""


async def _heard(speaker: Speaker) -> None:
    try:
        await speaker.finished()
    except ConnectorError:
        return  # without a voice there is nothing to wait for
