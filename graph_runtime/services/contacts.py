"""People who talk to agents: finding, changing, tagging and merging them, and whether they may be written to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from graph_runtime.contract.conditions import Condition, evaluate
from graph_runtime.contract.errors import Conflict, InputInvalid, NotFound
from graph_runtime.contract.local_time import time_zone_of
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.contact_segments import as_condition, field_of
from graph_runtime.services.contact_values import STANDARD, ContactField, check_fields, check_standard, clean_tags
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.principal import Principal
from graph_runtime.storage import accounts as account_rows
from graph_runtime.storage import audit
from graph_runtime.storage import contacts as rows
from graph_runtime.storage.database import Connection, Database, Row

PAGE: Final = 50
SCAN: Final = 500
MOST_AT_ONCE: Final = 1000
NO_CONTACT: Final = "There is no such contact in this workspace."


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters of a list; what is empty or None does not filter. `channel`: a kind such as "webhook"."""

    search: str = ""
    tag: str = ""
    segment_id: str = ""
    channel: str = ""
    opted_out: bool | None = None


EVERYBODY: Final = Wanted()


@dataclass(frozen=True, slots=True)
class ContactPage:
    """Contacts, newest first; `next`: the id to go on after, "" at the end."""

    contacts: list[dict[str, Any]]
    next: str


@dataclass(frozen=True, slots=True)
class MergePreview:
    """What a merge leaves: `stays` with the values it will have; what `goes` brings along, by kind."""

    stays: dict[str, Any]
    goes: dict[str, Any]
    moves: dict[str, int]
    lost: dict[str, Any]
    """Values of the one that goes for which the other has its own."""


