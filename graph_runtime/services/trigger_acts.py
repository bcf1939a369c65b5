"""What triggers do: begin conversations, follow-ups, changes of contacts, notes, events; all in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from graph_runtime.contract.crm_writing import name_of
from graph_runtime.contract.trigger_rules import Facts
from graph_runtime.contract.triggers import (
    NEEDS_CONTACT,
    Action,
    ChangeContact,
    EnrollInChain,
    LeaveChain,
    NotifyMembers,
    SendWebhook,
    StartFlow,
    WriteCrm,
)
from graph_runtime.services.chain_entry import enroll_one, leave_one, open_door
from graph_runtime.services.crm_wishes import write_down
from graph_runtime.storage import contacts
from graph_runtime.storage import trigger_runs as runs
from graph_runtime.storage import triggers as rows
from graph_runtime.storage.database import Connection, Row

FIRED_EVENT: Final = "trigger.fired"
"""The type of the event that an action sends to one subscription; it cannot be subscribed to."""
_OF_CHAINS: Final = {"off": "chain_off", "inside": "chain_inside", "nothing_to_do": "chain_nothing_to_do"}
_COLUMNS: Final = {"name": 200, "phone": 30, "email": 254, "language": 10, "time_zone": 64}


class ChainDoor(Protocol):
    """Follow-up chains, as triggers use them, in the transaction of the trigger."""

    async def enroll(
        self, connection: Connection, chain_id: str, contact_id: str, *, source: str, now: datetime
    ) -> str:  # fmt: skip
        """ "" when the contact is in the chain now, else a key of `trigger_rules.SENTENCES`."""
        ...

    async def leave(self, connection: Connection, chain_id: str, contact_id: str, *, now: datetime) -> int:
        """Take them out of a chain, "" of all; out of how many."""
        ...


class FollowUps:
    """The chains of the workspace."""

    async def enroll(
        self, connection: Connection, chain_id: str, contact_id: str, *, source: str, now: datetime
    ) -> str:  # fmt: skip
        """Into its live version. What `ChainDoor` says."""
        entered = await enroll_one(connection, await open_door(connection, chain_id, now), contact_id, source=source)
        return _OF_CHAINS.get(entered.problem, entered.problem)

    async def leave(self, connection: Connection, chain_id: str, contact_id: str, *, now: datetime) -> int:
        """What `ChainDoor` says."""
        return await leave_one(connection, contact_id, chain_id, "trigger", now)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something is done. `key` is the same whenever it is tried again; `contact_id` None: about nobody."""

    trigger: Row
    key: str
    source: str
    contact_id: str | None
    at: datetime
    variables: Mapping[str, Any] = field(default_factory=dict)
    place: int = 0
    """Which of the trigger's actions."""


@dataclass(frozen=True, slots=True)
class Did:
    """What an action came to; `reason` "" when it was done. `conversation_id`: that began."""

    do: str
    reason: str = ""
    conversation_id: str = ""
    channel: str = ""

    def data(self) -> dict[str, str]:
        """As it is kept."""
        kept = {"do": self.do, "reason": self.reason, "conversation_id": self.conversation_id, "channel": self.channel}
        return {k: v for k, v in kept.items() if v or k == "do"}


