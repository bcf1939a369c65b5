"""Shapes of the public API of chains."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class ChainHead(BaseModel):
    """A chain of follow-ups as it is listed."""

    model_config = ConfigDict(from_attributes=True)
    id: str
    name: str
    is_on: bool
    live_number: int = Field(description="The version that people enter; 0: nothing was published.")
    has_changes: bool = Field(description="The draft differs from the live version.")
    steps: int
    active: int = Field(description="People inside who go on.")
    paused: int
    enrolled: int = Field(description="Everybody who ever entered.")
    sent: int
    replied: int
    next_at: datetime | None
    updated_at: datetime


class ChainList(BaseModel):
    """All chains of the workspace."""

    chains: list[ChainHead]


class WholeChain(BaseModel):
    """A chain with its draft."""

    chain: ChainHead
    revision: int
    document: dict[str, Any] = Field(description="The draft, `chain/1`.")
    problems: list[dict[str, str]]


class NewChain(BaseModel):
    """A chain to make. It is off and has nothing published."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=200)
    document: dict[str, Any] = Field(default_factory=dict, description="A `chain/1` document.")


class ChainDraftIn(BaseModel):
    """A new draft, in place of the one that was read as `revision`."""

    model_config = ConfigDict(extra="forbid")
    revision: int = Field(ge=1)
    document: dict[str, Any]


class NewEnrollments(BaseModel):
    """Who enters, by id, number or address; together at most 10 000."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"phones": ["+380671234567"]}, {"contacts": ["0198c3f2-…"]}]}
    )
    contacts: list[str] = Field(default_factory=list, max_length=10_000, description="Ids of contacts.")
    phones: list[str] = Field(default_factory=list, max_length=10_000)
    emails: list[str] = Field(default_factory=list, max_length=10_000)


class EnteredOut(BaseModel):
    """What became of one; `problem` is empty when they are inside now."""

    model_config = ConfigDict(from_attributes=True)
    contact_id: str
    enrollment_id: str
    problem: str
    sentence: str


class EnteredList(BaseModel):
    """What became of all of them."""

    enrollments: list[EnteredOut]


class EnrollmentOut(BaseModel):
    """One contact's progress. `note`: why the step was put off; `reason`: why it ended or waits."""

    model_config = ConfigDict(from_attributes=True)
    id: str
    contact_id: str
    version: int
    state: str = Field(description="`active`, `paused`, `done`, `stopped` or `failed`.")
    reason: str
    step_id: str
    due_at: datetime | None
    note: str
    source: str
    enrolled_at: datetime
    ended_at: datetime | None


class EnrollmentList(BaseModel):
    """A page of them, the newest first."""

    enrollments: list[EnrollmentOut]
    next_before: str


class EnrollmentAct(BaseModel):
    """What to do with enrollments."""

    model_config = ConfigDict(extra="forbid")
    enrollments: list[str] = Field(min_length=1, max_length=10_000)


class Changed(BaseModel):
    """How many were changed; those that are over already are not."""

    changed: int


class AheadOut(BaseModel):
    """What somebody would get. `due_at` null: passed over, for the `reason`."""

    model_config = ConfigDict(from_attributes=True)
    step_id: str
    kind: str
    due_at: datetime | None
    zone: str
    reason: str
    contact_id: str


class AheadList(BaseModel):
    """In order."""

    steps: list[AheadOut]
