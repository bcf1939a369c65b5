"""A step's customer system: each call recorded, creations looked for before they are repeated, tests only shown."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final

from graph_runtime.contract import events as happened
from graph_runtime.contract.crm import TEST_ID, Crm, CrmQuery, CrmRecord, CrmTask, Entity
from graph_runtime.contract.errors import BuilderError, CredentialRejected, OutcomeUnknown
from graph_runtime.contract.outside_words import failure
from graph_runtime.engine.checkpoint import json_values
from graph_runtime.engine.effects import once
from graph_runtime.engine.turn import TurnRun

EVIDENCE_PAUSES: Final = (0.0, 1.0, 2.0)
"""Seconds between looks for what an earlier attempt may have made: a system's own search can lag behind."""


class StepCrm:
    """Implements `contract.crm.CrmKeeper`. `next_key` gives the effect keys of the step, one per call."""

    def __init__(self, turn: TurnRun, node_id: str, slot: str, next_key: Callable[[], str]) -> None:
        self._turn = turn
        self._node_id = node_id
        self._slot = slot
        self._next_key = next_key
        self._aside_key = ""
        self._made_under: dict[str, str] = {}

    @property
    def is_planned(self) -> bool:
        """In a test nothing is written."""
        return self._turn.trigger.is_test

    async def _crm(self) -> Crm:
        if self._turn.doors.connections is None:
            raise failure(CredentialRejected, "no_crm", slot=self._slot)
        return await self._turn.doors.connections.crm(self._slot)

    async def find(self, query: CrmQuery) -> CrmRecord | None:
        async def go() -> Any:
            found = await (await self._crm()).find(query)
            return {"record": found.to_json() if found else None}

        data = await self._once(f"find {query.entity}", go)
        return CrmRecord.from_json(data["record"]) if data["record"] else None

    async def create(self, entity: Entity, values: Mapping[str, Any], *, contact: str = "") -> CrmRecord:
        if self._plan(f"create {entity}", {"values": dict(values)} | ({"contact": contact} if contact else {})):
            return CrmRecord(entity, TEST_ID, str(values.get("name", "")), dict(values))

        async def go(crm: Crm, key: str) -> Any:
            return (await crm.create(entity, values, key=key, contact=contact)).to_json()

        async def made(crm: Crm, key: str, _since: datetime) -> Any:
            found = await crm.find_made(entity, key)
            return found.to_json() if found else None

        return CrmRecord.from_json(await self._reconciled(f"create {entity}", go, made))

    async def update(self, entity: Entity, record_id: str, values: Mapping[str, Any]) -> CrmRecord | None:
        if self._plan(f"update {entity}", {"id": record_id, "values": dict(values)}):
            return CrmRecord(entity, record_id, "", dict(values))

        async def go() -> Any:
            changed = await (await self._crm()).update(entity, record_id, values)
            return {"record": changed.to_json() if changed else None}

        data = await self._once(f"update {entity}", go)
        return CrmRecord.from_json(data["record"]) if data["record"] else None

    async def note(self, entity: Entity, record_id: str, text: str) -> str:
        if self._plan(f"note on {entity}", {"id": record_id, "text": text}):
            return TEST_ID

        async def go(crm: Crm, _key: str) -> Any:
            return await crm.add_note(entity, record_id, text)

        async def made(crm: Crm, _key: str, since: datetime) -> Any:
            return await crm.find_note(entity, record_id, text, since)

        return str(await self._reconciled(f"note on {entity}", go, made))

    async def task(self, entity: Entity, record_id: str, task: CrmTask) -> str:
        if self._plan(f"task on {entity}", {"id": record_id, "text": task.text, "due_at": task.due_at.isoformat()}):
            return TEST_ID

        async def go(crm: Crm, _key: str) -> Any:
            return await crm.add_task(entity, record_id, task)

        async def made(crm: Crm, _key: str, since: datetime) -> Any:
            return await crm.find_task(entity, record_id, task, since)

        return str(await self._reconciled(f"task on {entity}", go, made))

    async def was_put_aside(self) -> bool:
        """Its own effect, before all others, so that its key is the same in a run that comes to it and in one that does not."""
        if self.is_planned:
            return False
        self._aside_key = self._next_key()
        effects = self._turn.doors.effects
        return (
            await effects.recorded(self._aside_key) is not None or await effects.begun_at(self._aside_key) is not None
        )

    async def has_earlier(self) -> bool:
        connections = self._turn.doors.connections
        if self.is_planned or connections is None:
            return False
        return await connections.has_put_aside(self._turn.trigger.conversation_id)

    async def put_aside(self, write: Mapping[str, Any]) -> None:
        doors = self._turn.doors
        assert doors.connections is not None
        put_aside = doors.connections.put_aside
        about = {
            "key": self._aside_key, "conversation_id": self._turn.trigger.conversation_id,
            "turn_id": self._turn.trigger.turn_id, "node_id": self._node_id,
            "write": dict(write), "made_under": self._made_under,
        }  # fmt: skip

        async def go() -> Any:
            await put_aside(self._slot, about)
            return True

        await self._once("put aside", go, self._aside_key)

    async def _reconciled(
        self,
        what: str,
        go: Callable[[Crm, str], Awaitable[Any]],
        made: Callable[[Crm, str, datetime], Awaitable[Any | None]],
    ) -> Any:
        """Create once: what an earlier run began, or a call with an unknown end, is looked for before it is repeated."""
        effect = self._next_key()
        key = "pc-" + hashlib.sha256(effect.encode()).hexdigest()[:24]
        self._made_under[what] = key
        since = await self._turn.doors.effects.begun_at(effect)

        async def once_over() -> Any:
            crm = await self._crm()
            if since is not None and (found := await _look(crm, key, since, made)) is not None:
                return found
            began = await self._turn.doors.effects.begun_at(effect)
            try:
                return await go(crm, key)
            except OutcomeUnknown:
                if began is None or (found := await _look(crm, key, began, made)) is None:
                    raise
                return found

        return await self._once(what, once_over, effect)

    async def _once(self, what: str, go: Callable[[], Awaitable[Any]], effect: str = "") -> Any:
        turn, began, outcome, replayed = self._turn, time.perf_counter(), "", False
        try:
            data, replayed = await once(turn.doors.effects, effect or self._next_key(), "crm", self._node_id, go)
            outcome = "ok"
        except BuilderError as error:
            outcome = error.code
            raise
        finally:
            ms = round((time.perf_counter() - began) * 1000, 1)
            turn.emit(
                happened.OutsideCalled, node_id=self._node_id, what=what, outcome=outcome, ms=ms, replayed=replayed
            )
        return data

    def _plan(self, what: str, details: dict[str, Any]) -> bool:
        if self.is_planned:
            shown = json_values(details)
            self._turn.emit(happened.OutsideCalled, node_id=self._node_id, what=what, is_planned=True, details=shown)
        return self.is_planned


async def _look(
    crm: Crm, key: str, since: datetime, made: Callable[[Crm, str, datetime], Awaitable[Any | None]]
) -> Any | None:
    for pause in EVIDENCE_PAUSES:
        await asyncio.sleep(pause)
        if (found := await made(crm, key, since)) is not None:
            return found
    return None
