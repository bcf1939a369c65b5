"""Writes to customer systems that were away when a step came to them: carried out in order once the systems are back."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from graph_runtime.contract.crm import Crm, CrmQuery, CrmRecord, CrmTask, Entity
from graph_runtime.contract.crm_writing import CrmWrite, carry_out
from graph_runtime.contract.errors import ConnectorError, CredentialRejected, OutcomeUnknown
from graph_runtime.services.bound_connections import BoundConnections, OpenCredential
from graph_runtime.services.principal import system_principal
from graph_runtime.storage import crm_writes as rows
from graph_runtime.storage.database import Database, Row

log = structlog.get_logger(__name__)
PAUSES: Final = (5.0, 15.0, 30.0, 60.0)
"""Seconds between attempts; the last one from then on. The system's breaker keeps most of them inside."""
OLDEST: Final = timedelta(days=7)
NOT_THERE: Final = "The CRM has no such record of this client."
REASONS: Final = {"refused": "refused", "credential_rejected": "credential_rejected"}
EARLIER: Final = timedelta(minutes=15)
"""So long before it was put aside the turn may have begun to write it."""


class CrmLater:
    """For the worker."""

    def __init__(self, database: Database, connections: BoundConnections) -> None:
        self._database = database
        self._connections = connections

    async def run(self, workspace_id: str, write_id: str, attempt: int) -> None:
        """One attempt. What fails for good, or is older than a week, is given up and said in the conversation's events."""
        async with self._database.workspace(workspace_id) as connection:
            row = await rows.get(connection, write_id, attempt, OLDEST.total_seconds())
        if row is None:
            return
        began, rest = time.perf_counter(), CrmWrite.from_json(row["write"])
        error: ConnectorError | None
        try:
            made = await carry_out(LaterCrm(self._connections.crm(await self._open(workspace_id, row)), row), rest)
            error, rest = made.error, made.rest or rest
            is_there = made.record is not None or error is not None
        except CredentialRejected as problem:
            error, is_there = problem, True
        ms = round((time.perf_counter() - began) * 1000, 1)
        async with self._database.workspace(workspace_id) as connection:
            if error is not None and may_pass(error) and not row["is_too_old"]:
                pause = PAUSES[min(attempt, len(PAUSES)) - 1] * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load
                more = {"seconds": max(pause, getattr(error, "retry_after", None) or 0.0), "error": error.message}
                await rows.put_off(connection, write_id, attempt, rest.to_json(), more)
                return
            missing = "" if is_there or row["change_id"] is None else NOT_THERE
            await rows.finish(connection, write_id, attempt, error=error.message if error else missing)
            if error is not None:
                reason = "expired" if may_pass(error) else REASONS.get(error.code, "refused")
                await rows.give_up(connection, row, reason, error.message)
            outcome = error.code if error else "not_found" if missing else "ok"
            await rows.note(connection, row, {"what": f"later: {rest.entity}", "outcome": outcome, "ms": ms})
        if error is not None:
            log.error("crm_write_given_up", conversation_id=row["conversation_id"], code=error.code)

    async def _open(self, workspace_id: str, row: Row) -> OpenCredential:
        if row["credential_id"] is not None:
            return await self._connections.open_credential(system_principal(workspace_id), row["credential_id"], "crm")
        return await self._connections.open_slot(workspace_id, row["agent_id"], row["slot"], "crm")


def may_pass(error: ConnectorError) -> bool:
    """Whether it may work later. A key that is not accepted is replaced by a person, so it is waited for as well."""
    return error.retryable or isinstance(error, OutcomeUnknown | CredentialRejected)


class LaterCrm:
    """Implements `contract.crm.CrmDoor`: whatever an earlier attempt or the turn may have made is looked for first."""

    is_planned = False

    def __init__(self, crm: Crm, row: Row) -> None:
        self._crm = crm
        self._id: str = row["id"]
        self._since: datetime = row["at"] - EARLIER
        self._made_under: Mapping[str, str] = row["made_under"]

    async def find(self, query: CrmQuery) -> CrmRecord | None:
        return await self._crm.find(query)

    async def create(self, entity: Entity, values: Mapping[str, Any], *, contact: str = "") -> CrmRecord:
        what = f"create {entity}"
        key = self._made_under.get(what) or "pc-" + hashlib.sha256(f"{self._id}/{what}".encode()).hexdigest()[:24]
        found = await self._crm.find_made(entity, key)
        return found or await self._crm.create(entity, values, key=key, contact=contact)

    async def update(self, entity: Entity, record_id: str, values: Mapping[str, Any]) -> CrmRecord | None:
        return await self._crm.update(entity, record_id, values)

    async def note(self, entity: Entity, record_id: str, text: str) -> str:
        found = await self._crm.find_note(entity, record_id, text, self._since)
        return found or await self._crm.add_note(entity, record_id, text)

    async def task(self, entity: Entity, record_id: str, task: CrmTask) -> str:
        found = await self._crm.find_task(entity, record_id, task, self._since)
        return found or await self._crm.add_task(entity, record_id, task)
