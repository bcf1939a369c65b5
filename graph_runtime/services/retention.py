"""Retention: deletes what a workspace no longer wants to keep, once a day, in batches that lock nothing for long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import structlog

from graph_runtime.services.principal import Principal, system_principal
from graph_runtime.services.workspace_settings import WorkspaceSettings, WorkspaceSettingsRow
from graph_runtime.storage.database import Database
from graph_runtime.storage.retention import CONVERSATIONS, FILES, ROWS, RetentionRows
from graph_runtime.telemetry.metrics import DELETED

log = structlog.get_logger(__name__)
JOB: Final = "retention"
LEAST_INBOX_DAYS: Final = 14
"""A redelivery within this time must still meet its key."""
PAUSE_SECONDS: Final = 0.02
_BEGINNING: Final = (datetime(1970, 1, 1, tzinfo=UTC), "00000000-0000-0000-0000-000000000000")


class Retention:
    """`pause`: between two batches, so that conversations never wait for them."""

    def __init__(self, database: Database, *, pause: float = PAUSE_SECONDS) -> None:
        self._rows = RetentionRows(database)
        self._settings = WorkspaceSettings(database)
        self._pause = pause

    async def run_if_due(self) -> bool:
        """The day's work, unless some process has done it; whether it was done here."""
        if not await self._rows.claim(JOB):
            return False
        for workspace_id in await self._rows.workspaces():
            await self.run(system_principal(workspace_id))
        await self._all("", ROWS, self._forget)
        await self._rows.finish(JOB)
        return True

    async def run(self, principal: Principal) -> None:
        """One workspace, by its own settings. Raises: AccessDenied."""
        principal.require("settings.manage")
        workspace_id = principal.workspace_id
        wanted = await self._settings.get(principal)
        now = await self._rows.now()
        if wanted.keep_transcripts_days:
            await self._transcripts(workspace_id, now, wanted)
        for kind, days in (
            ("event", wanted.keep_events_days), ("event_delivery", wanted.keep_events_days),
            ("trigger_run", wanted.keep_events_days), ("update_check", wanted.keep_events_days),
            ("crm_write", wanted.keep_events_days),
            ("update_change", wanted.keep_transcripts_days), ("enrollment", wanted.keep_events_days),
            ("effect", wanted.keep_events_days), ("file", wanted.keep_files_days),
            ("call", wanted.keep_transcripts_days), ("knowledge_asking", wanted.keep_transcripts_days),
            ("recording", wanted.keep_transcripts_days), ("crm_record", wanted.keep_transcripts_days),
        ):  # fmt: skip
            if days:
                before = now - timedelta(days=days)
                batch = FILES if kind in ("file", "recording") else ROWS
                await self._all(kind, batch, partial(self._rows.by_age, workspace_id, kind, before))

    async def _transcripts(self, workspace_id: str, now: datetime, wanted: WorkspaceSettingsRow) -> None:
        before = now - timedelta(days=wanted.keep_transcripts_days)
        before_whole = min(before, now - timedelta(days=LEAST_INBOX_DAYS))
        for is_test in (False, True):
            # Long conversations lose their rows first, so that deleting one is never a long transaction.
            after = _BEGINNING
            while found := await self._rows.living(workspace_id, before, after, is_test=is_test):
                for conversation_id, _ in found:
                    for kind in ("message", "turn", "outbox", "held_message"):
                        await self._trim(workspace_id, kind, conversation_id, before)
                after = (found[-1][1], found[-1][0])
            delete = partial(self._rows.delete, workspace_id, before_whole, is_test=is_test)
            await self._all("conversation", CONVERSATIONS, delete)

    async def _trim(self, workspace_id: str, kind: str, conversation_id: str, before: datetime) -> None:
        await self._all(kind, ROWS, partial(self._rows.trim, workspace_id, kind, conversation_id, before))

    async def _all(self, kind: str, batch: int, delete: Callable[[], Awaitable[int]]) -> None:
        """Batch after batch until one is not full. `kind` empty: the batch counts itself."""
        while True:
            count = await delete()
            if count:
                if kind:
                    DELETED.labels(kind).inc(count)
                await asyncio.sleep(self._pause)
            if count < batch:
                return

    async def _forget(self) -> int:
        counts = await self._rows.forget_old_rows()
        for kind, count in counts.items():
            DELETED.labels(kind).inc(count)
        return max(counts.values())
