"""Chains of follow-ups over the public API: drawing them up, putting people in, holding them, what is ahead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request
from fastapi.encoders import jsonable_encoder
from starlette.responses import Response

from graph_runtime.api.access import key_with, router, services_of
from graph_runtime.api.routes.v1.chain_shapes import (
    AheadList,
    ChainDraftIn,
    ChainList,
    Changed,
    EnrollmentAct,
    EnrollmentList,
    EnteredList,
    NewChain,
    NewEnrollments,
    WholeChain,
)
from graph_runtime.api.routes.v1.conversations import once
from graph_runtime.api.routes.v1.shapes import IdempotencyKey
from graph_runtime.services.chain_drafts import ChainDraft
from graph_runtime.services.idempotency import Answer
from graph_runtime.services.principal import Principal

may_read = key_with("conversations:read")
may_write = key_with("conversations:write", "conversations:read")
may_edit = key_with("flows:write", "conversations:read")
may_publish = key_with("flows:publish", "conversations:read")
reading = router(may_read, "/api/v1", tags=["Follow-ups"])
writing = router(may_write, "/api/v1", tags=["Follow-ups"])
editing = router(may_edit, "/api/v1", tags=["Follow-ups"])
publishing = router(may_publish, "/api/v1", tags=["Follow-ups"])
Reader = Annotated[Principal, Depends(may_read)]
Writer = Annotated[Principal, Depends(may_write)]
Editor = Annotated[Principal, Depends(may_edit)]
Publisher = Annotated[Principal, Depends(may_publish)]


def _whole(draft: ChainDraft) -> dict[str, Any]:
    found = [{"step_id": p.step_id, "code": p.code, "message": p.message} for p in draft.problems]
    return {"chain": draft.row, "revision": draft.revision, "document": draft.chain.to_json(), "problems": found}


@reading.get("/chains", response_model=ChainList, summary="List chains")
async def list_chains(request: Request, who: Reader) -> Any:
    """All of the workspace, the last changed first."""
    return {"chains": await services_of(request).chain_drafts.list(who)}


@editing.post("/chains", status_code=201, response_model=WholeChain, summary="Make a chain")
async def make_chain(request: Request, body: NewChain, who: Editor) -> Any:
    """A new chain, with a draft or without. It is off until it is published."""
    return _whole(await services_of(request).chain_drafts.create(who, body.name, body.document))


@reading.get("/chains/{chain_id}", response_model=WholeChain, summary="Read a chain")
async def read_chain(request: Request, chain_id: str, who: Reader) -> Any:
    """A chain with its draft and what keeps it from being published."""
    return _whole(await services_of(request).chain_drafts.get(who, chain_id))


@editing.put("/chains/{chain_id}/draft", response_model=WholeChain, summary="Replace a chain's draft")
async def save_draft(request: Request, chain_id: str, body: ChainDraftIn, who: Editor) -> Any:
    """Replace the draft; 409 when somebody else has changed it since it was read."""
    drafts = services_of(request).chain_drafts
    return _whole(await drafts.save(who, chain_id, body.document, revision=body.revision))


@publishing.post("/chains/{chain_id}/publish", response_model=WholeChain, summary="Publish a chain")
async def publish(request: Request, chain_id: str, who: Publisher) -> Any:
    """Freeze the draft as the version that people enter, and switch the chain on. Those inside keep their version."""
    return _whole(await services_of(request).chain_drafts.publish(who, chain_id))


@reading.get("/chains/{chain_id}/preview", response_model=AheadList, summary="Foresee a chain")
async def preview(
    request: Request, chain_id: str, who: Reader, contact_id: Annotated[str, Query(max_length=60)] = ""
) -> Any:
    """What the draft would bring to a contact who entered now, by their own clock."""
    return {"steps": await services_of(request).chains.preview(who, chain_id, contact_id=contact_id)}


@writing.post("/chains/{chain_id}/enrollments", response_model=EnteredList, summary="Put contacts into a chain")
async def enroll(
    request: Request, chain_id: str, body: NewEnrollments, who: Writer, idempotency_key: IdempotencyKey = None
) -> Response:
    """Each contact is in a chain at most once: whoever is inside already stays where they are and is told so."""

    async def act() -> Answer:
        chains = services_of(request).chains
        found = await chains.enroll(who, chain_id, body.contacts, source="api")
        if body.phones or body.emails:
            found += await chains.enroll_known(who, chain_id, phones=body.phones, emails=body.emails, source="api")
        return Answer(200, jsonable_encoder(EnteredList.model_validate({"enrollments": found})))

    return await once(request, who, idempotency_key, act)


@reading.get("/chains/{chain_id}/enrollments", response_model=EnrollmentList, summary="List who is in a chain")
async def list_enrollments(
    request: Request,
    chain_id: str,
    who: Reader,
    state: Literal["active", "paused", "done", "stopped", "failed"] | None = None,
    before: Annotated[str, Query(max_length=60)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Any:
    """The newest first; go on with `next_before`."""
    rows = await services_of(request).chains.people(who, chain_id, state=state, before=before or None, limit=limit)
    return {"enrollments": rows, "next_before": rows[-1].id if len(rows) == limit else ""}


@writing.post("/chains/{chain_id}/enrollments/{act}", response_model=Changed, summary="Hold, resume, skip or stop")
async def act(
    request: Request, chain_id: str, act: Literal["pause", "resume", "skip", "stop"], body: EnrollmentAct, who: Writer
) -> Any:
    """Hold people where they are, let them go on, pass over their next step, or take them out."""
    chains = services_of(request).chains
    acts: dict[str, Callable[[], Awaitable[int]]] = {
        "pause": lambda: chains.set_going(who, chain_id, body.enrollments, is_on=False),
        "resume": lambda: chains.set_going(who, chain_id, body.enrollments, is_on=True),
        "skip": lambda: chains.skip(who, chain_id, body.enrollments),
        "stop": lambda: chains.stop(who, chain_id, body.enrollments),
    }
    return {"changed": await acts[act]()}
