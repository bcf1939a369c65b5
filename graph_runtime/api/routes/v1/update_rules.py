"""Update rules over the public API: which there are, what they changed and propose, deciding and taking back."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from pydantic import BaseModel, Field

from graph_runtime.api.access import key_with, router, services_of
from graph_runtime.contract.update_rules import UpdateRule
from graph_runtime.services.principal import Principal
from graph_runtime.services.update_changes import Change
from graph_runtime.services.update_rules import UpdateRuleRow

may_read = key_with("flows:read")
may_look = key_with("conversations:read")
may_decide = key_with("conversations:write")
reading = router(may_read, "/api/v1", tags=["Update rules"])
looking = router(may_look, "/api/v1", tags=["Update rules"])
deciding = router(may_decide, "/api/v1", tags=["Update rules"])


class RuleShape(BaseModel):
    """When a contact says or agrees to something, a field of theirs is set. Members make and change rules."""

    id: str
    agent_id: str
    is_on: bool
    sentence: str = Field(description="The rule in words.")
    rule: UpdateRule
    problems: list[str] = Field(description="What keeps it from working, in words.")
    applied: int = Field(description="Changes of the last 30 days.")
    applied_at: datetime | None


class ChangeShape(BaseModel):
    """One change of one field of one contact."""

    id: str
    agent_id: str
    contact_id: str
    rule_id: str
    rule: str = Field(description="The rule in words, as it was.")
    conversation_id: str | None
    message_seq: int = Field(description="The message that caused it.")
    field: str
    label: str
    before: Any = Field(description="`null` when the field was empty.")
    after: Any
    sentence: str = Field(description="What the contact said, word by word.")
    confidence: float = Field(description="0 to 1.")
    by_model: str = Field(description="The model that read it; empty when patterns did.")
    state: str = Field(
        description="`applied`, `proposed` (waits for a decision), `rejected`, `replaced` (by a newer proposal), `undone` or "
        "`noted` (the rule never writes)."
    )
    created_at: datetime
    applied_at: datetime | None
    applied_by: str
    closed_at: datetime | None
    closed_by: str


class Changes(BaseModel):
    """Newest first; `next`: pass it as `before` for older ones, empty at the end."""

    changes: list[ChangeShape]
    next: str


def _rule(row: UpdateRuleRow) -> RuleShape:
    return RuleShape(
        id=row.id, agent_id=row.agent_id, is_on=row.is_on, sentence=row.sentence, rule=row.rule,
        problems=[p.message for p in row.problems], applied=row.applied, applied_at=row.applied_at,
    )  # fmt: skip


def _change(change: Change) -> ChangeShape:
    return ChangeShape(**{key: getattr(change, key) for key in ChangeShape.model_fields})


@reading.get("/agents/{agent_id}/update-rules", response_model=list[RuleShape], summary="List update rules")
async def list_rules(request: Request, agent_id: str, who: Annotated[Principal, Depends(may_read)]) -> Any:
    """Those of one agent, oldest first."""
    return [_rule(row) for row in await services_of(request).update_rules.list(who, agent_id)]


@looking.get("/update-changes", response_model=Changes, summary="List what update rules changed")
async def list_changes(
    request: Request,
    who: Annotated[Principal, Depends(may_look)],
    *,
    agent_id: Annotated[str, Query(max_length=64)] = "",
    contact_id: Annotated[str, Query(max_length=64)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
    before: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Any:
    """Of an agent, of a contact, in a state; without a state all but replaced proposals."""
    found = await services_of(request).update_changes.listed(
        who, agent_id=agent_id, contact_id=contact_id, state=state, before=before, limit=limit
    )
    return Changes(changes=[_change(c) for c in found], next=found[-1].id if len(found) == limit else "")


@deciding.post("/update-changes/{change_id}/accept", response_model=ChangeShape, summary="Accept a proposed change")
async def accept(request: Request, change_id: str, who: Annotated[Principal, Depends(may_decide)]) -> Any:
    """Set the field. 409 when somebody has decided already."""
    return _change(await services_of(request).update_changes.accept(who, change_id))


@deciding.post("/update-changes/{change_id}/reject", response_model=ChangeShape, summary="Reject a proposed change")
async def reject(request: Request, change_id: str, who: Annotated[Principal, Depends(may_decide)]) -> Any:
    """Leave the field as it is. 409 when somebody has decided already."""
    return _change(await services_of(request).update_changes.reject(who, change_id))


@deciding.post("/update-changes/{change_id}/undo", response_model=ChangeShape, summary="Undo a change")
async def undo(request: Request, change_id: str, who: Annotated[Principal, Depends(may_decide)]) -> Any:
    """Put back what was there before. 409 with `reason` `changed_since` when the field was changed after it."""
    return _change(await services_of(request).update_changes.undo(who, change_id))