class Contacts:
    """Contacts of the principal's workspace. One that was merged is found under the one that it became."""

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        self._database = database
        self._clock = clock

    async def get(self, principal: Principal, contact_id: str) -> dict[str, Any]:
        """One contact with `identities` and `zone`, whose clock counts. Raises: AccessDenied, NotFound."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await found(connection, contact_id)
            zone = (await account_rows.settings(connection)).get("time_zone") or "UTC"
            return row | {
                "identities": await rows.identities(connection, row["id"]), "zone": time_zone_of(row, str(zone)),
            }  # fmt: skip

    async def listed(
        self, principal: Principal, wanted: Wanted = EVERYBODY, *, before: str = "", limit: int = PAGE
    ) -> ContactPage:
        """A page of contacts. Raises: AccessDenied, NotFound (the segment)."""
        principal.require("conversation.read")
        limit = max(1, min(limit, 200))
        values = filters_of(wanted)
        async with self._database.workspace(principal.workspace_id) as connection:
            condition = await condition_of(connection, wanted.segment_id)
            kept: list[Row] = []
            after = before if is_uuid(before) else None
            while len(kept) <= limit:
                size = limit + 1 if condition is None else SCAN
                batch = await rows.listed(connection, values, before=after, limit=size)
                kept += [r for r in batch if condition is None or meets(r, condition)]
                if len(batch) < size:
                    break
                after = batch[-1]["id"]
        return ContactPage(kept[:limit], kept[limit - 1]["id"] if len(kept) > limit else "")

    async def count(self, principal: Principal, wanted: Wanted = EVERYBODY) -> int:
        """How many there are. Raises: AccessDenied, NotFound (the segment)."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            condition = await condition_of(connection, wanted.segment_id)
            if condition is None:
                return await rows.count(connection, filters_of(wanted))
            total, after = 0, None
            while batch := await rows.listed(connection, filters_of(wanted), before=after, limit=SCAN):
                total += sum(meets(r, condition) for r in batch)
                after = batch[-1]["id"]
            return total

    async def tags(self, principal: Principal) -> list[dict[str, Any]]:
        """Tags in use: {tag, contacts}. Raises: AccessDenied."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return await rows.tags(connection)

    async def create(self, principal: Principal, values: Mapping[str, Any]) -> dict[str, Any]:
        """A new contact out of standard values and `fields`; somebody with this number or e-mail is there once.

        Raises: AccessDenied, InputInvalid, Conflict (`contact_id`: who has it).
        """
        principal.require("conversation.write")
        async with self._database.workspace(principal.workspace_id) as connection:
            columns = await _checked(connection, values, {})
            if not any(columns.get(k) for k in ("name", "phone", "email", "fields")):
                raise InputInvalid("A contact needs a name, a phone number or an e-mail address.", field="name")
            twin = await rows.find_by(connection, phone=columns.get("phone", ""), email=columns.get("email", ""))
            if twin is not None:
                raise Conflict("Somebody with this number or e-mail is a contact already.", contact_id=twin["id"])
            contact_id = await rows.insert(connection, columns)
            await rows.note(connection, contact_id, "created", principal.actor, {})
            return await found(connection, contact_id)

    async def update(self, principal: Principal, contact_id: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Change what is given: standard values, `fields` (None takes one away), `consent` {purpose: yes}.

        Raises: AccessDenied, NotFound, InputInvalid.
        """
        principal.require("conversation.write")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await found(connection, contact_id, for_update=True)
            columns = await _checked(connection, values, row)
            if "consent" in values:
                columns["consent"] = self._consent(principal, row, values["consent"])
            changed = {k: v for k, v in columns.items() if v != row[k]}
            if changed:
                await rows.change(connection, row["id"], changed)
                await rows.note(connection, row["id"], "edited", principal.actor, {"keys": _keys(row, changed)})
            return await found(connection, row["id"])

    async def tag(self, principal: Principal, ids: list[str], *, add: list[str], remove: list[str]) -> int:
        """Add and remove tags of up to 1000 contacts; how many changed. Raises: AccessDenied, InputInvalid."""
        principal.require("conversation.write")
        if len(ids) > MOST_AT_ONCE:
            raise InputInvalid(f"At most {MOST_AT_ONCE} contacts at once.", field="ids")
        put, take = clean_tags(add), clean_tags(remove)
        async with self._database.workspace(principal.workspace_id) as connection:
            changed = await rows.tag(connection, [i for i in ids if is_uuid(i)], add=put, remove=take)
            if changed:
                data = {"added": put, "removed": take}
                await rows.note_many(connection, changed, "tagged", principal.actor, data)
        return len(changed)

    async def set_opt_out(self, principal: Principal, contact_id: str, *, is_out: bool) -> dict[str, Any]:
        """Nothing proactive goes to them any more, or again. Raises: AccessDenied, NotFound."""
        principal.require("conversation.write")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await found(connection, contact_id, for_update=True)
            if await rows.opt_out(connection, row["id"], is_out=is_out):
                kind = "opted_out" if is_out else "came_back"
                await rows.note(connection, row["id"], kind, principal.actor, {})
            return await found(connection, row["id"])

    async def merge_preview(self, principal: Principal, keep_id: str, gone_id: str) -> MergePreview:
        """What a merge would leave; nothing changes. Raises: AccessDenied, NotFound, InputInvalid."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            keep, gone = await _both(connection, keep_id, gone_id)
            moves = await rows.what_moves(connection, gone["id"])
        return _merged(keep, gone, moves)

    async def merge(self, principal: Principal, keep_id: str, gone_id: str) -> dict[str, Any]:
        """Make one contact out of two; what the one that stays has itself wins. There is no way back.

        Raises: AccessDenied, NotFound, InputInvalid.
        """
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            keep, gone = await _both(connection, keep_id, gone_id)
            preview = _merged(keep, gone, {})
            await rows.merge(connection, keep["id"], gone["id"], preview.stays)
            await rows.note(connection, keep["id"], "merged", principal.actor, {"contact_id": gone["id"]})
            # No ids: lines of the audit log stay, and people can be erased.
            await audit.append(connection, principal.actor, "contact.merged", {}, self._clock())
            return await found(connection, keep["id"])

    def _consent(self, principal: Principal, row: Row, given: Any) -> dict[str, Any]:
        if not isinstance(given, Mapping) or len(given) > 20:
            raise InputInvalid("Consent is yes or no for each purpose.", field="consent")
        now, consent = self._clock().isoformat(timespec="seconds"), dict(row["consent"])
        for purpose, is_given in given.items():
            if not isinstance(is_given, bool) or not 1 <= len(str(purpose)) <= 60:
                raise InputInvalid("Consent is yes or no for each purpose.", field="consent")
            if consent.get(purpose, {}).get("given") is not is_given:
                consent[purpose] = {"given": is_given, "at": now, "source": principal.actor}
        return consent


def meets(row: Mapping[str, Any], condition: Condition) -> bool:
    """Whether a contact meets a segment's condition; paths begin with `contact.`."""
    facts = rows.facts(row)
    return evaluate(condition, lambda ref: field_of(facts, ref), lambda text: text)


