"""Agents and flows over the public API: read, change the draft, publish."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import Body, Depends, Query, Request
from fastapi.encoders import jsonable_encoder
from starlette.responses import Response

from graph_runtime.api.access import anyone, key_with, router, services_of
from graph_runtime.api.routes.v1.conversations import once
from graph_runtime.api.routes.v1.shapes import Agent, Agents, FlowDraft, Flows, IdempotencyKey, Publish, Version
from graph_runtime.contract.errors import InputInvalid
from graph_runtime.contract.schema import dumps_schema
from graph_runtime.services.idempotency import Answer
from graph_runtime.services.principal import Principal

if TYPE_CHECKING:
    from graph_runtime.bootstrap import Services

T = TypeVar("T")
may_read = key_with("flows:read")
may_write = key_with("flows:write")
may_publish = key_with("flows:publish")
reading = router(may_read, "/api/v1", tags=["Agents and flows"])
writing = router(may_write, "/api/v1", tags=["Agents and flows"])
publishing = router(may_publish, "/api/v1", tags=["Agents and flows"])
open_routes = router(anyone, "/api/v1", tags=["Agents and flows"])
Reader = Annotated[Principal, Depends(may_read)]
Writer = Annotated[Principal, Depends(may_write)]
Publisher = Annotated[Principal, Depends(may_publish)]
CursorText = Annotated[str, Query(max_length=300)]
Limit = Annotated[int, Query(ge=1, le=200)]
_EXAMPLE = {
    "format": "flow/1",
    "name": "Greeting",
    "locale": "en",
    "entry": {"message": "n_start"},
    "nodes": {
        "n_start": {"type": "start", "v": 1, "settings": {}},
        "n_hello": {"type": "send_message", "v": 1, "settings": {"text": "Hello!"}},
        "n_end": {"type": "end", "v": 1, "settings": {}},
    },
    "edges": {"n_start.next": "n_hello", "n_hello.next": "n_end"},
}


@reading.get("/agents", response_model=Agents, summary="List agents")
async def agents(request: Request, who: Reader, cursor: CursorText = "", limit: Limit = 50) -> Any:
    """Agents of the workspace, in order of their ids."""
    rows = await _all_agents(services_of(request), who)
    page, next_cursor = _page(rows, cursor, limit)
    return {"agents": page, "next_cursor": next_cursor}


@reading.get("/agents/{agent_id}", response_model=Agent, summary="Read an agent")
async def agent(request: Request, agent_id: str, who: Reader) -> Any:
    """One agent."""
    return await services_of(request).agents.get(who, agent_id)


@reading.get("/flows", response_model=Flows, summary="List flows")
async def flows(
    request: Request,
    who: Reader,
    agent_id: Annotated[str | None, Query(max_length=60, description="Only flows of this agent.")] = None,
    cursor: CursorText = "",
    limit: Limit = 50,
) -> Any:
    """Flows of the workspace or of one agent, in order of their ids."""
    services = services_of(request)
    owners = [agent_id] if agent_id else [row.id for row in await _all_agents(services, who)]
    rows = [row | {"agent_id": owner} for owner in owners for row in await _flows_of(services, who, owner)]
    page, next_cursor = _page(rows, cursor, limit)
    return {"flows": page, "next_cursor": next_cursor}


@reading.get("/flows/{flow_id}", response_model=FlowDraft, summary="Read a flow")
async def flow(request: Request, flow_id: str, who: Reader) -> Any:
    """A flow with its draft, brought up to date, and what the check says about it."""
    return await _draft(services_of(request), who, flow_id)


@reading.get("/flows/{flow_id}/versions", response_model=list[Version], summary="List versions")
async def versions(request: Request, flow_id: str, who: Reader) -> Any:
    """Published versions, newest first."""
    return await services_of(request).publishing.versions(who, flow_id)


@writing.put("/flows/{flow_id}/draft", response_model=FlowDraft, summary="Replace a draft")
async def put_draft(
    request: Request,
    flow_id: str,
    who: Writer,
    document: Annotated[dict[str, Any], Body(examples=[_EXAMPLE])],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Put a whole document in place of the draft. A draft may have problems; publishing may not.

    People who have the flow open in the editor see the new state at once.
    """
    services = services_of(request)

    async def act() -> Answer:
        await services.drafts.replace(who, flow_id, document)
        found = await _draft(services, who, flow_id)
        request.app.state.rooms.changed_in_one_piece(flow_id, found["revision"])
        return Answer(200, jsonable_encoder(found))

    return await once(request, who, idempotency_key, act)


@publishing.post("/flows/{flow_id}/publish", response_model=Version, summary="Publish a flow")
async def publish(
    request: Request, flow_id: str, body: Publish, who: Publisher, idempotency_key: IdempotencyKey = None
) -> Response:
    """Freeze the draft as a new version that new conversations begin with.

    Open conversations stay on their version. 422 with `problems` when the flow check found errors; publishing what is
    already live returns that version.
    """
    services = services_of(request)

    async def act() -> Answer:
        revision = body.revision
        if revision is None:
            revision = (await services.drafts.open(who, flow_id)).revision
        row = await services.publishing.publish(who, flow_id, revision=revision, comment=body.comment)
        return Answer(200, jsonable_encoder(Version.model_validate(row)))

    return await once(request, who, idempotency_key, act)


@open_routes.get("/schema/flow-1.json", summary="The flow document", response_model=dict[str, Any])
async def flow_schema(request: Request) -> Response:
    """JSON Schema of the document `flow/1`."""
    return Response(
        dumps_schema(services_of(request).catalog),
        media_type="application/schema+json",
        headers={"Cache-Control": "public, max-age=3600"},
    )


async def _all_agents(services: Services, who: Principal) -> list[Any]:
    rows: list[Any] = []
    while page := await services.agents.list(who, limit=200, offset=len(rows)):
        rows += page
    return rows


async def _flows_of(services: Services, who: Principal, agent_id: str) -> list[dict[str, Any]]:
    return [jsonable_encoder(row) for row in await services.agents.flows(who, agent_id)]


async def _draft(services: Services, who: Principal, flow_id: str) -> dict[str, Any]:
    draft = await services.drafts.open(who, flow_id)
    return {
        "id": flow_id,
        "agent_id": draft.agent_id,
        "name": draft.flow.name,
        "kind": draft.kind,
        "live_version": draft.live_version,
        "revision": draft.revision,
        "draft": draft.flow.to_json(),
        "problems": [problem.to_json() for problem in draft.problems],
    }


def _page(rows: Sequence[Any], cursor: str, limit: int) -> tuple[list[Any], str]:
    """Rows after the cursor in order of their ids, which grow with time; a deleted row loses nobody's place."""
    after = ""
    if cursor:
        try:
            after = base64.urlsafe_b64decode(cursor.encode()).decode()
        except ValueError:
            raise InputInvalid("This cursor is damaged. Begin again without one.", field="cursor") from None
    ordered = sorted((row for row in rows if _id(row) > after), key=_id)
    page = ordered[:limit]
    has_more = len(ordered) > limit
    return page, base64.urlsafe_b64encode(_id(page[-1]).encode()).decode() if has_more else ""


def _id(row: Any) -> str:
    return str(row["id"] if isinstance(row, dict) else row.id)
