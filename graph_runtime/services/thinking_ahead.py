"""Callers who are probably done: what their turn will ask of models is asked before it is certain, and nothing else."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from graph_runtime.contract.calls import PHONE
from graph_runtime.contract.errors import BuilderError
from graph_runtime.contract.events import ModelDiscarded
from graph_runtime.engine.ahead import Ahead, Discarded
from graph_runtime.engine.effects import MemoryJournal
from graph_runtime.engine.turn import Doors, Observer
from graph_runtime.services.turn_world import TurnWorld
from graph_runtime.services.versions import Versions
from graph_runtime.services.workspace_facts import WorkspaceFacts
from graph_runtime.storage.turns import LeasedTurn, TurnStore
from graph_runtime.telemetry.metrics import MODEL_COST, MODELS_AHEAD

log = structlog.get_logger(__name__)

MOST_TRIES: Final = 2
"""For one turn. Who pauses more often than that pauses again."""

KEPT_SECONDS: Final = 15.0
"""A turn that has not begun by then does not begin here."""

MOST_MISSES: Final = 5
"""So often in a row a flow may ask something else than was thought (the time to the second, say) before nobody thinks
ahead for it any more."""

CLOSE_SECONDS: Final = 5.0

Place = tuple[str, str]
"""(workspace, conversation)"""


@dataclass(eq=False, slots=True)
class Thought:
    """One conversation's. What is discarded is reported with its next turn."""

    owner: ThinkingAhead
    tries: int = 0
    wish: int = 0
    """Counts what was begun and given up, so that whoever still reads sees that it was."""

    ahead: Ahead | None = None
    version_id: str = ""
    discarded: list[Discarded] = field(default_factory=list)
    closing: list[asyncio.Task[None]] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None

    def doors(self, doors: Doors) -> Doors:
        """Those of the real turn, which find there what was asked already."""
        if self.ahead is None:
            return doors
        return replace(doors, runner=self.ahead, knowledge=self.ahead.search if doors.knowledge else None)

    def drop(self) -> None:
        """What was begun is void."""
        self.wish += 1
        if self.ahead is not None:
            ahead, self.ahead = self.ahead, None
            ahead.settle()
            self.closing.append(self.owner.run(self._close(ahead), "discarding"))

    async def end(self, observers: Sequence[Observer], place: Place, turn: LeasedTurn) -> None:
        """The turn has taken what it could; the rest is broken off, and all that was discarded is told."""
        if self.ahead is not None and self.ahead.asked:
            self.owner.note(self.version_id, was_used=self.ahead.was_used)
        self.drop()
        await asyncio.gather(*self.closing)
        for found in self.discarded:
            event = ModelDiscarded(
                workspace_id=place[0], conversation_id=place[1], turn_id=str(turn.inbox_id), at=datetime.now(UTC),
                provider=found.provider, model=found.model, input_tokens=found.usage.input_tokens,
                output_tokens=found.usage.output_tokens, cost_microusd=found.usage.cost_microusd,
                is_estimated=found.usage.estimated,
            )  # fmt: skip
            for observer in observers:
                observer(event)

    async def _close(self, ahead: Ahead) -> None:
        for found in await ahead.close():
            self.discarded.append(found)
            MODELS_AHEAD.labels("discarded").inc()
            MODEL_COST.inc(found.usage.cost_microusd or 0)


class ThinkingAhead:
    """One for a process. Reads the conversation as it rests, takes nothing and writes nothing."""

    def __init__(self, store: TurnStore, versions: Versions, facts: WorkspaceFacts, world: TurnWorld) -> None:
        self._store = store
        self._versions = versions
        self._facts = facts
        self._world = world
        self._thoughts: dict[str, Thought] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._misses: Counter[str] = Counter()

    def begin(self, workspace_id: str, conversation_id: str, payload: dict[str, Any], text: str) -> None:
        """The contact has probably said `text`; `payload` as that of the trigger it would become."""
        thought = self._thoughts.setdefault(conversation_id, Thought(self))
        if thought.tries >= MOST_TRIES:
            return
        thought.drop()
        thought.tries += 1
        if thought.timer is not None:
            thought.timer.cancel()
        thought.timer = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._forget_all, conversation_id)
        place = (workspace_id, conversation_id)
        self.run(self._guarded(thought, place, payload, text), "thinking ahead")

    def forget(self, conversation_id: str) -> None:
        """It was something else, or not all."""
        if conversation_id in self._thoughts:
            self._thoughts[conversation_id].drop()

    def take(self, conversation_id: str) -> Thought:
        """For the turn that begins; nothing more is asked on suspicion."""
        thought = self._thoughts.pop(conversation_id, None) or Thought(self)
        thought.wish += 1
        if thought.timer is not None:
            thought.timer.cancel()
        if thought.ahead is not None:
            thought.ahead.settle()
        return thought

    def note(self, version_id: str, *, was_used: bool) -> None:
        """Whether a turn of this version asked what was thought."""
        if was_used:
            MODELS_AHEAD.labels("used").inc()
            del self._misses[version_id]
        else:
            self._misses[version_id] += 1

    def run(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """In a task that is kept until it ends."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def close(self) -> None:
        """Nobody waits for any of it."""
        for conversation_id in [*self._thoughts]:
            self._forget_all(conversation_id)
        if self._running:
            await asyncio.wait(self._running, timeout=CLOSE_SECONDS)

    def _forget_all(self, conversation_id: str) -> None:
        self.take(conversation_id).drop()

    async def _guarded(self, thought: Thought, place: Place, payload: dict[str, Any], text: str) -> None:
        try:
            await self._think(thought, place, payload, text)
        except BuilderError as error:
            log.info("not_thought_ahead", conversation_id=place[1], reason=error.code)
        except Exception:
            log.exception("not_thought_ahead", conversation_id=place[1])

    async def _think(self, thought: Thought, place: Place, payload: dict[str, Any], text: str) -> None:
        wish = thought.wish
        turn = await self._store.glance(*place, payload)
        if turn is None or self._misses[str(turn.version_id)] >= MOST_MISSES:
            return
        entry = "call" if turn.channel_kind == PHONE else "message"
        pinned = await self._versions.get(place[0], str(turn.version_id), entry)
        if not pinned.compiled.reads_history:
            return  # no step of it takes any time
        facts = await self._facts.get(place[0])
        trigger = await self._world.trigger(place, turn, pinned, facts, unsaid=text)
        doors = self._world.doors(place[0], turn, MemoryJournal())
        outside = self._world.outside
        if outside.runner is None or thought.wish != wish:
            return
        thought.version_id = str(turn.version_id)
        thought.ahead = ahead = Ahead(outside.runner, doors.knowledge, outside.is_short)
        await ahead.think(pinned.compiled, turn.checkpoint, trigger, doors)
