"""Phone calls over the public API: place one, and see how it went."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, Request
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from graph_runtime.api.access import key_with, router, services_of
from graph_runtime.api.routes.v1.conversations import once
from graph_runtime.api.routes.v1.shapes import IdempotencyKey
from graph_runtime.contract.calls import OutgoingResult
from graph_runtime.services.idempotency import Answer
from graph_runtime.services.principal import Principal

may_call = key_with("conversations:write", "conversations:read")
may_read = key_with("conversations:read")
writing = router(may_call, "/api/v1", tags=["Calls"])
reading = router(may_read, "/api/v1", tags=["Calls"])


class NewCall(BaseModel):
    """A call to place."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"number": "+49 30 1234567"}]})
    number: str = Field(
        min_length=1, max_length=80, description="A number or an extension; the line knows how to dial it."
    )
    ring_seconds: int = Field(default=30, ge=5, le=120, description="How long it rings.")


class Call(BaseModel):
    """A call that was placed. `result` is empty while it rings."""

    id: str
    number: str
    state: str = Field(description="`dialing`, `announced`, `up`, `moving` (being transferred) or `ended`.")
    result: OutgoingResult | Literal[""] = Field(description="How it began; `failed` may still become more precise.")
    conversation_id: str = Field(description="Empty until somebody answered.")
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None


@writing.post("/lines/{channel_id}/calls", status_code=202, response_model=Call, summary="Place a call")
async def place(
    request: Request,
    channel_id: str,
    body: NewCall,
    who: Annotated[Principal, Depends(may_call)],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Ring a number from a phone line. Answers at once; with an `Idempotency-Key` nobody is rung twice, ever."""
    key = idempotency_key or uuid.uuid4().hex

    async def act() -> Answer:
        calls = services_of(request).calls_out
        placed = await calls.place(who, channel_id, body.number, key=key, ring_seconds=body.ring_seconds)
        return Answer(202, jsonable_encoder(placed))

    return await once(request, who, idempotency_key, act)


class PhoneLine(BaseModel):
    """A phone line of an agent."""

    id: str
    name: str
    agent_id: str
    agent_name: str
    is_on: bool
    can_call: bool = Field(description="Whether it places calls: its Asterisk's manager is set up.")
    most_calls: int = Field(description="Calls it may have at a time, in and out together.")
    numbers: list[str] = Field(description="Numbers that were called on it lately.")
    live: int = Field(description="Calls on it now.")


class PhoneLines(BaseModel):
    """Every line, by agent."""

    lines: list[PhoneLine]


@reading.get("/lines", response_model=PhoneLines, summary="List phone lines")
async def list_lines(request: Request, who: Annotated[Principal, Depends(may_read)]) -> Any:
    """Every phone line of the workspace, with its id for placing calls."""
    return {"lines": jsonable_encoder(await services_of(request).call_log.lines(who))}


@reading.get("/calls/{call_id}", response_model=Call, summary="Read a call")
async def read(request: Request, call_id: str, who: Annotated[Principal, Depends(may_read)]) -> Any:
    """How a call that was placed is doing."""
    return jsonable_encoder(await services_of(request).calls_out.get(who, call_id))
