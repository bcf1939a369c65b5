"""A customer system behind any REST interface, as its settings describe it. Implements `contract.crm.Crm`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from graph_runtime.contract.channels import HttpAnswer, retry_after
from graph_runtime.contract.crm import CrmField, CrmPipeline, CrmQuery, CrmRecord, CrmTask, Entity
from graph_runtime.contract.errors import (
    BadAnswer,
    ConnectorError,
    CredentialRejected,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unreachable,
)
from graph_runtime.contract.http import ConnectorHttp
from graph_runtime.contract.pointers import read

REJECTED: Final = "Your customer system refuses the key. Check it under Connections."
BUSY: Final = "Your customer system asks for a pause. Try again in a moment."
DOWN: Final = "Your customer system has trouble of its own. Try again later."
UNCLEAR: Final = "Your customer system broke off, and may have saved it all the same."
UNREADABLE: Final = "Your customer system answered with something that is not JSON."
NOT_SET_UP: Final = "This connection has no address for that. Fill it in under Connections."
REFUSED: Final = "Your customer system does not accept this (status {status}): {said}"
REFUSED_SILENTLY: Final = "Your customer system does not accept this (status {status}), and does not say why."
NO_LIST: Final = (
    "This connection does not say how records are listed. Enter a value to look for, or fill in “Path that lists the newest” "
    "under Connections."
)
WORKS: Final = "Your customer system answers."


class RestCrm:
    """`settings`: `connector.Settings`. Placeholders in paths: {entity} {by} {value} {id}."""

    def __init__(self, settings: Any, http: ConnectorHttp) -> None:
        self._settings = settings
        self._http = http

    async def find(self, query: CrmQuery) -> CrmRecord | None:
        s = self._settings
        if query.by == "id":
            return self._record(
                query.entity, await self._call("GET", self._path(s.read_path, query.entity, id=query.value))
            )
        by = query.field if query.by == "field" else {"phone": s.phone_field, "email": s.email_field}[query.by]
        data = await self._call("GET", self._path(s.find_path, query.entity, by=by, value=query.value))
        return self._first(query.entity, data)

    async def newest(self, entity: Entity) -> CrmRecord | None:
        """The first that its list gives. Raises: Refused when the connection names no list."""
        if not self._settings.newest_path.strip():
            raise Refused(NO_LIST)
        return self._first(entity, await self._call("GET", self._path(self._settings.newest_path, entity)))

    async def find_made(self, entity: Entity, key: str) -> CrmRecord | None:
        s = self._settings
        if not s.number_field:
            return None
        return self._first(
            entity, await self._call("GET", self._path(s.find_path, entity, by=s.number_field, value=key))
        )

    async def contact_of(self, lead: CrmRecord) -> CrmRecord | None:
        known = lead.values.get(self._settings.contact_field)
        return await self.find(CrmQuery("contact", "id", str(known))) if known not in (None, "") else None

    async def create(self, entity: Entity, values: Mapping[str, Any], *, key: str, contact: str = "") -> CrmRecord:
        s = self._settings
        body = dict(values) | ({s.number_field: key} if s.number_field else {})
        if contact and s.contact_field:
            body[s.contact_field] = contact
        data = await self._call(s.create_method, self._path(s.create_path, entity), body, {"Idempotency-Key": key})
        made = self._record(entity, data)
        if made is None:
            raise BadAnswer(UNREADABLE)
        return made if made.values else CrmRecord(entity, made.id, str(values.get("name", "")), dict(values))

    async def update(self, entity: Entity, record_id: str, values: Mapping[str, Any]) -> CrmRecord | None:
        s = self._settings
        data = await self._call(s.update_method, self._path(s.update_path, entity, id=record_id), dict(values))
        if data is None:
            return None
        return self._record(entity, data) or CrmRecord(entity, record_id, "", dict(values))

    async def add_note(self, entity: Entity, record_id: str, text: str) -> str:
        data = await self._call("POST", self._path(self._settings.note_path, entity, id=record_id), {"text": text})
        return str(read(data, self._settings.id_place) or "") if data is not None else ""

    async def find_note(self, entity: Entity, record_id: str, text: str, since: datetime) -> str | None:
        """Notes cannot be looked for here; the `Idempotency-Key` is all there is."""
        return None

    async def add_task(self, entity: Entity, record_id: str, task: CrmTask) -> str:
        body = {"text": task.text, "due_at": task.due_at.isoformat(), "person": task.person}
        data = await self._call("POST", self._path(self._settings.task_path, entity, id=record_id), body)
        return str(read(data, self._settings.id_place) or "") if data is not None else ""

    async def find_task(self, entity: Entity, record_id: str, task: CrmTask, since: datetime) -> str | None:
        """As notes."""
        return None

    async def fields(self, entity: Entity) -> tuple[CrmField, ...]:
        s = self._settings
        names = [n.strip() for n in s.fields.replace(",", "\n").splitlines() if n.strip()]
        return tuple(
            CrmField(n, n, "phone" if n == s.phone_field else "email" if n == s.email_field else "text") for n in names
        )

    async def pipelines(self) -> tuple[CrmPipeline, ...]:
        return ()

    async def people(self) -> tuple[tuple[str, str], ...]:
        return ()

    async def reach(self) -> None:
        """One search that finds nothing. Raises: ConnectorError."""
        await self.find(CrmQuery("contact", "phone", "+10000000000"))

    def _path(self, path: str, entity: Entity, **parts: str) -> str:
        if not path.strip():
            raise Refused(NOT_SET_UP)
        named = {"contact": self._settings.contact_name, "company": self._settings.company_name,
                 "lead": self._settings.lead_name}[entity]  # fmt: skip
        for name, value in ({"entity": named} | parts).items():
            path = path.replace("{" + name + "}", quote(value, safe=""))
        return path if path.startswith("/") else f"/{path}"

    async def _call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        answer = await self._http.exchange(method, path, headers=headers, body=body)
        return _judge(answer, is_write=method != "GET")

    def _first(self, entity: Entity, data: Any) -> CrmRecord | None:
        rows = read(data, self._settings.list_place) if data is not None else None
        return self._record(entity, rows[0]) if isinstance(rows, list) and rows else self._record(entity, rows)

    def _record(self, entity: Entity, data: Any) -> CrmRecord | None:
        number = read(data, self._settings.id_place) if isinstance(data, dict) else None
        if number in (None, ""):
            return None
        values = {k: v for k, v in data.items() if isinstance(v, str | int | float | bool | list)}
        return CrmRecord(entity, str(number), str(data.get("name") or ""), values)


def _judge(answer: HttpAnswer, *, is_write: bool) -> Any:
    """The JSON; None when there is no such thing."""
    status = answer.status
    if status in (404, 410):
        return None
    if 200 <= status < 300:
        if not answer.body.strip():
            return {}
        try:
            return json.loads(answer.body)
        except ValueError:
            raise BadAnswer(UNREADABLE) from None
    raise _refusal(answer, is_write=is_write)


def _refusal(answer: HttpAnswer, *, is_write: bool) -> ConnectorError:
    status = answer.status
    if status in (401, 403):
        return CredentialRejected(REJECTED)
    if status == 429:
        return RateLimited(BUSY, retry_after=retry_after(answer, datetime.now(UTC)))
    if status in (502, 504) and is_write:
        return OutcomeUnknown(UNCLEAR)
    if status >= 500:
        return Unreachable(DOWN)
    said = answer.body.decode("utf-8", "replace").strip()[:200]
    return Refused((REFUSED if said else REFUSED_SILENTLY).format(status=status, said=said), detail=said)
