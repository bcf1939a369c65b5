"""People in place of an agent over the public API: what waits, taking it, answering, giving it back."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from graph_runtime.api.access import key_with, router, services_of
from graph_runtime.api.routes.v1.conversations import once
from graph_runtime.api.routes.v1.hand_off_shapes import (
    Approvals,
    Decision,
    GiveBack,
    HandOffs,
    ListedHandOffs,
    MemberReply,
    MemberSaid,
    Queues,
)
from graph_runtime.api.routes.v1.shapes import IdempotencyKey
from graph_runtime.services.idempotency import Answer
from graph_runtime.services.principal import Principal

may_answer = key_with("conversations:answer", "conversations:read")
routes = router(may_answer, "/api/v1", tags=["Hand-offs"])
Answerer = Annotated[Principal, Depends(may_answer)]


@routes.get("/hand-offs", response_model=HandOffs, summary="List hand-offs")
async def list_hand_offs(request: Request, who: Answerer, wanted: Annotated[ListedHandOffs, Query()]) -> Any:
    """What waits for a person. A key sees what the member who made it sees."""
    return {"hand_offs": await services_of(request).hand_offs.list(who, **wanted.model_dump())}


@routes.get("/queues", response_model=Queues, summary="List queues")
async def list_queues(request: Request, who: Answerer) -> Any:
    """The queues of the workspace."""
    return {"queues": await services_of(request).queues.list(who)}


@routes.post("/conversations/{conversation_id}/accept", status_code=204, summary="Take a conversation")
async def accept(request: Request, conversation_id: str, who: Answerer) -> None:
    """The member who made the key takes a conversation that waits, or takes over one that the agent has.

    From now on the agent is silent. When somebody has it already the answer is 409, and `params.holder` says who.
    """
    await services_of(request).hand_offs.accept(who, conversation_id)


@routes.post(
    "/conversations/{conversation_id}/reply", response_model=MemberSaid, status_code=201, summary="Answer the contact"
)
async def reply(
    request: Request, conversation_id: str, body: MemberReply, who: Answerer, idempotency_key: IdempotencyKey = None
) -> Any:
    """Say something in place of the agent; the conversation must have been taken before."""
    name = body.client_id or idempotency_key or uuid.uuid4().hex

    async def act() -> Answer:
        said = await services_of(request).hand_offs.reply(who, conversation_id, body.text, client_id=name[:100])
        return Answer(201, {"seq": said.seq, "is_new": said.is_new})

    return await once(request, who, idempotency_key, act)


@routes.post("/conversations/{conversation_id}/give-back", status_code=204, summary="Give a conversation back")
async def give_back(request: Request, conversation_id: str, body: GiveBack, who: Answerer) -> None:
    """The agent goes on where the flow waits."""
    seen = {} if body.seen_seq is None else {"seen_seq": body.seen_seq}
    await services_of(request).hand_offs.give_back(who, conversation_id, note=body.note, outcome=body.outcome, **seen)


@routes.post(
    "/conversations/{conversation_id}/release", status_code=204, summary="Put a conversation back into its queue"
)
async def release(request: Request, conversation_id: str, who: Answerer) -> None:
    """It waits for somebody else; the agent stays silent."""
    await services_of(request).hand_offs.release(who, conversation_id)


@routes.get("/approvals", response_model=Approvals, summary="List messages to approve")
async def list_approvals(request: Request, who: Answerer, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> Any:
    """What agents are to say and somebody has to approve first; of each conversation the first, longest waiting first."""
    return {"approvals": await services_of(request).approvals.list(who, limit=limit)}


@routes.post("/approvals/{approval_id}", status_code=204, summary="Decide about a message")
async def decide(request: Request, approval_id: str, body: Decision, who: Answerer) -> None:
    """Send it as it is, change it, say something else, or say nothing.

    When somebody else has decided already, or the time has, the answer is 409 with `params.reason` "decided".
    """
    await services_of(request).approvals.decide(who, approval_id, body.decision, body.text)
