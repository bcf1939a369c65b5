"""What the editor's canvas calls over HTTP, with the member's cookie."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Query, Request
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from graph_runtime.api.access import Member, member, router, services_of
from graph_runtime.api.catalog_view import catalog_json, ports_for
from graph_runtime.api.editor.rooms import Batch, Rooms
from graph_runtime.api.editor.view import open_flow
from graph_runtime.contract.crm import CrmQuery
from graph_runtime.contract.edits import EDITS, Edit

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

routes = router(member, "/api/builder")
Language = Literal["en", "ru", "uk"]
Slot = Annotated[str, Field(max_length=60)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class EditsIn(_Body):
    """A batch of finished edits; see `Batch`."""

    client: str = Field(min_length=1, max_length=80)
    seq: int = Field(ge=1, le=2**53)
    base_revision: int = Field(ge=0, le=2**53)
    edits: list[Edit] = Field(min_length=1, max_length=5000)

    def batch(self) -> Batch:
        """As the rooms take it."""
        return Batch(self.client, self.seq, self.base_revision, self.edits)


class PortsIn(_Body):
    """A step's type and settings."""

    type: str = Field(max_length=60)
    settings: dict[str, Any] = Field(default_factory=dict)
    language: Language = "en"


class PublishIn(_Body):
    """The revision the person looked at when pressing Publish."""

    revision: int = Field(ge=0)
    comment: str = Field(default="", max_length=2000)


class RestoreIn(_Body):
    """The published version that becomes the draft."""

    number: int = Field(ge=1)


class FlowIn(_Body):
    """A new sub-flow."""

    name: str = Field(min_length=1, max_length=200)


class BindingIn(_Body):
    """Which model answers for a connection of the agent."""

    credential_id: str | None = None
    connector: str = Field(max_length=60)
    model: str = Field(default="", max_length=200)


class OptionsIn(_Body):
    """What a field of the inspector wants to offer; `refresh` asks the connected system anew."""

    of: Literal["crm.fields", "crm.people"] = "crm.fields"
    entity: Literal["contact", "company", "lead"] = "contact"
    refresh: bool = False


class RecordIn(_Body):
    """Which record a step's author wants to see; without a value the newest."""

    entity: Literal["contact", "company", "lead"] = "contact"
    by: Literal["phone", "email", "id", "field"] = "phone"
    field: str = Field(default="", max_length=200)
    value: str = Field(default="", max_length=500)


class TryIn(_Body):
    """Example values of variables, by id."""

    values: dict[str, Any] = Field(default_factory=dict, max_length=200)


def rooms_of(request: Request) -> Rooms:
    """The rooms of this process."""
    rooms: Rooms = request.app.state.rooms
    return rooms


@routes.get("/catalog")
async def catalog(request: Request, language: Language = "en") -> Response:
    """Step types with their forms, connectors, categories, in one language."""
    cached: dict[str, tuple[bytes, str]] = request.app.state.catalogs
    if language not in cached:
        body = json.dumps(
            jsonable_encoder(catalog_json(services_of(request).catalog, language)), ensure_ascii=False
        ).encode()
        cached[language] = body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    body, etag = cached[language]
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


@routes.get("/chains")
async def chains(request: Request, who: Member) -> dict[str, Any]:
    """Chains of follow-ups that a step may name."""
    found = await services_of(request).chain_drafts.list(who)
    return {"chains": [{"id": c.id, "name": c.name, "is_on": c.is_on} for c in found]}


@routes.get("/flows/{flow_id}")
async def flow(request: Request, flow_id: str, who: Member) -> dict[str, Any]:
    """A flow as the editor opens it."""
    return await open_flow(services_of(request), who, flow_id)


@routes.post("/flows/{flow_id}/edits")
async def save_edits(request: Request, flow_id: str, body: EditsIn, who: Member) -> dict[str, Any]:
    """Save a batch; repeating it changes nothing. The same path as the editor's socket."""
    applied = await rooms_of(request).save(who, flow_id, body.batch(), by=await _name(request, who))
    return {
        "seq": applied.seq,
        "revision": applied.revision,
        "problems": [problem.to_json() for problem in applied.problems],
        "others": EDITS.dump_python([*applied.others, *applied.added], mode="json"),
    }


@routes.post("/ports")
async def ports(request: Request, body: PortsIn) -> dict[str, Any]:
    """The exits of a step with these settings."""
    return {"ports": ports_for(services_of(request).catalog, body.type, body.settings, body.language)}


