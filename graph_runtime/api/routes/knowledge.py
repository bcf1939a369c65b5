"""Files of knowledge bases for members, and the pages of sources that clients open from an answer."""

from __future__ import annotations

from html import escape
from typing import Annotated, Any, Final
from urllib.parse import quote
from uuid import UUID

from fastapi import Path, Query, Request
from starlette.responses import HTMLResponse, Response

from graph_runtime.api.access import Member, anyone, member, router, services_of
from graph_runtime.contract.errors import NotFound

routes = router(member, "/api/builder/knowledge")
pages = router(anyone)
Id = Annotated[UUID, Path()]
_PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_STYLE: Final = (
    "body{font:16px/1.6 system-ui,sans-serif;max-width:70ch;margin:48px auto;padding:0 20px;color-scheme:light dark}"
    "h1{font-size:24px;line-height:1.25}h2{font-size:16px;margin:28px 0 4px}p{white-space:pre-wrap;margin:0 0 12px;overflow-wrap:anywhere}"
)


@routes.post("/{base_id}/documents", status_code=201)
async def bring(
    request: Request,
    base_id: Id,
    who: Member,
    name: Annotated[str, Query(max_length=400)] = "file.txt",
    category: Annotated[str, Query(max_length=60)] = "",
) -> dict[str, Any]:
    """The body is the file; what it is, its bytes say."""
    content = await request.body()
    row = await services_of(request).knowledge_documents.add_file(
        who, str(base_id), name, content, category_id=category
    )
    return {"id": row.id, "title": row.title, "state": row.state}


@routes.get("/documents/{document_id}/file")
async def take(request: Request, document_id: Id, who: Member) -> Response:
    """The file as it was brought, always to be saved."""
    row, content = await services_of(request).knowledge_documents.source(who, str(document_id))
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(row.file_name)}",
        "Cache-Control": "private, no-store",
    }
    return Response(content, media_type="application/octet-stream", headers=headers)


@pages.get("/sources/{public_id}")
async def source(request: Request, public_id: str) -> Response:
    """A document of a base whose sources clients may open, as plain text."""
    headers = {"Content-Security-Policy": _PAGE_POLICY, "X-Robots-Tag": "noindex", "Referrer-Policy": "no-referrer"}
    try:
        title, passages = await services_of(request).knowledge_documents.public(public_id)
    except NotFound as error:
        return HTMLResponse(_page("404", f"<p>{escape(error.message)}</p>"), 404, headers)
    parts, heading = [], title
    for passage in passages:
        if passage.heading and passage.heading != heading:
            heading = passage.heading
            parts.append(f"<h2>{escape(heading)}</h2>")
        parts.append(f"<p>{escape(passage.text)}</p>")
    return HTMLResponse(_page(title, f"<h1>{escape(title)}</h1>" + "".join(parts)), headers=headers)


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><main>{body}</main>"
    )
