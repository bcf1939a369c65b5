"""What update rules changed and propose: looking, accepting, rejecting, taking back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from graph_runtime.contract.errors import Conflict, InputInvalid, NotFound
from graph_runtime.contract.update_rules import UpdateRule, sentence
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.contacts import found
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.principal import Principal
from graph_runtime.services.update_writing import put_value, said_value, targets_of, value_at, write_to_crm
from graph_runtime.storage import audit, crm_writes
from graph_runtime.storage import update_rules as rows
from graph_runtime.storage.database import Connection, Database, Row

PAGE: Final = 30
STATES: Final = ("applied", "proposed", "rejected", "undone", "noted", "replaced")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one field. `before` None: it was empty; `sentence`: what the contact said; `rule` in words.

    `state`: "applied", "proposed" (waits for a member), "rejected", "replaced" (by a newer proposal), "undone", "noted" (the
    rule never writes). `member`: who decided last. `applied_by`: an actor, "rule:<id>" where nobody was asked.
    `crm`: how it is written to the CRM, "waiting", "done", "failed" (`crm_error` says why) or "dropped"; "" where it is not.
    """

    id: str
    agent_id: str
    contact_id: str
    contact: str
    rule_id: str
    rule: str
    document: UpdateRule
    conversation_id: str | None
    message_seq: int
    field: str
    label: str
    before: Any
    after: Any
    sentence: str
    confidence: float
    by_model: str
    state: str
    created_at: datetime
    applied_at: datetime | None
    applied_by: str
    closed_at: datetime | None
    closed_by: str
    member: str
    crm: str = ""
    crm_error: str = ""


Changes = list[Change]


