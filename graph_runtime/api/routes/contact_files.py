"""Files about contacts, for members: lists as CSV, one person's data as ZIP, and files to take in."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import File, Path, Query, Request, UploadFile
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from graph_runtime.api.access import Member, member, router, services_of
from graph_runtime.services.contact_tables import MOST_BYTES
from graph_runtime.services.contacts import Wanted

routes = router(member, "/api/builder/contacts")
ContactId = Annotated[UUID, Path()]
_PRIVATE = {"Cache-Control": "private, no-store", "Cross-Origin-Resource-Policy": "same-origin"}


class Filters(BaseModel):
    """As those of the list on the page."""

    search: str = Field(default="", max_length=200)
    tag: str = Field(default="", max_length=40)
    segment_id: str = Field(default="", max_length=40)
    channel: str = Field(default="", max_length=40)
    opted_out: bool | None = None


@routes.get("/contacts.csv")
async def save_list(request: Request, who: Member, filters: Annotated[Filters, Query()]) -> Response:
    """What the filters of the list leave."""
    wanted = Wanted(**filters.model_dump())
    pieces = services_of(request).contact_imports.export(who, wanted)
    first = await anext(pieces)  # a refusal comes before the first byte

    async def text() -> Any:
        yield first
        async for piece in pieces:
            yield piece

    headers = _PRIVATE | {"Content-Disposition": 'attachment; filename="contacts.csv"'}
    return StreamingResponse(text(), 200, headers, "text/csv; charset=utf-8")


@routes.get("/{contact_id}/data.zip")
async def save_one(request: Request, contact_id: ContactId, who: Member) -> Response:
    """All that is stored about one person."""
    packed = await services_of(request).contact_privacy.export(who, str(contact_id))
    headers = _PRIVATE | {"Content-Disposition": f'attachment; filename="contact-{contact_id}.zip"'}
    return Response(packed, 200, headers, "application/zip")


@routes.post("/files", status_code=201)
async def keep(request: Request, who: Member, file: Annotated[UploadFile, File()]) -> dict[str, str]:
    """Keep a file until somebody has said what its columns are."""
    content = await file.read(MOST_BYTES + 1)
    return {"id": await services_of(request).contact_imports.keep(who, file.filename or "", content)}
