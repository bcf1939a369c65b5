"""What a turn is given: the trigger with all that is known about its conversation, and the doors to the world."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from graph_runtime.contract.calls import PHONE
from graph_runtime.contract.knowledge import KnowledgeAnswer, KnowledgeQuery
from graph_runtime.contract.local_time import time_zone_of
from graph_runtime.contract.messages import Reply, SaidMessage
from graph_runtime.contract.people import QueueFacts
from graph_runtime.engine.effects import EffectJournal
from graph_runtime.engine.turn import AsksModels, Budget, CallsHttp, Connections, Doors, Trigger
from graph_runtime.services.versions import PinnedVersion
from graph_runtime.services.workspace_facts import Facts
from graph_runtime.storage.turns import LeasedTurn, TurnStore

HISTORY_MESSAGES: Final = 60

FindModels = Callable[[str, str, str], Awaitable[Sequence[Any]]]
"""(workspace, agent, connection slot) → models, best first."""


FindKnowledge = Callable[[str, KnowledgeQuery], Awaitable[KnowledgeAnswer]]
"""(workspace, query) → what was found."""
FindConnections = Callable[[str, str], Connections]
"""(workspace, agent) → the credentials behind its slots."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What turns reach the world through, the same for all conversations. `is_short`: of models that were held back a
    moment ago, so that nobody asks them before it must be."""

    runner: AsksModels | None = None
    models: FindModels | None = None
    http: CallsHttp | None = None
    knowledge: FindKnowledge | None = None
    connections: FindConnections | None = None
    budget: Budget = field(default_factory=Budget)
    is_short: Callable[[Sequence[Any]], bool] | None = None


@dataclass(slots=True)
class TurnWorld:
    """One for a process."""

    store: TurnStore
    outside: Outside

    def doors(self, workspace_id: str, turn: LeasedTurn, journal: EffectJournal) -> Doors:
        """Without observers."""
        outside, agent_id = self.outside, str(turn.agent_id)
        return Doors(
            effects=journal,
            runner=outside.runner,
            models=self._models_of(workspace_id, agent_id),
            http=outside.http,
            knowledge=self._knowledge_of(workspace_id),
            connections=outside.connections(workspace_id, agent_id) if outside.connections else None,
            budget=outside.budget,
            queue=self._queue_of(workspace_id),
        )

    async def trigger(
        self,
        place: tuple[str, str],
        turn: LeasedTurn,
        pinned: PinnedVersion,
        facts: Facts,
        *,
        unsaid: str | None = None,
    ) -> Trigger:
        """`place`: (workspace, conversation). `unsaid`: what the contact has said as far as anybody knows, when it is not
        in the transcript yet."""
        history: tuple[SaidMessage, ...] = ()
        if pinned.compiled.reads_history:
            history = await self._history(place, turn, unsaid)
        reply = turn.payload.get("reply")
        call = await self.store.call_facts(*place) if turn.channel_kind == PHONE else {}
        return Trigger(
            kind=turn.kind,  # type: ignore[arg-type]  # the table allows only these
            workspace_id=place[0],
            conversation_id=place[1],
            turn_id=str(turn.inbox_id),
            turn=turn.turn_seq + 1,
            now=turn.run_at,
            channel=turn.channel_kind,
            language=turn.language,
            reply=Reply.model_validate(reply) if reply else None,
            is_test=turn.is_test,
            started_at=turn.started_at,
            contact=turn.contact_fields | {"time_zone": time_zone_of(turn.contact_fields, facts.shown["time_zone"])},
            contact_variables=turn.contact_variables,
            workspace=facts.shown,
            history=history,
            call=call,
            variables=turn.payload.get("variables") or {},
            happened=turn.payload.get("happened") or {},
        )

    async def _history(self, place: tuple[str, str], turn: LeasedTurn, unsaid: str | None) -> tuple[SaidMessage, ...]:
        own = (SaidMessage(role="contact", text=unsaid),) if unsaid else ()
        rows = await self.store.history(*place, HISTORY_MESSAGES - len(own), until_seq=turn.inbox_seq)
        history = (*(SaidMessage(role=r["role"], text=r["text"]) for r in rows), *own)
        if not turn.holds:
            return history
        held = await self.store.held_texts(*place)
        asked = history[-1:] if history and history[-1].role == "contact" else ()
        before = history[: len(history) - len(asked)]
        return (*before, *(SaidMessage(role="agent", text=text) for text in held), *asked)

    def _models_of(self, workspace_id: str, agent_id: str) -> Callable[[str], Awaitable[Sequence[Any]]] | None:
        find = self.outside.models
        if find is None:
            return None

        async def models(slot: str) -> Sequence[Any]:
            return await find(workspace_id, agent_id, slot)

        return models

    def _knowledge_of(self, workspace_id: str) -> Callable[[KnowledgeQuery], Awaitable[KnowledgeAnswer]] | None:
        find = self.outside.knowledge
        if find is None:
            return None

        async def search(query: KnowledgeQuery) -> KnowledgeAnswer:
            return await find(workspace_id, query)

        return search

    def _queue_of(self, workspace_id: str) -> Callable[[str], Awaitable[QueueFacts | None]]:
        async def queue(queue_id: str) -> QueueFacts | None:
            found = await self.store.queue(workspace_id, queue_id)
            return QueueFacts.model_validate(found) if found else None

        return queue
