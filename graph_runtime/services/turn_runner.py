"""Runs the waiting triggers of a conversation: lease, engine, one commit, news; and gives up decently."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import structlog

from graph_runtime.analytics.counting import count_event
from graph_runtime.analytics.recorder import Recorder
from graph_runtime.contract.calls import PHONE
from graph_runtime.contract.errors import LeaseLost
from graph_runtime.contract.messages import Text, dump_part
from graph_runtime.contract.opt_out import Wish
from graph_runtime.engine.run import TurnResult, run_turn, sorry
from graph_runtime.jobs.jobs import HandleTurn, Jobs, NoJobs
from graph_runtime.services.gathering import Gathering
from graph_runtime.services.heartbeat import Heart
from graph_runtime.services.isolation import Isolation
from graph_runtime.services.live import Live
from graph_runtime.services.live_steps import LiveObserver, shown_at_commit
from graph_runtime.services.manner import Manner
from graph_runtime.services.thinking_ahead import ThinkingAhead
from graph_runtime.services.turn_rows import hung_up, is_stale, rows_of, unchanged
from graph_runtime.services.turn_world import Outside, TurnWorld
from graph_runtime.services.versions import Versions
from graph_runtime.services.voice_messages import VoiceMessages
from graph_runtime.services.wishes import obeyed, wish_of
from graph_runtime.services.workspace_facts import WorkspaceFacts
from graph_runtime.storage.database import DISK_FULL
from graph_runtime.storage.turns import Committed, EffectRows, LeasedTurn, TurnRows, TurnStore
from graph_runtime.telemetry.metrics import INBOUND_TO_REPLY, LEASE_STEALS

log = structlog.get_logger(__name__)
MAX_ATTEMPTS = 3
ANSWERS_KEPT = 500
FULL_SECONDS = 2.0
"""Until what could not be stored for want of room is tried again."""
HANG_UP = "hang_up"
"""In a payload: the caller has gone, and with them the conversation."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What the agent said in a turn, and how the conversation stands after it."""

    messages: list[dict[str, Any]]
    status: str
    waits: str


