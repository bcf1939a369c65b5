"""Whether the process lives, whether it can work, and its figures."""

from __future__ import annotations

import asyncio
import logging

from fastapi import Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response

from graph_runtime.api.access import anyone, router, services_of

log = logging.getLogger(__name__)
routes = router(anyone)


@routes.get("/health/live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@routes.get("/health/ready")
async def ready(request: Request) -> Response:
    """The database answers, so requests can be served."""
    try:
        async with asyncio.timeout(3):
            await services_of(request).accounts.needs_owner()
    except Exception as error:  # noqa: BLE001 (whatever it is, the answer is "not ready")
        log.warning("not ready", extra={"reason": type(error).__name__})
        return JSONResponse({"status": "waiting for the database"}, 503, headers={"Retry-After": "2"})
    return JSONResponse({"status": "ready"})


@routes.get("/metrics")
async def metrics() -> Response:
    """Figures in the Prometheus text format."""
    return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
