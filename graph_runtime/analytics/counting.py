"""Counts what the engine reports, for the figures of the process."""

from __future__ import annotations

from graph_runtime.contract.events import EngineEvent, ModelAnswered
from graph_runtime.telemetry.metrics import MODEL_COST


def count_event(event: EngineEvent) -> None:
    """An observer of every turn."""
    if isinstance(event, ModelAnswered) and not event.replayed and event.cost_microusd:
        MODEL_COST.inc(event.cost_microusd)