class TurnRunner:
    """One for a process."""

    def __init__(
        self,
        store: TurnStore,
        versions: Versions,
        live: Live,
        outside: Outside,
        jobs: Jobs | None = None,
        *,
        facts: WorkspaceFacts,
    ) -> None:
        self._facts = facts
        self._store = store
        self._versions = versions
        self._live = live
        self.world = TurnWorld(store, outside)
        self.ahead = ThinkingAhead(store, versions, facts, self.world)
        self.gathering = Gathering(store, live)
        self.voice_messages: VoiceMessages | None = None
        self._jobs = jobs or NoJobs()
        self._tasks: set[asyncio.Task[None]] = set()
        self._by_conversation: dict[str, asyncio.Task[None]] = {}
        self._answers: OrderedDict[tuple[str, str], Answered] = OrderedDict()
        self.isolation = Isolation()
        self._last_attempts: set[str] = set()
        self._cuts: dict[str, asyncio.Event] = {}
        self._is_closing = False

    def start(
        self,
        workspace_id: str,
        conversation_id: str,
        turn: LeasedTurn | None = None,
        *,
        is_steal: bool = False,
        is_left: bool = False,
    ) -> asyncio.Task[None]:
        """Run what waits, in a task of its own. `is_steal`: another process holds the lease and must be dead; `is_left`:
        it was found waiting, so whoever began it may have died of it."""
        task = asyncio.create_task(
            self.run_pending(workspace_id, conversation_id, turn, is_steal=is_steal, is_left=is_left),
            name=f"turn {conversation_id}",
        )
        self._tasks.add(task)
        self._by_conversation[conversation_id] = task

        def forget(done: asyncio.Task[None]) -> None:
            self._tasks.discard(done)
            if self._by_conversation.get(conversation_id) is done:
                del self._by_conversation[conversation_id]

        task.add_done_callback(forget)
        return task

    @property
    def is_closing(self) -> bool:
        """Whether nothing new should be begun here."""
        return self._is_closing

    @property
    def kept_apart(self) -> frozenset[str]:
        """Conversations whose last attempt runs here, or waits until it may run alone."""
        return frozenset(self._last_attempts)

    @property
    def running(self) -> list[asyncio.Task[None]]:
        """Tasks of the turns in progress."""
        return [*self._tasks]

    def task(self, conversation_id: str) -> asyncio.Task[None] | None:
        """The task of this process that runs a conversation's turns now."""
        return self._by_conversation.get(conversation_id)

    def cut(self, conversation_id: str) -> None:
        """Nobody listens to the text that a turn of this process streams: its model is stopped, the turn goes on."""
        if conversation_id in self._cuts:
            self._cuts[conversation_id].set()

    def answer(self, conversation_id: str, inbox_id: str) -> Answered | None:
        """What came of a trigger, if this process committed that turn a moment ago."""
        return self._answers.get((conversation_id, inbox_id))

    async def close(self, seconds: float = 10.0) -> None:
        """Let running turns end; what does not end in time is handed over to other processes."""
        self._is_closing = True
        deadline = asyncio.get_running_loop().time() + seconds
        while self._tasks and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait([*self._tasks], timeout=left)
            await asyncio.sleep(0)  # finished tasks leave the list in a callback
        late = [*self._tasks]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await self.ahead.close()

    async def run_pending(
        self,
        workspace_id: str,
        conversation_id: str,
        turn: LeasedTurn | None = None,
        *,
        is_steal: bool = False,
        is_left: bool = False,
    ) -> None:
        """Run turns until none waits, or another process has the conversation. Never raises for a failing turn."""
        if turn is None and conversation_id in self._last_attempts:
            return
        attempts = 0
        if turn is not None:
            if turn.attempts != MAX_ATTEMPTS:
                await self._run_on(workspace_id, conversation_id, turn)
                return
            await self._run_alone(workspace_id, conversation_id, turn)
        elif is_left or self.isolation.is_closed:
            attempts = await self._store.attempts(workspace_id, conversation_id)
            if attempts == MAX_ATTEMPTS - 1:
                await self._run_alone(workspace_id, conversation_id)
        while True:
            async with self.isolation.together(is_suspect=attempts > 0):
                turn = await self._store.lease(workspace_id, conversation_id)
                if turn is None:
                    return
                if is_steal:
                    LEASE_STEALS.inc()
                if turn.attempts != MAX_ATTEMPTS:
                    await self._run_on(workspace_id, conversation_id, turn)
                    return
            await self._run_alone(workspace_id, conversation_id, turn)

    async def _run_on(self, workspace_id: str, conversation_id: str, first: LeasedTurn) -> None:
        """A turn that was leased, and those that wait behind it."""
        turn: LeasedTurn | None = first
        while turn is not None:
            has_more = await self._run_guarded(workspace_id, conversation_id, turn)
            if not has_more:
                return
            if self._is_closing:
                # Only the lease goes: the trigger of this turn is done, the next one was not begun.
                await self._hand_over((workspace_id, conversation_id), turn, uncount=False)
                return
            turn = await self._store.lease(workspace_id, conversation_id, epoch=turn.epoch)

    async def _run_alone(self, workspace_id: str, conversation_id: str, turn: LeasedTurn | None = None) -> None:
        """A last attempt: whatever killed the earlier ones must not count against the others that died with it.

        Until its turn comes the conversation is handed back uncounted. Better is not to have leased it: a process that
        dies in between leaves it counted.
        """
        self._last_attempts.add(conversation_id)
        try:
            if turn is not None:
                await self._hand_over((workspace_id, conversation_id), turn, uncount=True)
            async with self.isolation.alone():
                again = await self._store.lease(workspace_id, conversation_id)
                if again is not None and await self._run_guarded(workspace_id, conversation_id, again):
                    await self._hand_over((workspace_id, conversation_id), again, uncount=False)
        finally:
            self._last_attempts.discard(conversation_id)

    async def _run_guarded(self, workspace_id: str, conversation_id: str, turn: LeasedTurn) -> bool:
        """One turn; True when another trigger waits."""
        place = (workspace_id, conversation_id)
        work = asyncio.current_task()
        assert work is not None
        heart = Heart(self._store, place, turn.epoch, work)
        try:
            committed = await self._run_one(workspace_id, conversation_id, turn)
            return committed.has_more
        except LeaseLost:
            log.warning("lease_lost", conversation_id=conversation_id)
        except asyncio.CancelledError:
            if not heart.has_failed:
                await self._hand_over(place, turn, uncount=True)
                raise
            log.warning("lease_lost", conversation_id=conversation_id)
            work.uncancel()
        except DISK_FULL:
            # Says nothing about the message: not counted. A pause, since the next attempt would meet the same disk.
            log.warning("turn_not_stored", conversation_id=conversation_id, reason="disk_full")
            self._live.publish(conversation_id, {"type": "reset", "key": ""})
            await asyncio.sleep(FULL_SECONDS)
            await self._hand_over(place, turn, uncount=True)
        except Exception:
            # Counted as an attempt; the sweeper brings it back, and after the last attempt it is put aside.
            log.exception("turn_failed", conversation_id=conversation_id, attempts=turn.attempts)
            self._live.publish(conversation_id, {"type": "reset", "key": ""})
            await self._hand_over(place, turn, uncount=False)
        finally:
            heart.stop()
        return False

    async def _hand_over(self, place: tuple[str, str], turn: LeasedTurn, *, uncount: bool) -> None:
        try:
            await self._store.release(*place, turn.epoch, turn.inbox_id, uncount=uncount)
            if self._is_closing:
                self._jobs.send(HandleTurn(*place))
        except Exception:
            # The lease then lapses by itself, at once when this process dies.
            log.exception("hand_over_failed", conversation_id=place[1])

    async def _run_one(self, workspace_id: str, conversation_id: str, turn: LeasedTurn) -> Committed:
        if turn.attempts > MAX_ATTEMPTS:
            return await self._put_aside(workspace_id, conversation_id, turn)
        if is_stale(turn):
            return await self._commit(workspace_id, conversation_id, turn, unchanged(turn, "done"))
        if turn.payload.get(HANG_UP):
            rows = hung_up(turn)
            await self.ahead.take(conversation_id).end((recorder := Recorder(),), (workspace_id, conversation_id), turn)
            if recorder.rows:
                rows.record["events"] = recorder.rows
            return await self._commit(workspace_id, conversation_id, turn, rows)
        is_call = turn.channel_kind == PHONE
        pinned = await self._versions.get(workspace_id, str(turn.version_id), "call" if is_call else "message")
        place, pace = (workspace_id, conversation_id), pinned.compiled.root.flow.pace
        turn = await self.gathering.wait(place, turn, pace)
        manner = Manner.of(turn, pinned.compiled)
        recorder = Recorder()
        facts = await self._facts.get(workspace_id)
        wish: Wish = ""

        async def begin(turn: LeasedTurn, journal: EffectRows) -> TurnResult:
            nonlocal wish
            if self.voice_messages is not None:
                turn = await self.voice_messages.heard(place, turn)
            if wish := wish_of(turn, facts):
                return obeyed(turn, facts, wish)
            live = LiveObserver(self._live, says_at_once=is_call, is_test=turn.is_test, hides=manner.hides)
            doors = replace(
                self.world.doors(workspace_id, turn, journal),
                observers=(recorder, live, count_event),
                cut=self._new_cut(conversation_id) if is_call else None,
            )
            trigger = await self.world.trigger(place, turn, pinned, facts)
            return await run_turn(pinned.compiled, turn.checkpoint, trigger, thought.doors(doors))

        thought = self.ahead.take(conversation_id)
        try:
            ran = await self.gathering.run(place, turn, pace, begin, manner.delay)
        finally:
            self._cuts.pop(conversation_id, None)
            await thought.end((recorder,), place, turn)
        result = ran.result
        if result.is_over and result.events:
            recorder.ended(result.events[-1], result.result, result.goal_value)
        rows = rows_of(ran.turn, result, recorder, had_effects=ran.journal.was_used)
        if wish:
            rows.record["opt_out"] = wish == "stop"
        manner.mark(rows.record)
        return await self._commit(workspace_id, conversation_id, ran.turn, rows, result)

    def _new_cut(self, conversation_id: str) -> asyncio.Event:
        cut = self._cuts[conversation_id] = asyncio.Event()
        return cut

    async def _put_aside(self, workspace_id: str, conversation_id: str, turn: LeasedTurn) -> Committed:
        """The trigger has failed too often: it becomes a dead letter, and the contact is told."""
        log.error("trigger_put_aside", conversation_id=conversation_id, attempts=turn.attempts)
        part = Text(text=sorry(turn.channel_kind, turn.language))
        said = {"key": f"{turn.turn_seq + 1}.1", "parts": [dump_part(part)], "text": part.text, "node_id": ""}
        rows = unchanged(turn, "dead", status="quarantined", said=said, error="too_many_attempts")
        return await self._commit(workspace_id, conversation_id, turn, rows)

    async def _commit(
        self,
        workspace_id: str,
        conversation_id: str,
        turn: LeasedTurn,
        rows: TurnRows,
        result: TurnResult | None = None,
    ) -> Committed:
        committed = await self._store.commit(workspace_id, conversation_id, turn, rows)
        if turn.kind not in ("timer", "hand_off"):
            waited = committed.at.timestamp() - _received_at(turn.inbox_id)
            INBOUND_TO_REPLY.labels(turn.channel_kind).observe(max(0.0, waited))
        turn_id = str(turn.inbox_id)
        said = [
            {"flags": {}} | message | {
                "seq": committed.first_seq + place, "role": "agent", "created_at": committed.at, "turn_id": turn_id,
                "client_id": "",
            }
            for place, message in enumerate(rows.record["messages"][: committed.said_now])
        ]  # fmt: skip
        self._answers[conversation_id, turn_id] = Answered(said, rows.status, rows.waits)
        while len(self._answers) > ANSWERS_KEPT:
            self._answers.popitem(last=False)
        self._live.changed(workspace_id, conversation_id)
        if self._live.is_watched(conversation_id):
            steps, ms = (result.steps, result.ms) if result else (0, 0.0)
            for event in shown_at_commit(turn_id, rows, said, steps=steps, ms=ms):
                self._live.publish(conversation_id, event)
        return committed


def _received_at(inbox_id: UUID) -> float:
    """When a trigger was stored, in seconds since 1970: its id begins with the database's milliseconds (uuidv7)."""
    return (inbox_id.int >> 80) / 1000