class UpdateChanges:
    """Whoever may write to conversations decides; whoever may see them looks."""

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        self._database = database
        self._clock = clock

    async def listed(
        self, principal: Principal, *, agent_id: str = "", contact_id: str = "", state: str = "", before: str = "",
        limit: int = PAGE,
    ) -> Changes:  # fmt: skip
        """Newest first; of an agent, of a contact, in a state; after the id `before`.

        Raises: AccessDenied, NotFound (the contact), InputInvalid (the state).
        """
        principal.require("conversation.read")
        if state and state not in STATES:
            raise InputInvalid(f"A change is one of {', '.join(STATES)}.", field="state")
        if agent_id and not is_uuid(agent_id):
            raise NotFound("There is no such agent in this workspace.")
        async with self._database.workspace(principal.workspace_id) as connection:
            contact = (await found(connection, contact_id))["id"] if contact_id else None
            wanted = {
                "agent": agent_id or None, "contact": contact, "states": [state] if state else None,
                "before": before if is_uuid(before) else None, "limit": max(1, min(limit, 200)),
            }  # fmt: skip
            return [_shown(row) for row in await rows.changes(connection, wanted)]

    async def get(self, principal: Principal, change_id: str) -> Change:
        """Raises: AccessDenied, NotFound."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return _shown(await _row(connection, change_id))

    async def accept(self, principal: Principal, change_id: str) -> Change:
        """Carry out a proposal; what stands there now becomes its `before`.

        Raises: AccessDenied, NotFound, Conflict (decided already, or the field is gone).
        """
        principal.require("conversation.write")
        async with self._database.workspace(principal.workspace_id) as connection:
            row, contact = await _locked(connection, change_id, "proposed")
            if row["field"] not in await targets_of(connection):
                raise Conflict("This field was deleted, so it cannot be set any more.", reason="field_gone")
            before, after = value_at(contact, row["field"]), row["after"]
            if row["field"] == "tags":
                after = sorted({*contact["tags"], *_added(row)})
            change = {**row, "before": before, "after": after}
            await write_to_crm(connection, _rule(row), {**change, "value": said_value(change)}, contact)
            await put_value(connection, contact, row["field"], after)
            await rows.apply_change(connection, change_id, principal.actor, before, after)
            await self._note(connection, principal, "accepted", row)
            return _shown(await _row(connection, change_id))

    async def reject(self, principal: Principal, change_id: str) -> Change:
        """Leave the field as it is. Raises: AccessDenied, NotFound, Conflict (decided already)."""
        principal.require("conversation.write")
        async with self._database.workspace(principal.workspace_id) as connection:
            row, _ = await _locked(connection, change_id, "proposed")
            await rows.close_change(connection, change_id, "rejected", principal.actor)
            await self._note(connection, principal, "rejected", row)
            return _shown(await _row(connection, change_id))

    async def undo(self, principal: Principal, change_id: str) -> Change:
        """Put back what stood there before, unless somebody has changed it since.

        Raises: AccessDenied, NotFound, Conflict (`reason` "changed_since", "undone").
        """
        principal.require("conversation.write")
        async with self._database.workspace(principal.workspace_id) as connection:
            row, contact = await _locked(connection, change_id, "applied")
            now = value_at(contact, row["field"])
            if row["field"] == "tags":
                added = _added(row)
                if not added <= {*contact["tags"]}:
                    raise _changed_since(row, now)
                restored: Any = [tag for tag in contact["tags"] if tag not in added]
            elif now != row["after"]:
                raise _changed_since(row, now)
            else:
                restored = row["before"]
            is_there = not await crm_writes.drop_of_change(connection, change_id)
            if is_there and row["before"] is not None and row["field"] != "tags":
                change = {**row, "what": "undo", "value": said_value({**row, "after": row["before"], "before": None})}
                await write_to_crm(connection, _rule(row), change, contact)
            await put_value(connection, contact, row["field"], restored)
            await rows.close_change(connection, change_id, "undone", principal.actor)
            await self._note(connection, principal, "undone", row)
            return _shown(await _row(connection, change_id))

    async def _note(self, connection: Connection, principal: Principal, what: str, row: Row) -> None:
        # No contact: lines of the audit log stay, and people can be erased.
        ids = {"rule": row["rule_id"], "change": row["id"]}
        await audit.append(connection, principal.actor, f"update_change.{what}", ids, self._clock())


def _rule(row: Row) -> UpdateRule:
    return UpdateRule.model_validate(row["rule"])


def _added(row: Row) -> set[str]:
    return {*row["after"]} - {*(row["before"] or [])}


def _changed_since(row: Row, now: Any) -> Conflict:
    shown = ", ".join(now) if isinstance(now, list) else "empty" if now is None else str(now)
    return Conflict(
        f"“{row['label']}” has been changed since (now: {shown}), so this change cannot be undone. "
        "Correct it on the contact's page.",
        reason="changed_since", label=row["label"], now=shown,
    )  # fmt: skip


async def _row(connection: Connection, change_id: str) -> Row:
    row = await rows.get_change(connection, change_id) if is_uuid(change_id) else None
    if row is None:
        raise NotFound("There is no such change. Its contact may have been erased; reload the page.")
    return row


async def _locked(connection: Connection, change_id: str, state: str) -> tuple[Row, Row]:
    """The change in this state, and its contact, both locked: the contact first, as everywhere."""
    contact = await found(connection, (await _row(connection, change_id))["contact_id"], for_update=True)
    row = await rows.get_change(connection, change_id, for_update=True)
    if row is None or row["state"] != state:
        raise Conflict(
            "Somebody has already decided about this change. Reload the page.", reason=row["state"] if row else "gone"
        )
    return row, contact


def _shown(row: Row) -> Change:
    document = _rule(row)
    keys = Change.__dataclass_fields__.keys() - {"rule", "document", "crm", "crm_error"}
    return Change(
        **{k: row[k] for k in keys}, rule=sentence(document, row["label"]), document=document, crm=row["crm_state"] or "",
        crm_error=row["crm_error"] or "",
    )  # fmt: skip
