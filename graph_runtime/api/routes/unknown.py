"""Addresses under /api and /ws that do not exist: answered here, so that they never fall through to the screens."""

from __future__ import annotations

from fastapi import Request, WebSocket
from starlette.exceptions import HTTPException
from starlette.routing import Match

from graph_runtime.api.access import anyone, router, visitor

routes = router(anyone)
socket_routes = router(visitor)

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


@routes.api_route("/api/{rest:path}", methods=_METHODS, include_in_schema=False)
async def nothing_here(request: Request) -> None:
    """404, or 405 when the address exists for another method."""
    allowed: set[str] = set()
    for route in request.app.router.routes:
        match, _ = route.matches(request.scope)
        if match is Match.PARTIAL:
            allowed |= set(getattr(route, "methods", None) or ())
    if allowed:
        raise HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))})
    raise HTTPException(404)


@socket_routes.websocket("/ws/{rest:path}")
async def no_socket_here(socket: WebSocket) -> None:
    """Closed before it opens."""
    await socket.close(4404, "There is no such address.")
