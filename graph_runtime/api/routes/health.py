"""Whether the process lives, whether it can work, and its figures."""

from __future__ import annotations

import asyncio
import hmac
from typing import Final

import structlog
from fastapi import Request
from starlette.responses import JSONResponse, Response

from graph_runtime.api.access import anyone, router, services_of
from graph_runtime.contract.errors import AccessDenied
from graph_runtime.services.figures import CONTENT_TYPE

log = structlog.get_logger(__name__)
routes = router(anyone)
_LOCAL: Final = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})
_PROXIED: Final = ("x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "via")


@routes.get("/health/live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@routes.get("/health/ready")
async def ready(request: Request) -> Response:
    """The database answers and nobody has told the process to end, so requests can be served."""
    services = services_of(request)
    if services.stopping.is_set():
        return JSONResponse({"status": "stopping"}, 503, headers={"Retry-After": "2", "Connection": "close"})
    try:
        async with asyncio.timeout(3):
            await services.accounts.needs_owner()
    except Exception as error:  # noqa: BLE001 (whatever it is, the answer is "not ready")
        log.warning("not_ready", reason=type(error).__name__)
        return JSONResponse({"status": "waiting for the database"}, 503, headers={"Retry-After": "2"})
    return JSONResponse({"status": "ready"})


@routes.get("/metrics")
async def metrics(request: Request) -> Response:
    """Figures in the Prometheus text format. Raises: AccessDenied."""
    services = services_of(request)
    _require_may_measure(request, services.settings.metrics_token.get_secret_value(), services.settings.environment)
    return Response(await services.figures.text(), headers={"Content-Type": CONTENT_TYPE})


def _require_may_measure(request: Request, token: str, environment: str) -> None:
    """A proxy on this machine is not this machine: what it passes on needs the token. Raises: AccessDenied."""
    if token:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
            return
    elif environment != "production":
        return
    else:
        is_local = request.client is not None and request.client.host in _LOCAL
        if is_local and not any(name in request.headers for name in _PROXIED):
            return
    raise AccessDenied(
        "The figures are told to this machine only. Set PATCHCORD_METRICS_TOKEN and send it as “Authorization: Bearer …”."
    )
