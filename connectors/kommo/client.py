"""One Kommo account: the only place that knows its addresses. Implements `contract.crm.Crm`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from connectors.kommo import errors
from connectors.kommo.fields import (
    KEY_CODE,
    PLURAL,
    described,
    emails,
    names_a_stage,
    payload,
    phones,
    record,
    value_of,
)
from graph_runtime.contract.crm import CrmField, CrmPipeline, CrmQuery, CrmRecord, CrmStage, CrmTask, Entity
from graph_runtime.contract.errors import BadAnswer, Refused
from graph_runtime.contract.http import ConnectorHttp

PAGE: Final = 50
PHONE_DIGITS: Final = 9
"""Phones are the same when their last digits are: people write the country in many ways."""
WON_LOST: Final = frozenset({142, 143})
SECONDS: Final = 20.0
CLOCK_SKEW: Final = 120
_known_key_fields: set[tuple[str, str]] = set()
"""(account, kind of record) whose field for our key is known to be there."""


class KommoCrm:
    """Safe for concurrent use; remembers nothing of its own."""

    def __init__(self, base_url: str, http: ConnectorHttp) -> None:
        self._base_url = base_url
        self._http = http

    async def account(self) -> str:
        """The account's name. Raises: ConnectorError."""
        data = await self._get("/api/v4/account")
        return str((data or {}).get("name") or "")

    async def find(self, query: CrmQuery) -> CrmRecord | None:
        if query.by == "id":
            data = await self._get(f"/api/v4/{PLURAL[query.entity]}/{quote(query.value, safe='')}")
            return record(query.entity, data, self._base_url) if data else None
        if query.entity == "lead" and query.by in ("phone", "email"):
            return await self._lead_of(query)
        found = await self._search(query)
        return record(query.entity, found, self._base_url) if found else None

    async def _search(self, query: CrmQuery, more: str = "") -> dict[str, Any] | None:
        """Kommo's own search looks everywhere in a record, so what it finds is compared."""
        digits = "".join(filter(str.isdigit, query.value))[-PHONE_DIGITS:]
        wanted = digits if query.by == "phone" else query.value.strip()
        if not wanted or (query.by == "phone" and len(digits) < 6):
            return None
        for data in await self._list(PLURAL[query.entity], {"query": wanted} | ({"with": more} if more else {})):
            if _fits(data, query, digits):
                return data
        return None

    async def _lead_of(self, query: CrmQuery) -> CrmRecord | None:
        contact = await self._search(CrmQuery("contact", query.by, query.value), "leads")
        if contact is None:
            return None
        ids = sorted((int(lead["id"]) for lead in (contact.get("_embedded") or {}).get("leads") or ()), reverse=True)
        if not ids:
            return None
        wanted = [(f"filter[id][{place}]", str(number)) for place, number in enumerate(ids[:PAGE])]
        leads = {int(lead["id"]): lead for lead in await self._list("leads", dict(wanted))}
        opened = next((leads[i] for i in ids if i in leads and leads[i].get("status_id") not in WON_LOST), None)
        if opened is None:
            return None
        whose = (str(contact["id"]), str(contact.get("name") or ""))
        return replace(record("lead", opened, self._base_url), contact=whose)

    async def newest(self, entity: Entity) -> CrmRecord | None:
        found = await self._list(PLURAL[entity], {"limit": "1", "order[id]": "desc"})
        return record(entity, found[0], self._base_url) if found else None

    async def find_made(self, entity: Entity, key: str) -> CrmRecord | None:
        for data in await self._list(PLURAL[entity], {"query": key}):
            if key in value_of(data, KEY_CODE):
                return record(entity, data, self._base_url)
        return None

    async def contact_of(self, lead: CrmRecord) -> CrmRecord | None:
        data = await self._get(f"/api/v4/leads/{quote(lead.id, safe='')}?with=contacts")
        people = ((data or {}).get("_embedded") or {}).get("contacts") or ()
        main = next((p for p in people if p.get("is_main")), next(iter(people), None))
        return await self.find(CrmQuery("contact", "id", str(main["id"]))) if main else None

    async def create(self, entity: Entity, values: Mapping[str, Any], *, key: str, contact: str = "") -> CrmRecord:
        body = payload(values, await self._kinds(entity, values), key) | {"request_id": key}
        await self._ensure_key_field(entity)
        if contact and entity == "lead":
            body.setdefault("_embedded", {})["contacts"] = [{"id": int(contact)}]
        try:
            data = await self._send("POST", f"/api/v4/{PLURAL[entity]}", [body])
        except Refused:
            # Somebody may have deleted the field for our key. Nothing was made, so it is safe to ask again.
            _known_key_fields.discard((self._base_url, entity))
            if not await self._ensure_key_field(entity):
                raise
            data = await self._send("POST", f"/api/v4/{PLURAL[entity]}", [body])
        made = ((data or {}).get("_embedded") or {}).get(PLURAL[entity]) or ()
        if not made:
            raise BadAnswer(errors.UNREADABLE)
        return record(entity, {**body, **made[0]}, self._base_url)

    async def update(self, entity: Entity, record_id: str, values: Mapping[str, Any]) -> CrmRecord | None:
        body = payload(values, await self._kinds(entity, values))
        data = await self._send("PATCH", f"/api/v4/{PLURAL[entity]}/{quote(record_id, safe='')}", body)
        return record(entity, {**body, **data}, self._base_url) if data else None

    async def add_note(self, entity: Entity, record_id: str, text: str) -> str:
        path = f"/api/v4/{PLURAL[entity]}/{quote(record_id, safe='')}/notes"
        data = await self._send("POST", path, [{"note_type": "common", "params": {"text": text}}])
        return _first_id(data, "notes")

    async def find_note(self, entity: Entity, record_id: str, text: str, since: datetime) -> str | None:
        path = f"{PLURAL[entity]}/{quote(record_id, safe='')}/notes"
        for note in await self._list(path, {"order[id]": "desc"}, "notes"):
            if (note.get("params") or {}).get("text") == text and _is_since(note, since):
                return str(note["id"])
        return None

    async def add_task(self, entity: Entity, record_id: str, task: CrmTask) -> str:
        body = {
            "text": task.text, "complete_till": int(task.due_at.timestamp()), "entity_id": int(record_id),
            "entity_type": PLURAL[entity],
        }  # fmt: skip
        if task.person:
            body["responsible_user_id"] = int(task.person)
        return _first_id(await self._send("POST", "/api/v4/tasks", [body]), "tasks")

    async def find_task(self, entity: Entity, record_id: str, task: CrmTask, since: datetime) -> str | None:
        wanted = {"filter[entity_type]": PLURAL[entity], "filter[entity_id]": record_id, "order[id]": "desc"}
        for found in await self._list("tasks", wanted):
            if found.get("text") == task.text and _is_since(found, since):
                return str(found["id"])
        return None

    async def fields(self, entity: Entity) -> tuple[CrmField, ...]:
        custom = await self._list(f"{PLURAL[entity]}/custom_fields", {"limit": "250"}, "custom_fields")
        return tuple(described(entity, custom, await self._stages() if entity == "lead" else ()))

    async def _stages(self) -> tuple[tuple[str, str], ...]:
        """(id, label), as one choice, whatever pipeline they are of."""
        lines = await self.pipelines()
        return tuple((s.id, f"{p.label}: {s.label}" if len(lines) > 1 else s.label) for p in lines for s in p.stages)

    async def pipelines(self) -> tuple[CrmPipeline, ...]:
        found = await self._list("leads/pipelines", {}, "pipelines")
        return tuple(
            CrmPipeline(
                str(p["id"]),
                str(p["name"]),
                tuple(
                    CrmStage(f"{p['id']}:{s['id']}", str(s["name"]))
                    for s in (p.get("_embedded") or {}).get("statuses") or ()
                ),
            )
            for p in found
        )

    async def people(self) -> tuple[tuple[str, str], ...]:
        return tuple((str(u["id"]), str(u["name"])) for u in await self._list("users", {"limit": "250"}))

    async def _kinds(self, entity: Entity, values: Mapping[str, Any]) -> dict[str, CrmField]:
        """Types of the account's own fields, and its stages: asked for only when they are needed to write what is given."""
        stages = await self._stages() if names_a_stage(values) else ()
        has_own = any(name.startswith("cf_") for name in values)
        if not has_own and not stages:
            return {}
        path = f"{PLURAL[entity]}/custom_fields"
        custom = await self._list(path, {"limit": "250"}, "custom_fields") if has_own else []
        return {f.id: f for f in described(entity, custom, stages)}

    async def _ensure_key_field(self, entity: Entity) -> bool:
        """Whether it had to be made."""
        place = (self._base_url, entity)
        if place in _known_key_fields:
            return False
        custom = await self._list(f"{PLURAL[entity]}/custom_fields", {"limit": "250"}, "custom_fields")
        is_there = any(field.get("code") == KEY_CODE for field in custom)
        if not is_there:
            body = [{"name": "Patchcord ID", "type": "text", "code": KEY_CODE, "is_api_only": True}]
            try:
                await self._send("POST", f"/api/v4/{PLURAL[entity]}/custom_fields", body)
            except Refused:
                custom = await self._list(f"{PLURAL[entity]}/custom_fields", {"limit": "250"}, "custom_fields")
                if not any(field.get("code") == KEY_CODE for field in custom):
                    raise  # nobody else made it at the same moment either
        _known_key_fields.add(place)
        return not is_there

    async def _list(self, path: str, query: Mapping[str, str], name: str = "") -> list[dict[str, Any]]:
        data = await self._get(f"/api/v4/{path}?{urlencode({'limit': str(PAGE), **query})}")
        found = ((data or {}).get("_embedded") or {}).get(name or path) or []
        return found if isinstance(found, list) else []

    async def _get(self, path: str) -> Any:
        return errors.judge(await self._http.exchange("GET", path, seconds=SECONDS), is_write=False)

    async def _send(self, method: str, path: str, body: Any) -> Any:
        return errors.judge(await self._http.exchange(method, path, body=body, seconds=SECONDS), is_write=True)


def _fits(data: Mapping[str, Any], query: CrmQuery, digits: str) -> bool:
    wanted = query.value.strip()
    if query.by == "phone":
        return any(phone.endswith(digits) for phone in phones(data))
    if query.by == "email":
        return wanted.casefold() in emails(data)
    return wanted in [str(data.get(query.field, "")), *value_of(data, query.field)]


def _first_id(data: Any, name: str) -> str:
    found = ((data or {}).get("_embedded") or {}).get(name) or ()
    if not found:
        raise Refused(errors.RECORD_GONE)
    return str(found[0]["id"])


def _is_since(data: Mapping[str, Any], since: datetime) -> bool:
    return int(data.get("created_at") or 0) >= int(since.timestamp()) - CLOCK_SKEW
