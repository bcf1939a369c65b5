"""Observes one turn and keeps what reports will ask: model calls, failures, how it ended."""

from __future__ import annotations

from typing import Any, Final

from graph_runtime.contract import events as happened

QUERY_KEPT: Final = 500


class Recorder:
    """Collects rows of the `event` table; they are written with the turn's commit, so a repeated turn counts once.

    Steps are not here: their path is one value of the `turn` row.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def __call__(self, event: happened.EngineEvent) -> None:
        if isinstance(event, happened.ModelAnswered):
            self._keep(
                event,
                "model_answered",
                event.node_id,
                provider=event.provider,
                model=event.model,
                input_tokens=event.input_tokens,
                output_tokens=event.output_tokens,
                cost_microusd=event.cost_microusd,
                ms=event.ms,
                replayed=event.replayed,
            )
        elif isinstance(event, happened.ModelDiscarded):
            self._keep(
                event, "model_discarded", "", provider=event.provider, model=event.model,
                input_tokens=event.input_tokens, output_tokens=event.output_tokens,
                cost_microusd=event.cost_microusd, is_estimated=event.is_estimated,
            )  # fmt: skip
        elif isinstance(event, happened.ChainAsked):
            self._keep(event, "chain_asked", event.node_id, chain_id=event.chain_id, leaves=event.leaves)
        elif isinstance(event, happened.EventAwaited):
            self._keep(event, "event_awaited", event.node_id, event=event.event, value=event.value)
        elif isinstance(event, happened.KnowledgeSearched):
            self._keep(
                event, "knowledge_searched", event.node_id, query=event.query[:QUERY_KEPT], best=event.best,
                bases=event.bases, terms=event.terms, documents=event.documents,
            )  # fmt: skip
        elif isinstance(event, happened.SourcesCited):
            self._keep(event, "sources_cited", event.node_id, documents=event.documents)
        elif isinstance(event, happened.NodeFailed):
            self._keep(event, "node_failed", event.node_id, code=event.code, message=event.message)

    def ended(self, event: happened.EngineEvent, result: str, goal_value: float | None) -> None:
        """The conversation is over."""
        self._keep(event, "conversation_ended", "", result=result, goal_value=goal_value)

    def _keep(self, event: happened.EngineEvent, kind: str, node_id: str, /, **data: Any) -> None:
        self.rows.append({"at": event.at.isoformat(), "kind": kind, "node_id": node_id, "data": data})
