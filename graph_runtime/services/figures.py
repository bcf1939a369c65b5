"""The figures of a process as text for Prometheus, with those of the database asked at that moment."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from graph_runtime.storage.database import Database
from graph_runtime.storage.figures import figures
from graph_runtime.storage.instance import CALL_STATES
from graph_runtime.telemetry import metrics

log = structlog.get_logger(__name__)
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
STATES: Final = ("pending", "sending")
KINDS: Final = ("timers", "steps", "triggers", "copies")
SECONDS: Final = 3.0


class Figures:
    """`key_id`: of the secret key in use."""

    def __init__(self, database: Database, key_id: str) -> None:
        self._database = database
        self._key_id = key_id

    async def text(self) -> bytes:
        """Everything; what the database knows is left out while it is away."""
        try:
            async with asyncio.timeout(SECONDS):
                self._set(await figures(self._database, self._key_id))
        except Exception as error:  # noqa: BLE001 (whatever it is, the process's own figures are told)
            log.warning("figures_of_database_missing", error=type(error).__name__)
            self._forget()
        return generate_latest()

    @staticmethod
    def _set(rows: list[tuple[str, str, float]]) -> None:
        found = {(name, label): value for name, label, value in rows}
        for state in STATES:
            metrics.OUTBOX_AGE.labels(state).set(max(0.0, found.get(("outbox_age_seconds", state), 0.0)))
        for kind in KINDS:
            metrics.OVERDUE.labels(kind).set(max(0.0, found.get(("overdue_seconds", kind), 0.0)))
        for state in CALL_STATES:
            metrics.VOICE_PROCESSES.labels(state or "open").set(found.get(("voice_processes", state), 0))
        metrics.EVENTS_WAITING.set(found.get(("events_waiting", ""), 0))
        metrics.COPIES_WAITING.set(found.get(("copies_waiting", ""), 0))
        metrics.COPIES_FAILING.set(found.get(("copies_failing", ""), 0))
        metrics.DEAD_LETTERS.set(found.get(("dead_letters_open", ""), 0))
        metrics.OLD_KEYS.set(found.get(("vault_rows_old_key", ""), 0))
        metrics.HELD.set(found.get(("held_by_restore", ""), 0))

    @staticmethod
    def _forget() -> None:
        metrics.OUTBOX_AGE.clear()
        metrics.OVERDUE.clear()
        metrics.VOICE_PROCESSES.clear()
        for gauge in (
            metrics.EVENTS_WAITING, metrics.COPIES_WAITING, metrics.COPIES_FAILING, metrics.DEAD_LETTERS, metrics.OLD_KEYS,
            metrics.HELD,
        ):  # fmt: skip
            gauge.set(float("nan"))
