"""Files of knowledge bases for members, and the pages of sources that clients open from an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from html import escape
from typing import Annotated, Any, Final
from urllib.parse import quote
from uuid import UUID

from fastapi import Path, Query, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from graph_runtime.api.access import Member, anyone, member, router, services_of
from graph_runtime.contract.errors import NotFound
from graph_runtime.services.principal import Principal

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
    article: Annotated[str, Query(max_length=60, description="The article that it belongs to.")] = "",
) -> dict[str, Any]:
    """The body is the file; what it is, its bytes say."""
    content = await request.body()
    row = await services_of(request).knowledge_documents.add_file(
        who, str(base_id), name, content, category_id=category, attached_to=article
    )
    return {"id": row.id, "title": row.title, "state": row.state}


@routes.post("/{base_id}/imports", status_code=202)
async def take_in(
    request: Request, base_id: Id, who: Member, name: Annotated[str, Query(max_length=400)] = "knowledge"
) -> dict[str, Any]:
    """The body is the file: CSV of pairs, JSON, or ZIP. A worker takes it in."""
    content = await request.body()
    kept = await services_of(request).knowledge_exchange.keep(who, str(base_id), name, content)
    return {"id": kept.id, "total": kept.total}


@routes.get("/{base_id}/pairs.csv")
async def save_pairs(request: Request, base_id: Id, who: Member) -> Response:
    """Questions and answers."""
    pieces = services_of(request).knowledge_exchange.export_pairs(who, str(base_id))
    first = await anext(pieces)  # a refusal comes before the first byte

    async def text() -> AsyncIterator[str]:
        yield first
        async for piece in pieces:
            yield piece

    return StreamingResponse(text(), 200, _saved("pairs.csv"), "text/csv; charset=utf-8")


@routes.get("/{base_id}/knowledge.zip")
async def save_everything(request: Request, base_id: Id, who: Member) -> Response:
    """The whole base with its files."""
    return await _whole(request, base_id, who, "zip")


@routes.get("/{base_id}/knowledge.json")
async def save_texts(request: Request, base_id: Id, who: Member) -> Response:
    """The whole base without its files."""
    return await _whole(request, base_id, who, "json")


async def _whole(request: Request, base_id: UUID, who: Principal, kind: str) -> Response:
    file = await services_of(request).knowledge_exchange.export(who, str(base_id), with_files=kind == "zip")

    async def pieces() -> AsyncIterator[bytes]:
        with file:
            while piece := await asyncio.to_thread(file.read, 1 << 18):
                yield piece

    return StreamingResponse(pieces(), 200, _saved(f"knowledge.{kind}"), f"application/{kind}")


@routes.get("/documents/{document_id}/file")
async def take(request: Request, document_id: Id, who: Member) -> Response:
    """The file as it was brought, always to be saved."""
    row, content = await services_of(request).knowledge_documents.source(who, str(document_id))
    return Response(content, media_type="application/octet-stream", headers=_saved(row.file_name))


@pages.get("/sources/{public_id}")
async def source(request: Request, public_id: str) -> Response:
    """A document of a base whose sources clients may open, as plain text."""
    headers = {"Content-Security-Policy": _PAGE_POLICY, "X-Robots-Tag": "noindex", "Referrer-Policy": "no-referrer"}
    try:
        shown = await services_of(request).knowledge_documents.public(public_id)
    except NotFound as error:
        return HTMLResponse(_page("404", f"<p>{escape(error.message)}</p>"), 404, headers)
    parts, heading = [f"<h1>{escape(shown.title)}</h1>"], shown.title
    for passage in shown.passages:
        if passage.heading and passage.heading != heading:
            heading = passage.heading
            parts.append(f"<h2>{escape(heading)}</h2>")
        parts.append(f"<p>{escape(passage.text)}</p>")
    links = [(f"/sources/{quote(at, safe='')}", title) for at, title in shown.beside]
    if shown.file_name:
        links.insert(0, (f"/sources/{quote(public_id, safe='')}/file", shown.file_name))
    if links:
        parts.append(
            "<hr><ul>" + "".join(f'<li><a href="{at}">{escape(title)}</a></li>' for at, title in links) + "</ul>"
        )
    return HTMLResponse(_page(shown.title, "".join(parts)), headers=headers)


@pages.get("/sources/{public_id}/file")
async def source_file(request: Request, public_id: str) -> Response:
    """The file of a document whose source clients may open, always to be saved."""
    name, content = await services_of(request).knowledge_documents.public_file(public_id)
    headers = _saved(name) | {"X-Robots-Tag": "noindex", "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type="application/octet-stream", headers=headers)


def _saved(name: str) -> dict[str, str]:
    return {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
        "Cache-Control": "private, no-store",
    }


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><main>{body}</main>"
    )
