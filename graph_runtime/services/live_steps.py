"""Shows a turn in progress to its watchers: translates the engine's events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from graph_runtime.contract import events as happened
from graph_runtime.services.live import Live, LiveEvent
from graph_runtime.storage.turns import TurnRows


class LiveObserver:
    """An observer of one turn."""

    def __init__(
        self,
        live: Live,
        *,
        says_at_once: bool = False,
        is_test: bool = False,
        hides: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`says_at_once`: what is said is shown before it is final, for a caller who would wait in silence.
        `hides(node_id)`: the text of this step is not shown while it is being made."""
        self._of = {"is_test": True} if is_test else {}
        self._live = live
        self._says_at_once = says_at_once
        self._hides = hides
        self._variables: dict[str, Any] = {}

    def __call__(self, event: happened.EngineEvent) -> None:
        if isinstance(event, happened.VariableSet):
            self._variables[event.name] = event.value
            return
        if not self._live.is_watched(event.conversation_id):
            return
        for shown in self._shown(event):
            self._live.publish(event.conversation_id, shown)

    def _shown(self, event: happened.EngineEvent) -> list[LiveEvent]:
        if isinstance(event, happened.TextStreamed):
            if self._hides(event.node_id):
                return []
            if event.reset:
                return [{"type": "reset", "key": event.key}]
            return [
                {
                    "type": "delta",
                    "key": event.key,
                    "text": event.text,
                    "node_id": event.node_id,
                    "language": event.language,
                }
            ]
        if isinstance(event, happened.MessageSaid) and self._says_at_once:
            return [
                {
                    "type": "said",
                    "key": event.key,
                    "parts": event.parts,
                    "node_id": event.node_id,
                    "language": event.language,
                }
            ]
        if isinstance(event, happened.WaitBegan):
            return [{"type": "wait", "node_id": event.node_id, "filler": event.filler}] if self._says_at_once else []
        if isinstance(event, happened.NodeEntered):
            return [{"type": "step", "node_id": event.node_id, "state": "entered", "port": ""}]
        if isinstance(event, happened.NodeLeft):
            return [{"type": "step", "node_id": event.node_id, "state": "left", "port": event.port}]
        if isinstance(event, happened.TurnStarted):
            return [{"type": "typing"}]
        if isinstance(event, happened.OutsideCalled):
            called = {"what": event.what, "outcome": event.outcome, "ms": event.ms, "planned": event.is_planned}
            return [{"type": "outside", "node_id": event.node_id, "details": event.details, **called, **self._of}]
        if isinstance(event, happened.NodeFailed):
            return [
                {"type": "step", "node_id": event.node_id, "state": "failed", "port": ""},
                {"type": "error", "code": event.code, "message": event.message, "node_id": event.node_id},
            ]
        if isinstance(event, happened.TurnEnded) and self._variables:
            return [{"type": "variables", "values": dict(self._variables), **self._of}]
        return []


def shown_at_commit(
    turn_id: str, rows: TurnRows, messages: list[dict[str, Any]], *, steps: int, ms: float
) -> Iterator[LiveEvent]:
    """What watchers see when a turn has become final."""
    for message in messages:
        yield {"type": "message", "message": message}
    if rows.waits and rows.node_id:
        yield {"type": "step", "node_id": rows.node_id, "state": "waiting", "port": ""}
    awaits = next((e["data"]["event"] for e in rows.record.get("events", ()) if e["kind"] == "event_awaited"), "")
    yield {
        "type": "turn", "state": "ended", "turn_id": turn_id, "waits": rows.waits, "awaits": awaits, "steps": steps, "ms": ms,
    }  # fmt: skip
    if rows.status == "ended":
        yield {"type": "ended", "result": rows.record.get("result", "")}
