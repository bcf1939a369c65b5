"""Carries update rules out on a contact: reading what is there, writing what is new, taking it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graph_runtime.contract.crm_writing import CrmWrite
from graph_runtime.contract.errors import InputInvalid
from graph_runtime.contract.update_rules import STANDARD_TARGETS, Target, UpdateRule
from graph_runtime.services.contact_values import STANDARD, clean_tags
from graph_runtime.services.update_reading import Reading
from graph_runtime.storage import contacts, crm_writes
from graph_runtime.storage import update_rules as rows
from graph_runtime.storage.database import Connection, Row


async def targets_of(connection: Connection) -> dict[str, Target]:
    """What rules of this workspace may set, standard values first."""
    own = [Target(f["key"], f["label"], f["type"], tuple(f["options"])) for f in await contacts.fields(connection)]
    return {target.key: target for target in (*STANDARD_TARGETS, *own)}


def value_at(contact: Mapping[str, Any], key: str) -> Any:
    """What stands in a field; None when it is empty. Tags are a list."""
    found = contact[key] if key in STANDARD else contact["fields"].get(key)
    return None if found in ("", [], None) else found


async def put_value(connection: Connection, contact: Row, key: str, value: Any) -> None:
    """Write a field of a locked contact; None empties it. The row is kept up to date."""
    if key == "tags":
        contact["tags"] = clean_tags(value or [])
    elif key in STANDARD:
        contact[key] = value or ""
    else:
        contact["fields"] = {k: v for k, v in {**contact["fields"], key: value}.items() if v is not None}
    column = key if key in STANDARD else "fields"
    await contacts.change(connection, contact["id"], {column: contact[column]})


def after_of(contact: Mapping[str, Any], target: Target, value: Any) -> Any:
    """What will stand there: for tags all of them with the new one. Raises: InputInvalid (too many tags)."""
    return clean_tags([*contact["tags"], value]) if target.type == "tags" else value


async def carry_out(
    connection: Connection,
    check: Row,
    contact: Row,
    rule_id: str,
    found: tuple[UpdateRule, Target, Reading],
    by_model: str,
) -> str:
    """What a rule does with what it read, by its policy: "applied", "proposed", "noted", or why nothing.

    The contact is locked by the caller. Once for a check and a rule, whoever asks again.
    """
    rule, target, reading = found
    before = value_at(contact, target.key)
    try:
        after = after_of(contact, target, reading.value)
    except InputInvalid:
        return "unfit"
    if before == after:
        return "same"
    if rule.overwrite == "if_empty" and before is not None and target.type != "tags":
        return "not_empty"
    state = {"never": "noted", "ask": "proposed"}.get(rule.overwrite, "applied")
    if state == "proposed":
        waiting = await rows.waiting_proposals(connection, contact["id"], rule_id, target.key)
        if any(row["after"] == after for row in waiting):
            return "asked_already"
        await rows.replace_proposals(connection, contact["id"], rule_id, target.key)
    values = {
        "agent_id": check["agent_id"], "contact_id": contact["id"], "rule_id": rule_id, "check_id": check["id"],
        "conversation_id": check["conversation_id"], "message_seq": reading.seq, "rule": rule.model_dump(mode="json"),
        "field": target.key, "label": target.label, "before": before, "after": after, "sentence": reading.sentence,
        "confidence": reading.confidence, "by_model": by_model[:200], "state": state,
    }  # fmt: skip
    change_id = await rows.add_change(connection, values)
    if change_id is None:
        return "done_before"
    if state == "applied":
        written = {**values, "id": change_id, "turn_id": check["inbox_id"], "value": reading.value}
        await write_to_crm(connection, rule, written, contact)
        await put_value(connection, contact, target.key, after)
    return state


async def write_to_crm(
    connection: Connection, rule: UpdateRule, change: Mapping[str, Any], contact: Mapping[str, Any]
) -> None:
    """Put a change aside for the CRM that the rule names, in the transaction in which it is made. `contact`: before it.

    `change`: id, agent_id, conversation_id, turn_id, field, value. It is carried out as `services.crm_later` does.
    """
    if not rule.crm or not rule.crm_field or change["conversation_id"] is None:
        return
    # By what was known until now: a number that was only just given is in no record yet.
    known = {"phone": contact["phone"], "email": contact["email"]}
    by = next((name for name, value in known.items() if value), "")
    if not by:
        by = change["field"] if change["field"] in known else "phone"
        known[by] = str(change["value"]) if change["field"] in known else ""
    write = CrmWrite(
        entity=rule.crm_entity, by="email" if by == "email" else "phone", known=known[by], creates=False,
        values={rule.crm_field: change["value"]},
    )  # fmt: skip
    await crm_writes.add_change(
        connection,
        {
            "key": f"rule/{change['id']}/{change.get('what', 'set')}", "agent_id": change["agent_id"],
            "conversation_id": change["conversation_id"], "turn_id": change["turn_id"] or change["id"], "credential_id": rule.crm,
            "change_id": change["id"], "write": write.to_json(),
        },
    )  # fmt: skip


def said_value(change: Mapping[str, Any]) -> Any:
    """What a change writes: of tags only those that it adds."""
    if change["field"] != "tags":
        return change["after"]
    return ", ".join(sorted({*change["after"]} - {*(change["before"] or [])}))
