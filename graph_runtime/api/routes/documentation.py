"""Where the public API is described; works without a network and without scripts."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from graph_runtime.api.access import anyone, router, services_of
from graph_runtime.api.docs_page import STYLE, docs_html, openapi_document

routes = router(anyone, "/api", include_in_schema=False)


@routes.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """The OpenAPI document of /api/v1."""
    return JSONResponse(_document(request), headers={"Cache-Control": "no-cache"})


@routes.get("/docs")
async def docs(request: Request) -> Response:
    """The same as a page."""
    return HTMLResponse(docs_html(_document(request)), headers={"Cache-Control": "no-cache"})


@routes.get("/docs.css")
async def style() -> Response:
    """How the page looks."""
    return Response(STYLE, media_type="text/css", headers={"Cache-Control": "public, max-age=3600"})


def _document(request: Request) -> dict[str, Any]:
    state = request.app.state
    if not hasattr(state, "openapi"):
        state.openapi = openapi_document(request.app, services_of(request).settings.public_url)
    document: dict[str, Any] = state.openapi
    return document
