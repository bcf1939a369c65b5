"""Where vendors and other programs post what happened: the raw bytes, verified before anything is believed."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse

from graph_runtime.api.access import guard, router, services_of
from graph_runtime.api.lean import lean_raw


@guard("hook")
async def hook(request: Request, connector: str) -> None:
    """A sender who signs: what the headers lack is refused here, the signature is judged with the body by the service.

    Raises: NotFound, SignatureRefused.
    """
    services_of(request).hooks.check_headers(connector, request.headers)


@guard("trigger_hook")
async def trigger_hook() -> None:
    """A program that holds the trigger's secret; the service judges it with the body."""


@guard("crm_hook")
async def crm_hook() -> None:
    """A customer system that knows its address; what it says is only a hint, and signed where it can sign."""


routes = router(hook)
crm_routes = router(crm_hook)
trigger_routes = router(trigger_hook)


@trigger_routes.post("/hooks/trigger/{trigger_public_id}", status_code=202)
async def receive_for_trigger(request: Request, trigger_public_id: str) -> dict[str, Any]:
    """Take in one request for a trigger; 202 once it is committed, whatever the trigger then decides."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    posted = await services_of(request).trigger_hooks.receive(trigger_public_id, await request.body(), headers)
    return {"occasion_id": posted.run_id, "is_new": posted.is_new, "is_sample": posted.is_sample}


@crm_routes.post("/hooks/crm/{crm_public_id}", status_code=200)
async def receive_from_crm(request: Request, crm_public_id: str) -> dict[str, Any]:
    """Take in what a customer system says has changed; 200 once it is committed. It is read and judged later."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    records = await services_of(request).crm_hooks.receive(crm_public_id, await request.body(), headers)
    return {"records": records}


async def receive(request: Request, connector: str, channel_public_id: str) -> dict[str, Any]:
    """Take in one signed request; 202 once everything in it is committed."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    events = await services_of(request).hooks.receive(connector, channel_public_id, await request.body(), headers)
    return {"events": [{"conversation_id": e.conversation_id, "is_new": e.is_new} for e in events]}


async def _receive_plainly(request: Request) -> JSONResponse:
    return JSONResponse(await receive(request, **request.path_params), 202)


routes.add_api_route(
    "/hooks/{connector}/{channel_public_id}",
    receive,
    methods=["POST"],
    status_code=202,
    route_class_override=lean_raw(_receive_plainly),
)