async def found(connection: Connection, contact_id: str, *, for_update: bool = False) -> Row:
    """The contact, or the one that it became. Raises: NotFound."""
    for _ in range(5):
        row = await rows.get(connection, contact_id, for_update=for_update) if is_uuid(contact_id) else None
        if row is None:
            break
        if row["merged_into"] is None:
            return row
        contact_id = row["merged_into"]
    raise NotFound(NO_CONTACT, contact_id=contact_id)


def filters_of(wanted: Wanted) -> dict[str, Any]:
    """A list's filters as its query takes them."""
    return rows.filters(search=wanted.search[:200], tag=wanted.tag, channel=wanted.channel, opted_out=wanted.opted_out)


async def condition_of(connection: Connection, segment_id: str) -> Condition | None:
    """What contacts of a segment meet; None for "". Raises: NotFound."""
    if not segment_id:
        return None
    row = await rows.segment(connection, segment_id) if is_uuid(segment_id) else None
    if row is None:
        raise NotFound("This segment does not exist any more. Choose another one.")
    return as_condition(row["condition"])


async def _checked(connection: Connection, values: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    given = {k: v for k, v in values.items() if k not in ("fields", "consent")}
    columns = check_standard(given)
    if "fields" in values:
        if not isinstance(values["fields"], Mapping):
            raise InputInvalid("Fields are an object: key → value.", field="fields")
        known = [ContactField(**{**f, "options": tuple(f["options"])}) for f in await rows.fields(connection)]
        fields = dict(row.get("fields", {})) | check_fields(values["fields"], known)
        columns["fields"] = {k: v for k, v in fields.items() if v is not None}
    return columns


def _keys(row: Mapping[str, Any], changed: Mapping[str, Any]) -> list[str]:
    keys = set(changed) - {"fields", "consent"}
    for group in changed.keys() & {"fields", "consent"}:
        now, was = changed[group], row[group]
        keys |= {f"{group}.{k}" for k in now.keys() | was.keys() if now.get(k) != was.get(k)}
    return sorted(keys)


async def _both(connection: Connection, keep_id: str, gone_id: str) -> tuple[Row, Row]:
    first, second = sorted((keep_id, gone_id))
    both = {i: await found(connection, i, for_update=True) for i in dict.fromkeys((first, second))}
    keep, gone = both[keep_id], both[gone_id]
    if keep["id"] == gone["id"]:
        raise InputInvalid("These two are one contact already. Choose another one.", field="contact_id")
    return keep, gone


def _merged(keep: Row, gone: Row, moves: dict[str, int]) -> MergePreview:
    stays: dict[str, Any] = {k: keep[k] or gone[k] for k in STANDARD if k != "tags"}
    stays["tags"] = sorted({*keep["tags"], *gone["tags"]})
    stays["fields"], stays["variables"] = gone["fields"] | keep["fields"], gone["variables"] | keep["variables"]
    stays["consent"] = gone["consent"] | keep["consent"]
    # Whoever opted out anywhere has opted out.
    stays["opted_out_at"] = min(filter(None, (keep["opted_out_at"], gone["opted_out_at"])), default=None)
    lost = {k: gone[k] for k in STANDARD if k != "tags" and gone[k] and keep[k] and gone[k] != keep[k]}
    lost |= {k: v for k, v in gone["fields"].items() if k in keep["fields"] and keep["fields"][k] != v}
    return MergePreview(stays, gone, moves, lost)
