"""What triggers did and would do: firing one by hand, trying one out, every occasion with its reason, notes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from graph_runtime.contract.errors import Conflict, InputInvalid, NotFound
from graph_runtime.contract.trigger_rules import SENTENCES, Facts, hears, told, verdict
from graph_runtime.contract.triggers import OnMessage, OnWebhook
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.principal import Principal
from graph_runtime.services.trigger_acts import Did, TriggerActs
from graph_runtime.services.trigger_runner import facts_of
from graph_runtime.services.triggers import found_trigger, read
from graph_runtime.storage import contacts
from graph_runtime.storage import trigger_runs as runs
from graph_runtime.storage import triggers as rows
from graph_runtime.storage.database import Connection, Database, Row

MOST_PAYLOAD: Final = 64_000
STATES: Final = ("waiting", "fired", "not_fired", "failed")


@dataclass(frozen=True, slots=True)
class OccasionRow:
    """A line of the log. `reason`: a key of `trigger_rules.SENTENCES`, `sentence` the same in English; `did`: actions."""

    id: str
    source: str
    contact_id: str | None
    contact: str
    at: datetime
    state: str
    reason: str
    did: list[dict[str, str]]
    data: dict[str, Any]
    depth: int
    attempts: int
    done_at: datetime | None
    conversation_id: str | None
    cause_id: str | None
    spreads: bool

    @property
    def sentence(self) -> str:
        """Why it fired or not."""
        return SENTENCES["fired"] if self.state == "fired" and not self.reason else SENTENCES.get(self.reason, "")


@dataclass(frozen=True, slots=True)
class Sample:
    """Something to try a trigger with; nothing of it is kept. `payload`: an event's data, or the body of a request."""

    contact_id: str = ""
    text: str = ""
    channel: str = ""
    payload: Any = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What would happen: whether it fires, why not, and what each action would come to."""

    fires: bool
    reason: str
    did: tuple[Did, ...]
    who: dict[str, str]
    variables: dict[str, Any]

    @property
    def sentence(self) -> str:
        """Why it would fire or not."""
        return SENTENCES["fired" if self.fires else self.reason]


class TriggerLog:
    """Whoever may see conversations sees it; whoever may write in them fires triggers."""

    def __init__(self, database: Database, acts: TriggerActs, clock: Clock = system_clock) -> None:
        self._database = database
        self._acts = acts
        self._clock = clock

    async def fire(
        self, principal: Principal, trigger_id: str, *, contact_id: str = "", payload: Any = None, key: str = ""
    ) -> OccasionRow:
        """Fire it for a contact (or nobody); also while it is off. The same key is the same occasion, which waits for a worker.

        Raises: AccessDenied, NotFound, InputInvalid, Conflict for a known key of another contact.
        """
        principal.require("conversation.write")
        if payload is not None and not isinstance(payload, dict):
            raise InputInvalid("The payload is an object of names and values.", field="payload")
        if len(str(payload or "")) > MOST_PAYLOAD:
            raise InputInvalid("The payload is larger than 64 kB. Send less.", field="payload")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await found_trigger(connection, trigger_id)
            if contact_id and (not is_uuid(contact_id) or await contacts.get(connection, contact_id) is None):
                raise NotFound("There is no such contact in this workspace.")
            source = "api" if principal.role == "api" else "manual"
            key = f"{source}:{principal.actor}:{key or uuid.uuid4().hex}"[:300]
            data = {"type": "manual", **(payload or {}), "variables": payload or {}}
            run_id = await runs.add(
                connection, row["id"], key, source, contact_id=contact_id or None, data=data
            )  # fmt: skip
            run_id = run_id or await runs.known(connection, row["id"], key)
            assert run_id is not None
            found = await self._occasion(connection, row["id"], run_id)
            if (found.contact_id or "") != contact_id:
                raise Conflict("This key was used for another contact. Use a new one.", reason="key")
            await rows.wake(connection)
            return found

    async def try_out(
        self, principal: Principal, agent_id: str, document: Mapping[str, Any], sample: Sample, trigger_id: str = ""
    ) -> Trial:
        """What would happen with a sample, now, with this document. Changes nothing. Raises: AccessDenied, NotFound, InputInvalid."""
        principal.require("agent.read")
        trigger, when = read(document), read(document).when
        who: dict[str, str] = {}
        variables: dict[str, Any] = sample.payload if isinstance(sample.payload, dict) else {}
        async with self._database.workspace(principal.workspace_id) as connection:
            contact_id = sample.contact_id or None
            if contact_id and (not is_uuid(contact_id) or await contacts.get(connection, contact_id) is None):
                raise NotFound("There is no such contact in this workspace.")
            if isinstance(when, OnWebhook):
                read_of = told(when.uses, sample.payload)
                who, variables = read_of.who, read_of.variables
                if contact_id is None and ("phone" in who or "email" in who):
                    found = await contacts.find_by(connection, phone=who.get("phone", ""), email=who.get("email", ""))
                    contact_id = found["id"] if found else None
            occasion = runs.Occasion(
                trigger_id or str(uuid.uuid4()), trigger_id or str(uuid.uuid4()), "trial", when.kind, contact_id, None,
                False, None, self._clock(), {**_event_of(sample), "variables": variables}, 0, 0, self._clock(),
            )  # fmt: skip
            facts = replace(
                await facts_of(connection, trigger.limits, occasion), message={"text": sample.text}
            )  # fmt: skip
            if isinstance(when, OnWebhook) and contact_id is None and who:
                facts = replace(facts, contact=who)
            reason = hears(when, sample.channel, sample.text) if isinstance(when, OnMessage) else ""
            reason = reason or verdict(trigger, facts)
            if reason:
                return Trial(False, reason, (), who, variables)
            did = [
                await self._look(connection, a, contact_id, agent_id, facts, isinstance(when, OnMessage))
                for a in trigger.actions
            ]
            fires = any(not d.reason for d in did)
            return Trial(fires, "" if fires else did[0].reason if did else "nobody_fits", tuple(did), who, variables)

    async def _look(
        self, connection: Connection, action: Any, contact_id: str | None, agent_id: str, facts: Facts, is_message: bool
    ) -> Did:
        if is_message and action.do == "start_flow":
            # The message's own conversation goes on with this flow, whoever writes.
            is_there, version = await runs.live_version(connection, agent_id, action.flow_id)
            return Did(action.do, "" if version else "not_published" if is_there else "flow_gone")
        return await self._acts.look(connection, action, contact_id, agent_id, facts)

    async def log(
        self, principal: Principal, trigger_id: str, *, state: str | None = None, search: str = "", before: str | None = None,
        limit: int = 50,
    ) -> list[OccasionRow]:  # fmt: skip
        """Every occasion with why it fired or not, newest first; `before`: the last id of the page before.

        Raises: AccessDenied, NotFound, InputInvalid.
        """
        principal.require("conversation.read")
        if state and state not in STATES:
            raise InputInvalid(f"A state is one of {', '.join(STATES)}.", field="state")
        pattern = search.strip()[:200].replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await found_trigger(connection, trigger_id)
            wanted = {
                "trigger": row["id"], "state": state or None, "search": f"%{pattern}%" if pattern else None, "id": None,
                "before": before if before and is_uuid(before) else None, "limit": min(max(limit, 1), 200),
            }  # fmt: skip
            return [OccasionRow(**r) for r in await runs.log(connection, wanted)]

    async def occasion(self, principal: Principal, trigger_id: str, run_id: str) -> OccasionRow:
        """One of them. Raises: AccessDenied, NotFound."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await found_trigger(connection, trigger_id)
            return await self._occasion(connection, row["id"], run_id)

    async def find_contacts(self, principal: Principal, search: str, limit: int = 8) -> list[tuple[str, str]]:
        """(id, name, number or address) of contacts to choose from. Raises: AccessDenied."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            found = await contacts.listed(connection, contacts.filters(search=search), before=None, limit=limit)
            return [(r["id"], r["name"] or r["phone"] or r["email"]) for r in found]

    async def notes(self, principal: Principal, agent_id: str) -> list[Row]:
        """What triggers of an agent ask this member to look at. Raises: AccessDenied."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return await rows.notes(connection, agent_id, principal.member_id)

    async def close_note(self, principal: Principal, note_id: str) -> bool:
        """It is dealt with; False when it was already. Raises: AccessDenied."""
        principal.require("conversation.write")
        async with self._database.workspace(principal.workspace_id) as connection:
            return await rows.close_note(connection, note_id)

    async def _occasion(self, connection: Connection, trigger_id: str, run_id: str) -> OccasionRow:
        wanted = {"trigger": trigger_id, "state": None, "search": None, "before": None, "limit": 1, "id": run_id}
        found = await runs.log(connection, wanted) if is_uuid(run_id) else []
        if not found:
            raise NotFound("There is no such occasion in the log of this trigger.")
        return OccasionRow(**found[0])


def _event_of(sample: Sample) -> dict[str, Any]:
    if isinstance(sample.payload, dict):
        return {"body": sample.payload, **sample.payload}
    return {"body": sample.payload} if sample.payload is not None else {}
