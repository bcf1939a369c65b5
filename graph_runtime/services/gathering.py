"""Somebody who writes several messages in a row: waits for the next one, or begins the answer anew with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from graph_runtime.contract.calls import PHONE
from graph_runtime.contract.flow import Pace
from graph_runtime.engine.run import TurnResult
from graph_runtime.services.live import Live
from graph_runtime.storage.turns import EffectRows, LeasedTurn, TurnStore

ANSWERED_AT_ONCE = frozenset({"api", "test", PHONE})
"""Here a program or a tester writes, who waits for each answer; on a phone every silence was waited for already."""
ALONE = "alone"
"""In a payload: a trigger of a call that is never folded with others."""
TYPING_SECONDS = 4.0
"""So often it is shown again that an answer is being written: where it is shown at all, it fades after five."""
LONGEST_WAITS = 4
MOST_INTERRUPTIONS = 3

Place = tuple[str, str]
"""(workspace, conversation)"""
Begin = Callable[[LeasedTurn, EffectRows], Awaitable[TurnResult]]
"""Runs a turn from its start."""


Delay = Callable[[TurnResult], float]
"""Seconds until what a turn came to is sent."""
ShowTyping = Callable[[str, LeasedTurn], Coroutine[Any, Any, None]]
"""(workspace, turn): on the channel of somebody else."""


@dataclass(frozen=True, slots=True)
class Ran:
    """The turn as it was run in the end, what it came to, and the journal of its effects."""

    turn: LeasedTurn
    result: TurnResult
    journal: EffectRows


def may_gather(turn: LeasedTurn) -> bool:
    """A typed message, tried for the first time: a repeated turn keeps to what it began with."""
    return is_typed(turn) and turn.channel_kind not in ANSWERED_AT_ONCE


def is_typed(turn: LeasedTurn) -> bool:
    """Written or spoken in words, and tried for the first time."""
    stands_alone = ALONE in turn.payload or (turn.payload.get("reply") or {}).get("option_id")
    return turn.kind == "message" and not stands_alone and turn.attempts == 1


class Gathering:
    """One for a process. What is folded is stored before it is answered, so a killed process loses none of it."""

    def __init__(self, store: TurnStore, live: Live) -> None:
        self._store = store
        self._live = live
        self.show_typing: ShowTyping | None = None

    async def wait(self, place: Place, turn: LeasedTurn, pace: Pace) -> LeasedTurn:
        """The turn with the messages that follow closely. Raises: LeaseLost."""
        gather_ms = max(pace.gather_ms, int(turn.payload.get("gather_ms") or 0))
        if not gather_ms or not may_gather(turn):
            return turn
        self._live.publish(place[1], {"type": "typing"})
        for _ in range(LONGEST_WAITS):
            await asyncio.sleep(gather_ms / 1000)
            turn, folded = await self._fold(place, turn, is_anew=False)
            if not folded:
                break
        return turn

    async def run(self, place: Place, turn: LeasedTurn, pace: Pace, begin: Begin, delay: Delay | None = None) -> Ran:
        """Run a turn; with `while_busy` "interrupt", a further message begins it anew while it has changed nothing.

        With a `delay` the answer is kept back for so long, as if somebody typed it; who goes on writing meanwhile is
        answered anew, and the time begins again.
        Raises: LeaseLost, and what `begin` raises.
        """
        for left in reversed(range(MOST_INTERRUPTIONS + 1)):
            ran = await self._run(place, turn, pace, begin)
            seconds = delay(ran.result) if delay else 0.0
            if seconds <= 0 or not await self._rest(place, ran.turn, seconds):
                return ran
            if not left or ran.journal.has_acted or not may_gather(ran.turn):
                return ran  # what came meanwhile is answered next
            self._live.publish(place[1], {"type": "reset", "key": ""})
            turn, folded = await self._fold(place, ran.turn, is_anew=True)
            if not folded:
                return ran
            turn = await self.wait(place, turn, pace)
        raise AssertionError("the last round returns")

    async def _rest(self, place: Place, turn: LeasedTurn, seconds: float) -> bool:
        """Let time pass while it shows that somebody types; True as soon as the contact writes."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        watch = asyncio.create_task(self._next_message(place, turn), name="rest")
        showing: set[asyncio.Task[None]] = set()
        try:
            while (left := until - loop.time()) > 0:
                self._live.publish(place[1], {"type": "typing"})
                if self.show_typing is not None:
                    showing.add(asyncio.create_task(self.show_typing(place[0], turn)))
                if (await asyncio.wait({watch}, timeout=min(left, TYPING_SECONDS)))[0]:
                    return watch.exception() is None and watch.result()
            return False
        finally:
            for task in (watch, *showing):
                task.cancel()
            await asyncio.gather(watch, *showing, return_exceptions=True)

    async def _run(self, place: Place, turn: LeasedTurn, pace: Pace, begin: Begin) -> Ran:
        # A caller who goes on speaking had not finished; a turn with half of a sentence helps nobody.
        is_anew = (pace.while_busy == "interrupt" and may_gather(turn)) or (
            turn.channel_kind == PHONE and is_typed(turn)
        )
        left = MOST_INTERRUPTIONS if is_anew else 0
        while left:
            left -= 1
            journal = EffectRows(self._store, *place, turn)
            result = await self._unless_interrupted(place, turn, journal, begin)
            if result is not None:
                return Ran(turn, result, journal)
            self._live.publish(place[1], {"type": "reset", "key": ""})
            turn, folded = await self._fold(place, turn, is_anew=True)
            if not folded:  # a button, which stands for itself: this turn is finished first
                left = 0
        journal = EffectRows(self._store, *place, turn)
        return Ran(turn, await begin(turn, journal), journal)

    async def _unless_interrupted(
        self, place: Place, turn: LeasedTurn, journal: EffectRows, begin: Begin
    ) -> TurnResult | None:
        run = asyncio.ensure_future(begin(turn, journal))
        watch = asyncio.create_task(self._next_message(place, turn), name="interruption")
        try:
            await asyncio.wait({run, watch}, return_when=asyncio.FIRST_COMPLETED)
            was_written = watch.done() and watch.exception() is None and watch.result()
            if not run.done() and (journal.has_acted or not was_written):
                await asyncio.wait({run})
        finally:
            run.cancel()
            watch.cancel()
            await asyncio.gather(run, watch, return_exceptions=True)
        return None if run.cancelled() else run.result()

    async def _fold(self, place: Place, turn: LeasedTurn, *, is_anew: bool) -> tuple[LeasedTurn, int]:
        payload, seq, folded = await self._store.gather(*place, turn, is_anew=is_anew)
        return replace(turn, payload=payload, inbox_seq=seq), folded

    async def _next_message(self, place: Place, turn: LeasedTurn) -> bool:
        """True once the contact has written; False when watching ended first."""
        async with self._live.subscribe(*place, after_seq=turn.inbox_seq) as events:
            async for event in events:
                if event["type"] == "message" and event["message"]["role"] == "contact":
                    return True
        return False
