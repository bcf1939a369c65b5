"""Triggers over the public API: which there are, firing one, and what became of it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from graph_runtime.api.access import key_with, router, services_of
from graph_runtime.api.routes.v1.conversations import once
from graph_runtime.api.routes.v1.shapes import IdempotencyKey
from graph_runtime.services.idempotency import Answer
from graph_runtime.services.principal import Principal
from graph_runtime.services.trigger_log import OccasionRow
from graph_runtime.services.triggers import TriggerRow

may_read = key_with("flows:read")
may_look = key_with("conversations:read")
may_fire = key_with("conversations:write")
reading = router(may_read, "/api/v1", tags=["Triggers"])
looking = router(may_look, "/api/v1", tags=["Triggers"])
firing = router(may_fire, "/api/v1", tags=["Triggers"])


class TriggerShape(BaseModel):
    """What starts something by itself. `next_at` of a schedule; `problems` say in words what keeps it from working."""

    id: str
    agent_id: str
    name: str
    kind: str = Field(description="`message`, `schedule`, `event`, `webhook`, `inactivity` or `manual`.")
    is_on: bool
    actions: list[str] = Field(description="What it does, in order: `start_flow`, `enroll`, `notify` …")
    next_at: datetime | None
    fired_at: datetime | None = Field(description="When it last fired.")
    fired: int = Field(description="How often it fired in the last seven days.")
    path: str = Field(description="Where programs post to it; empty for other kinds.")
    problems: list[str]


class Fire(BaseModel):
    """For whom to fire it, and what the flow should know."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"contact_id": "0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b", "payload": {"plan": "pro"}}]
        },
    )
    contact_id: str = Field(default="", max_length=64, description="Empty when it is about nobody.")
    payload: dict[str, Any] = Field(
        default_factory=dict, description="Becomes variables of the flow that starts, and `event.…` in conditions."
    )


class Occasion(BaseModel):
    """One occasion of a trigger. While `state` is `waiting` a worker will take it within a second or so."""

    id: str
    source: str
    contact_id: str | None
    at: datetime
    state: str = Field(description="`waiting`, `fired`, `not_fired` or `failed`.")
    reason: str = Field(description="A code; empty when it fired.")
    sentence: str = Field(description="The same in words.")
    did: list[dict[str, str]] = Field(description="What each action came to.")
    conversation_id: str | None = Field(description="The conversation that began.")
    done_at: datetime | None


def _trigger(row: TriggerRow) -> TriggerShape:
    return TriggerShape(
        id=row.id, agent_id=row.agent_id, name=row.name, kind=row.trigger.when.kind, is_on=row.is_on,
        actions=[a.do for a in row.trigger.actions], next_at=row.next_at, fired_at=row.fired_at, fired=row.fired,
        path=row.path, problems=[p.message for p in row.problems],
    )  # fmt: skip


def _occasion(row: OccasionRow) -> Occasion:
    return Occasion(
        id=row.id, source=row.source, contact_id=row.contact_id, at=row.at, state=row.state, reason=row.reason,
        sentence=row.sentence, did=row.did, conversation_id=row.conversation_id, done_at=row.done_at,
    )  # fmt: skip


@reading.get("/triggers", response_model=list[TriggerShape], summary="List triggers")
async def list_triggers(
    request: Request,
    who: Annotated[Principal, Depends(may_read)],
    agent_id: Annotated[str | None, Query(max_length=64)] = None,
) -> Any:
    """Those of one agent, or of the workspace."""
    return [_trigger(row) for row in await services_of(request).triggers.list(who, agent_id)]


@firing.post("/triggers/{trigger_id}/fire", status_code=202, response_model=Occasion, summary="Fire a trigger")
async def fire(
    request: Request,
    trigger_id: str,
    body: Fire,
    who: Annotated[Principal, Depends(may_fire)],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Fire it for a contact, whatever its kind and also while it is off; conditions and limits count as always.

    Answers at once, with an occasion to ask for. With an `Idempotency-Key` it happens once, however often it is sent.
    """
    key = idempotency_key or uuid.uuid4().hex

    async def act() -> Answer:
        found = await services_of(request).trigger_log.fire(
            who, trigger_id, contact_id=body.contact_id, payload=body.payload or None, key=key
        )
        return Answer(202, jsonable_encoder(_occasion(found)))

    return await once(request, who, idempotency_key, act)


@looking.get("/triggers/{trigger_id}/occasions/{occasion_id}", response_model=Occasion, summary="Read an occasion")
async def read(
    request: Request, trigger_id: str, occasion_id: str, who: Annotated[Principal, Depends(may_look)]
) -> Any:  # fmt: skip
    """What became of it."""
    return _occasion(await services_of(request).trigger_log.occasion(who, trigger_id, occasion_id))
