"""Triggers of an agent: making, changing, checking and switching them."""

from __future__ import annotations

import secrets as randomness
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from graph_runtime.contract.errors import Conflict, InputInvalid, NotFound
from graph_runtime.contract.schedules import Schedule, check, next_times
from graph_runtime.contract.signatures import new_secret
from graph_runtime.contract.trigger_problems import Problem, Surroundings, problems
from graph_runtime.contract.triggers import (
    OnInactivity,
    OnSchedule,
    Trigger,
)
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.principal import Principal
from graph_runtime.services.trigger_runner import load
from graph_runtime.services.vault import Vault
from graph_runtime.storage import audit
from graph_runtime.storage import triggers as rows
from graph_runtime.storage.database import Connection, Database, Row

SECRET: Final = "secret"  # noqa: S105 (the name of a field)
MOST_TRIGGERS: Final = 200


@dataclass(frozen=True, slots=True)
class TriggerRow:
    """A trigger as it is shown, never with its secret. `next_at` None: no time is set; `fired`: in the last 7 days.

    `problems`: what keeps it from working or will surprise; `sample`: the request that was kept; `path`: where to post.
    """

    id: str
    agent_id: str
    name: str
    is_on: bool
    trigger: Trigger
    problems: tuple[Problem, ...]
    next_at: datetime | None
    fired_at: datetime | None
    fired: int
    path: str
    sample: Any
    sample_at: datetime | None
    captures: bool
    created_at: datetime
    updated_at: datetime


TriggerRows = list[TriggerRow]
Choices = dict[str, list[Row]]
Problems = list[Problem]
Times = list[datetime]


