"""Contacts over the public API: finding, making, changing, tagging, and whether they may be written to."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from graph_runtime.api.access import key_with, router, services_of
from graph_runtime.api.routes.v1.conversations import once
from graph_runtime.api.routes.v1.shapes import IdempotencyKey
from graph_runtime.services.contacts import Wanted
from graph_runtime.services.idempotency import Answer
from graph_runtime.services.principal import Principal

may_write = key_with("conversations:write", "conversations:read")
may_read = key_with("conversations:read")
writing = router(may_write, "/api/v1/contacts", tags=["Contacts"])
reading = router(may_read, "/api/v1/contacts", tags=["Contacts"])
Writer = Annotated[Principal, Depends(may_write)]
Reader = Annotated[Principal, Depends(may_read)]
Tags = list[Annotated[str, Field(max_length=40)]]


class ContactChange(BaseModel):
    """What to change; what is left out stays. A field of `fields` that is null is taken away."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "Olia Koval", "phone": "+380 67 123 45 67"}]}
    )
    name: str | None = Field(default=None, max_length=200)
    phone: str | None = Field(default=None, max_length=80, description="With its country's code; kept as E.164.")
    email: str | None = Field(default=None, max_length=254)
    tags: Tags | None = Field(default=None, max_length=50, description="Replaces all tags.")
    language: str | None = Field(default=None, description="`en`, `ru`, `uk`, or empty.")
    time_zone: str | None = Field(default=None, max_length=64, description="IANA name, or empty: by phone, else ours.")
    country: str | None = Field(default=None, max_length=2, description="ISO 3166, such as `UA`.")
    fields: dict[str, Any] | None = Field(default=None, description="Own fields of the workspace, by key.")
    consent: dict[str, bool] | None = Field(
        default=None, description="Purpose → given or not; time and source are noted."
    )

    def given(self) -> dict[str, Any]:
        """The values that were sent; null is the same as left out."""
        return {k: v for k, v in self.model_dump(exclude_unset=True).items() if v is not None}


class Tagging(BaseModel):
    """Tags to add and to take away."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"add": ["vip"], "remove": []}]})
    add: Tags = Field(default=[], max_length=50)
    remove: Tags = Field(default=[], max_length=50)


class OptOut(BaseModel):
    """Whether they asked not to be written to."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"opted_out": True}]})
    opted_out: bool


class Consent(BaseModel):
    """What was said about one purpose."""

    given: bool
    at: datetime
    source: str


class Contact(BaseModel):
    """A person."""

    id: str
    name: str
    phone: str
    email: str
    tags: list[str]
    language: str
    time_zone: str
    country: str
    fields: dict[str, Any]
    consent: dict[str, Consent]
    opted_out_at: datetime | None = Field(description="Since then nothing proactive is sent to them.")
    channels: list[str] = Field(description="Kinds of the places where they are known.")
    created_at: datetime
    updated_at: datetime


class ContactList(BaseModel):
    """A page of contacts, newest first; `next` goes into `before` of the next request, empty at the end."""

    contacts: list[Contact]
    next: str


class ListQuery(BaseModel):
    """Filters and the page."""

    search: str = Field(default="", max_length=200, description="In name, phone, e-mail and fields.")
    tag: str = Field(default="", max_length=40)
    segment_id: str = Field(default="", max_length=40)
    opted_out: bool | None = None
    before: str = Field(default="", max_length=40, description="`next` of the page before.")
    limit: int = Field(default=50, ge=1, le=200)


@reading.get("", response_model=ContactList, summary="List contacts")
async def listed(request: Request, who: Reader, query: Annotated[ListQuery, Query()]) -> Any:
    """Contacts that the filters leave."""
    filters = query.model_dump(exclude={"before", "limit"})
    contacts = services_of(request).contacts
    page = await contacts.listed(who, Wanted(**filters), before=query.before, limit=query.limit)
    return {"contacts": [_shown(c) for c in page.contacts], "next": page.next}


@writing.post("", status_code=201, response_model=Contact, summary="Make a contact")
async def create(
    request: Request, body: ContactChange, who: Writer, idempotency_key: IdempotencyKey = None
) -> Response:
    """409 with `contact_id` when somebody has this number or e-mail already: change that contact instead."""

    async def act() -> Answer:
        made = await services_of(request).contacts.create(who, body.given())
        return Answer(201, _shown(made))

    return await once(request, who, idempotency_key, act)


@reading.get("/{contact_id}", response_model=Contact, summary="Read a contact")
async def read(request: Request, contact_id: str, who: Reader) -> Any:
    """One that was merged is answered with the contact that it became."""
    return _shown(await services_of(request).contacts.get(who, contact_id))


@writing.patch("/{contact_id}", response_model=Contact, summary="Change a contact")
async def change(request: Request, contact_id: str, body: ContactChange, who: Writer) -> Any:
    """Only what is sent changes."""
    return _shown(await services_of(request).contacts.update(who, contact_id, body.given()))


@writing.post("/{contact_id}/tags", response_model=Contact, summary="Tag a contact")
async def tag(request: Request, contact_id: str, body: Tagging, who: Writer) -> Any:
    """Adds and takes away; repeating it changes nothing."""
    contacts = services_of(request).contacts
    contact = await contacts.get(who, contact_id)
    await contacts.tag(who, [contact["id"]], add=body.add, remove=body.remove)
    return _shown(await contacts.get(who, contact_id))


@writing.put("/{contact_id}/opt-out", response_model=Contact, summary="Opt a contact out, or back in")
async def opt_out(request: Request, contact_id: str, body: OptOut, who: Writer) -> Any:
    """Nothing proactive is sent to whoever opted out; what they ask themselves is answered."""
    return _shown(await services_of(request).contacts.set_opt_out(who, contact_id, is_out=body.opted_out))


def _shown(row: dict[str, Any]) -> Any:
    return jsonable_encoder(Contact.model_validate(row, extra="ignore"))