@routes.get("/flows/{flow_id}/publish")
async def publish_preview(request: Request, flow_id: str, who: Member) -> Any:
    """What publishing would do."""
    preview = await services_of(request).publishing.preview(who, flow_id)
    return rows_json(preview) | {"errors": preview.errors}


@routes.post("/flows/{flow_id}/publish")
async def publish(request: Request, flow_id: str, body: PublishIn, who: Member) -> dict[str, Any]:
    """Freeze the draft as a new version and make it live."""
    version = await services_of(request).publishing.publish(who, flow_id, revision=body.revision, comment=body.comment)
    return {"number": version.number, "id": version.id}


@routes.get("/flows/{flow_id}/versions")
async def versions(request: Request, flow_id: str, who: Member) -> Any:
    """Published versions, newest first."""
    return rows_json(await services_of(request).publishing.versions(who, flow_id))


@routes.post("/flows/{flow_id}/restore")
async def restore(request: Request, flow_id: str, body: RestoreIn, who: Member) -> dict[str, Any]:
    """Make a published version the draft."""
    services = services_of(request)
    await services.publishing.restore_draft(who, flow_id, body.number)
    opened = await open_flow(services, who, flow_id)
    rooms = rooms_of(request)
    for row in opened["flows"]:
        if rooms.is_open(row["id"]):
            rooms.changed_in_one_piece(row["id"], (await services.drafts.open(who, row["id"])).revision)
    return opened


@routes.post("/agents/{agent_id}/flows", status_code=201)
async def add_flow(request: Request, agent_id: str, body: FlowIn, who: Member) -> dict[str, Any]:
    """Add a sub-flow to an agent."""
    row = await services_of(request).agents.add_flow(who, agent_id, body.name)
    return {"id": row.id, "name": row.name}


@routes.put("/agents/{agent_id}/connections/{slot}", status_code=204)
async def bind(request: Request, agent_id: str, slot: Slot, body: BindingIn, who: Member) -> None:
    """Choose the model behind a connection."""
    await services_of(request).agents.bind(
        who, agent_id, slot, credential_id=body.credential_id, connector=body.connector, model=body.model
    )
    rooms: Rooms = request.app.state.rooms
    await rooms.rebound(who, agent_id)


@routes.get("/agents/{agent_id}/connections/{slot}/options")
async def options(
    request: Request, agent_id: str, slot: Slot, who: Member, wanted: Annotated[OptionsIn, Query()]
) -> dict[str, Any]:
    """What the connected system offers to choose from; remembered for some minutes."""
    remote = services_of(request).remote_options
    language = request.headers.get("accept-language", "")[:2]
    found = await remote.of(who, agent_id, slot, wanted.of, wanted.entity, refresh=wanted.refresh, language=language)
    return {"options": [rows_json(row) for row in found]}


@routes.get("/agents/{agent_id}/connections/{slot}/record")
async def record(
    request: Request, agent_id: str, slot: Slot, who: Member, wanted: Annotated[RecordIn, Query()]
) -> dict[str, Any]:
    """One record of the connected system as it is now; null when there is none."""
    remote = services_of(request).remote_options
    query = CrmQuery(wanted.entity, wanted.by, wanted.value.strip(), wanted.field)
    found = await remote.record(who, agent_id, slot, query)
    return {"record": found.to_json() if found else None}


@routes.post("/flows/{flow_id}/steps/{node_id}/try")
async def try_step(request: Request, flow_id: str, node_id: Slot, body: TryIn, who: Member) -> dict[str, Any]:
    """Run one step of the draft for real, with example values; what was sent and what came back."""
    tried = await services_of(request).step_trial.run(who, flow_id, node_id, body.values)
    return {
        "requests": tried.requests, "variables": tried.variables, "port": tried.port,
        "error": tried.error, "ms": tried.ms,
    }  # fmt: skip


def rows_json(rows: Any) -> Any:
    """Rows of the services as JSON; what knows its own JSON form is asked for it."""
    if is_dataclass(rows) and not isinstance(rows, type):
        to_json = getattr(rows, "to_json", None)
        return to_json() if to_json else {f.name: rows_json(getattr(rows, f.name)) for f in fields(rows)}
    if isinstance(rows, list | tuple):
        return [rows_json(row) for row in rows]
    return jsonable_encoder(rows)


async def _name(request: Request, who: Principal) -> str:
    return str((await services_of(request).accounts.me(who)).name)