class Triggers:
    """Whoever may edit the agent makes and changes them; whoever may see conversations sees what they did."""

    def __init__(
        self, database: Database, vault: Vault, clock: Clock = system_clock, *, crms: frozenset[str] = frozenset()
    ) -> None:
        """`crms`: connectors of customer systems."""
        self._database = database
        self._vault = vault
        self._clock = clock
        self._crms = sorted(crms)

    async def list(self, principal: Principal, agent_id: str | None = None) -> TriggerRows:
        """Those of an agent, or of the workspace, oldest first. Raises: AccessDenied, NotFound."""
        principal.require("agent.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            found = await rows.listed(connection, agent_id)
            around = {a: await self._around(connection, a) for a in {r["agent_id"] for r in found}}
            return [_shown(row, around[row["agent_id"]]) for row in found]

    async def get(self, principal: Principal, trigger_id: str) -> TriggerRow:
        """Raises: AccessDenied, NotFound."""
        principal.require("agent.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return await self._row(connection, trigger_id)

    async def choices(self, principal: Principal, agent_id: str) -> Choices:
        """What a trigger of this agent may name, each {id, name, is_on …}. Raises: AccessDenied, NotFound."""
        principal.require("agent.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return await rows.surroundings(connection, agent_id, self._crms)

    async def check(self, principal: Principal, agent_id: str, document: Mapping[str, Any]) -> Problems:
        """What is wrong with a document, without keeping it. Raises: AccessDenied, InputInvalid."""
        principal.require("agent.read")
        trigger = read(document)
        async with self._database.workspace(principal.workspace_id) as connection:
            return problems(trigger, await self._around(connection, agent_id))

    async def create(self, principal: Principal, agent_id: str, document: Mapping[str, Any]) -> tuple[TriggerRow, str]:
        """A trigger, switched off, and the secret of one that programs post to ("" for others), shown now and never again.

        Raises: AccessDenied, NotFound, InputInvalid with the first problem.
        """
        principal.require("agent.edit")
        trigger = read(document)
        async with self._database.workspace(principal.workspace_id) as connection:
            if not is_uuid(agent_id) or not (await rows.surroundings(connection, agent_id, self._crms))["flows"]:
                raise NotFound("There is no such agent in this workspace.")
            if len(await rows.listed(connection, agent_id)) >= MOST_TRIGGERS:
                raise InputInvalid(f"An agent has at most {MOST_TRIGGERS} triggers. Delete one first.", field="name")
            await self._require_sound(connection, agent_id, trigger)
            trigger_id, secret = str(uuid.uuid4()), new_secret() if trigger.when.kind == "webhook" else ""
            values = {
                "id": trigger_id, "agent_id": agent_id, **_columns(trigger), "secrets": {},
                "public_id": randomness.token_urlsafe(24) if secret else None,
            }  # fmt: skip
            if secret:
                place = (trigger_id, 1)
                values["secrets"], _ = await self._vault.seal(
                    connection, principal.workspace_id, place, {SECRET: secret}
                )
            await rows.insert(connection, values)
            await self._note(connection, principal, "created", trigger_id)
            return await self._row(connection, trigger_id), secret

    async def update(
        self, principal: Principal, trigger_id: str, document: Mapping[str, Any]
    ) -> TriggerRow:  # fmt: skip
        """Change it; its kind stays. Occasions that wait are decided by what it is now.

        Raises: AccessDenied, NotFound, InputInvalid with the first problem, Conflict for another kind.
        """
        principal.require("agent.edit")
        trigger = read(document)
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await found_trigger(connection, trigger_id, for_update=True)
            if row["kind"] != trigger.when.kind:
                raise Conflict("A trigger keeps its kind. Make a new one for this.", reason="kind")
            await self._require_sound(connection, row["agent_id"], trigger)
            await rows.change(connection, row["id"], **_columns(trigger))
            before = load(row)
            if row["is_on"] and (before is None or before.when != trigger.when):
                await self._begin(connection, row, trigger)
            await rows.wake(connection)
            await self._note(connection, principal, "changed", row["id"])
            return await self._row(connection, row["id"])

    async def set_on(self, principal: Principal, trigger_id: str, is_on: bool) -> TriggerRow:
        """Times that pass while it is off are not made up for.

        Raises: AccessDenied, NotFound, InputInvalid when it cannot work as it is.
        """
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await found_trigger(connection, trigger_id, for_update=True)
            trigger = load(row)
            if is_on and trigger is None:
                raise InputInvalid("This trigger cannot be read. Open it and save it again.", field="name")
            if is_on and trigger is not None:
                await self._require_sound(connection, row["agent_id"], trigger)
                await self._begin(connection, row, trigger)
            elif not is_on:
                await rows.set_tick(connection, row["id"], None)
            await rows.change(connection, row["id"], is_on=is_on)
            await rows.wake(connection)
            await self._note(connection, principal, "switched_on" if is_on else "switched_off", row["id"])
            return await self._row(connection, row["id"])

    async def rotate_secret(self, principal: Principal, trigger_id: str) -> str:
        """A new secret, shown now and never again; the old one ends at once. Raises: AccessDenied, NotFound, Conflict."""
        principal.require("agent.edit")
        secret = new_secret()
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await found_trigger(connection, trigger_id, for_update=True)
            if row["kind"] != "webhook":
                raise Conflict("Only a trigger that programs post to has a secret.", reason="kind")
            version = row["secrets_version"] + 1
            sealed, _ = await self._vault.seal(
                connection, principal.workspace_id, (row["id"], version), {SECRET: secret}
            )  # fmt: skip
            await rows.change(connection, row["id"], secrets=sealed, secrets_version=version)
            await self._note(connection, principal, "secret_changed", row["id"])
        return secret

    async def capture(self, principal: Principal, trigger_id: str, *, is_on: bool = True) -> TriggerRow:
        """Keep the next request as the sample to point at. Raises: AccessDenied, NotFound."""
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await found_trigger(connection, trigger_id, for_update=True)
            await rows.change(connection, row["id"], captures=is_on and row["kind"] == "webhook")
            return await self._row(connection, row["id"])

    async def delete(self, principal: Principal, trigger_id: str) -> None:
        """Delete it with its log; what waits does not happen. Raises: AccessDenied, NotFound."""
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await found_trigger(connection, trigger_id, for_update=True)
            await rows.delete(connection, row["id"])
            await self._note(connection, principal, "deleted", row["id"])

    def preview(self, principal: Principal, schedule: Schedule, n: int = 10) -> tuple[str, Times]:
        """The next times of a schedule, or what is wrong with it in words. Raises: AccessDenied."""
        principal.require("agent.read")
        wrong = check(schedule, self._clock())
        return (wrong.message, []) if wrong else ("", next_times(schedule, self._clock(), n))

    async def _begin(self, connection: Connection, row: Row, trigger: Trigger) -> None:
        """From now on: the next time is ahead, and silences that began long ago are no news."""
        now = self._clock()
        due_at = None
        if isinstance(trigger.when, OnSchedule):
            due_at = next(iter(next_times(trigger.when.schedule, now, 1)), None)
        elif isinstance(trigger.when, OnInactivity):
            due_at = now
            heard = row["now"] - timedelta(minutes=trigger.when.minutes)
            await rows.change(connection, row["id"], heard_until=heard)
        await rows.set_tick(connection, row["id"], due_at)

    async def _around(self, connection: Connection, agent_id: str) -> Surroundings:
        found = await rows.surroundings(connection, agent_id, self._crms)
        flows = {f["id"]: f["is_on"] for f in found["flows"]}
        flows[""] = any(f["is_on"] for f in found["flows"] if f["is_main"])
        return Surroundings(
            now=self._clock(),
            flows=flows,
            chains={c["id"]: c["is_on"] for c in found.get("chains", [])},
            subscriptions={s["id"]: s["is_on"] for s in found["subscriptions"]},
            members=frozenset(m["id"] for m in found["members"]),
            segments=frozenset(s["id"] for s in found["segments"]),
            channels=frozenset(c["id"] for c in found["channels"]),
            crms=frozenset(c["id"] for c in found["crms"]),
        )

    async def _require_sound(self, connection: Connection, agent_id: str, trigger: Trigger) -> None:
        wrong = [p for p in problems(trigger, await self._around(connection, agent_id)) if not p.is_warning]
        if wrong:
            raise InputInvalid(wrong[0].message, field=wrong[0].field, reason=wrong[0].code)

    async def _row(self, connection: Connection, trigger_id: str) -> TriggerRow:
        row = await found_trigger(connection, trigger_id)
        return _shown(row, await self._around(connection, row["agent_id"]))

    async def _note(self, connection: Connection, principal: Principal, what: str, trigger_id: str) -> None:
        await audit.append(connection, principal.actor, f"trigger.{what}", {"trigger": trigger_id}, self._clock())


async def found_trigger(connection: Connection, trigger_id: str, *, for_update: bool = False) -> Row:
    """Raises: NotFound."""
    row = await rows.get(connection, trigger_id, for_update=for_update) if is_uuid(trigger_id) else None
    if row is None:
        raise NotFound("There is no such trigger. It may have been deleted; reload the page.")
    return row


def read(document: Mapping[str, Any]) -> Trigger:
    """A document that came from outside. Raises: InputInvalid."""
    try:
        return Trigger.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "trigger"
        raise InputInvalid(f"“{where}” does not fit: {first['msg']}.", field=where) from None


def _columns(trigger: Trigger) -> dict[str, Any]:
    return {
        "name": trigger.name.strip(), "kind": trigger.when.kind, "event": getattr(trigger.when, "event", ""),
        "document": trigger.model_dump(mode="json", by_alias=True),
    }  # fmt: skip


def _shown(row: Row, around: Surroundings) -> TriggerRow:
    trigger = load(row)
    found = tuple(problems(trigger, around)) if trigger else (Problem("damaged", "name", "Save this trigger again."),)
    return TriggerRow(
        id=row["id"], agent_id=row["agent_id"], name=row["name"], is_on=row["is_on"],
        trigger=trigger or Trigger(name=row["name"]), problems=found, next_at=row["due_at"] if row["kind"] == "schedule" else None,
        fired_at=row["fired_at"], fired=row["fired"], path=f"/hooks/trigger/{row['public_id']}" if row["public_id"] else "",
        sample=row["sample"], sample_at=row["sample_at"], captures=row["captures"], created_at=row["created_at"],
        updated_at=row["updated_at"],
    )  # fmt: skip