class TriggerActs:
    """Whatever an action raises undoes all of the trigger's; what it cannot do it says."""

    def __init__(self, chains: ChainDoor | None = None, *, phone_lines: frozenset[str] = frozenset()) -> None:
        self.chains: ChainDoor = chains or FollowUps()
        self._phone_lines = phone_lines

    async def do(self, connection: Connection, action: Action, cause: Cause, facts: Facts) -> Did:
        """Carry out one action."""
        if cause.contact_id is None and action.do in NEEDS_CONTACT:
            return Did(action.do, "no_contact")
        contact_id = cause.contact_id or ""
        reason = ""
        if isinstance(action, StartFlow):
            return await self._start_flow(connection, action, cause, facts)
        if isinstance(action, EnrollInChain):
            source = f"trigger:{cause.trigger['id']}"[:40]
            reason = await self.chains.enroll(connection, action.chain_id, contact_id, source=source, now=cause.at)
        elif isinstance(action, LeaveChain):
            left = await self.chains.leave(connection, action.chain_id, contact_id, now=cause.at)
            reason = "" if left else "not_inside"
        elif isinstance(action, ChangeContact):
            reason = await _change(connection, action, contact_id, cause, facts)
        elif isinstance(action, WriteCrm):
            reason = await _write_crm(connection, action, cause, facts)
        elif isinstance(action, NotifyMembers):
            text = facts.render(action.text)[:4000]
            await rows.add_note(connection, cause.trigger["id"], cause.contact_id, action.member_id, text)
        elif isinstance(action, SendWebhook):
            data = {
                "trigger_id": cause.trigger["id"], "trigger": cause.trigger["name"], "key": cause.key,
                "source": cause.source, "note": facts.render(action.note), "contact_id": cause.contact_id,
                "contact": dict(facts.contact or {}), "event": dict(facts.event), "variables": dict(facts.variables),
            }  # fmt: skip
            is_told = await runs.tell_subscription(connection, action.subscription_id, FIRED_EVENT, data)
            reason = "" if is_told else "no_subscription"
        return Did(action.do, reason)

    async def look(
        self, connection: Connection, action: Action, contact_id: str | None, agent_id: str, facts: Facts
    ) -> Did:
        """What an action would come to now, as far as that can be told without doing it."""
        if contact_id is None and action.do in NEEDS_CONTACT:
            return Did(action.do, "no_contact")
        if isinstance(action, StartFlow) and contact_id is not None:
            ways = await runs.ways_to(connection, contact_id, agent_id, unread=self._phone_lines)
            reason, way, _ = await _way(connection, action, ways, agent_id, facts)
            return Did(action.do, reason, channel=way["connector"] if way else "")
        return Did(action.do)

    async def _start_flow(self, connection: Connection, action: StartFlow, cause: Cause, facts: Facts) -> Did:
        agent_id = cause.trigger["agent_id"]
        assert cause.contact_id is not None
        ways = await runs.ways_to(connection, cause.contact_id, agent_id, unread=self._phone_lines)
        reason, way, version = await _way(connection, action, ways, agent_id, facts)
        if reason or way is None or version is None:
            return Did(action.do, reason, channel=way["connector"] if way else "")
        if way["open_id"]:
            await runs.end_conversation(connection, way["open_id"])
        payload = {"variables": {**cause.variables, "event": dict(facts.event)}, "initiated_by": "proactive"}
        opened = await runs.open_conversation(
            connection, agent_id, way, f"trigger:{cause.key}"[:500], version, payload
        )  # fmt: skip
        if opened["problem"]:
            reason = {"agent_off": "agent_off", "no_version": "not_published"}.get(opened["problem"], "flow_gone")
            return Did(action.do, reason)
        return Did(action.do, conversation_id=opened["conversation_id"], channel=way["connector"])


async def _way(
    connection: Connection, action: StartFlow, ways: list[Row], agent_id: str, facts: Facts
) -> tuple[str, Row | None, str | None]:
    """(why not, the channel, the version to start)."""
    is_there, version = await runs.live_version(connection, agent_id, action.flow_id)
    if not is_there or version is None:
        return ("not_published" if is_there else "flow_gone"), None, None
    if facts.contact is not None and facts.contact.get("opted_out"):
        return "opted_out", None, None
    if action.channels:
        ways = [w for kind in action.channels for w in ways if w["connector"] == kind]
    if not ways:
        return "no_channel", None, None
    if action.if_open == "skip" and any(w["open_id"] for w in ways):
        return "busy", next(w for w in ways if w["open_id"]), None
    return "", ways[0], version


async def _write_crm(connection: Connection, action: WriteCrm, cause: Cause, facts: Facts) -> str:
    contact = facts.contact or {}
    who = (cause.contact_id or "", name_of(contact), str(contact.get(action.by) or ""))
    key = f"trigger:{cause.key}/{cause.place}"
    agent_id = str(cause.trigger["agent_id"])
    return await write_down(connection, action, agent_id, who, key=key, render=facts.render, at=cause.at)


async def _change(connection: Connection, action: ChangeContact, contact_id: str, cause: Cause, facts: Facts) -> str:
    row = await contacts.get(connection, contact_id, for_update=True)
    if row is None:
        return "no_contact"
    columns: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    for key, text in action.fields.items():
        value = facts.render(text).strip()
        if key in _COLUMNS:
            columns[key] = value[: _COLUMNS[key]]
        else:
            fields[key] = value[:4000]
    changed = {k: v for k, v in columns.items() if row[k] != v}
    if any(row["fields"].get(k) != v for k, v in fields.items()):
        changed["fields"] = {**row["fields"], **fields}
    if changed:
        await contacts.change(connection, contact_id, changed)
    add = [facts.render(t).strip()[:60] for t in action.add_tags]
    tagged = await contacts.tag(connection, [contact_id], add=[t for t in add if t], remove=[*action.remove_tags])
    if not changed and not tagged:
        return "nothing_changed"
    noted = {"trigger": cause.trigger["id"], "fields": sorted(action.fields), "tags": [*add, *action.remove_tags]}
    await contacts.note(connection, contact_id, "edited", f"trigger:{cause.trigger['id']}", noted)
    return ""
