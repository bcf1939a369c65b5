"""What a telephone system's dialplan asks: one plain word each, because a dialplan cannot read more."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable
from typing import Final

from fastapi import Request
from starlette.responses import PlainTextResponse

from graph_runtime.api.access import guard, router, services_of
from graph_runtime.contract.errors import AccessDenied, BuilderError, NotFound, TooMany
from graph_runtime.telemetry.metrics import WEBHOOK_REJECTS

REQUESTS: Final = (3000, 10.0)
"""Of one telephone system, in seconds."""
WRONG_SECRETS: Final = (30, 60.0)
PROXIED: Final = ("x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "via")


@guard("line")
async def line(request: Request) -> None:
    """A telephone system in our own network, straight and not through a proxy; the service judges its secret.

    Raises: AccessDenied, TooMany.
    """
    address = request.client.host if request.client is not None else ""
    networks = services_of(request).settings.phone_networks
    if any(name in request.headers for name in PROXIED) or not is_inside(address, networks):
        raise AccessDenied(
            "Phone lines are asked from inside the own network only, without a proxy. Give Asterisk this process's own "
            "address, or add its network to PATCHCORD_PHONE_NETWORKS."
        )
    request.app.state.phone_requests.take(address)


routes = router(line, "/phone/{secret}")


def is_inside(address: str, networks: tuple[str, ...]) -> bool:
    """Whether an address is in one of the networks."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return any(ip in ipaddress.ip_network(network) for network in networks)


@routes.get("/announce")
async def announce(
    request: Request, secret: str, uuid: str = "", did: str = "", channel: str = ""
) -> PlainTextResponse:
    """A call is about to arrive: "ok", or why nobody answers. `from` is a parameter too."""
    from_number = request.query_params.get("from", "")
    return await _answer(
        request, _ok(services_of(request).phone_calls.announce(secret, uuid, from_number, did, channel))
    )


@routes.get("/answered")
async def answered(request: Request, secret: str, uuid: str = "", machine: str = "") -> PlainTextResponse:
    """Somebody answered a call that we placed: "ok", or why it ends. `machine` is AMDSTATUS when the dialplan asked."""
    calls = services_of(request).calls_out
    return await _answer(request, _ok(calls.answered(secret, uuid, is_machine=machine.upper() == "MACHINE")))


@routes.get("/failed")
async def failed(request: Request, secret: str, uuid: str = "", reason: str = "") -> PlainTextResponse:
    """Nobody answered a call that we placed; `reason` is Asterisk's REASON."""
    return await _answer(request, _ok(services_of(request).calls_out.failed(secret, uuid, reason[:5])))


@routes.get("/whisper")
async def whisper(request: Request, secret: str, uuid: str = "", leg: str = "") -> PlainTextResponse:
    """An operator answered a warm transfer; their audio comes under the UUID `leg`. "ok", or why it need not."""
    return await _answer(request, _ok(services_of(request).phone_calls.ask_operator(secret, uuid, leg)))


@routes.get("/whispered")
async def whispered(request: Request, secret: str, uuid: str = "") -> PlainTextResponse:
    """Whether the operator takes the call: "accept" or "decline"."""
    return await _answer(request, services_of(request).phone_calls.operator_says(secret, uuid))


@routes.get("/next")
async def next_(request: Request, secret: str, uuid: str = "", dialed: str = "") -> PlainTextResponse:
    """What the dialplan does now; `dialed` is DIALSTATUS of the transfer it has just tried."""
    return await _answer(request, services_of(request).phone_calls.next(secret, uuid, dialed[:20]))


@routes.get("/hangup")
async def hangup(request: Request, secret: str, uuid: str = "", cause: str = "", dialed: str = "") -> PlainTextResponse:
    """The channel is gone."""
    number = int(cause) if cause.isdecimal() and len(cause) <= 3 else 0
    return await _answer(request, _ok(services_of(request).phone_calls.hung_up(secret, uuid, number, dialed[:20])))


async def _ok(done: Awaitable[None]) -> str:
    await done
    return "ok"


async def _answer(request: Request, asked: Awaitable[str]) -> PlainTextResponse:
    try:
        return PlainTextResponse(await asked)
    except BuilderError as error:
        status = error.status
        if isinstance(error, NotFound):
            WEBHOOK_REJECTS.labels("no_line").inc()
            try:
                request.app.state.phone_misses.take(request.client.host if request.client is not None else "")
            except TooMany:
                status = TooMany.status
        return PlainTextResponse(str(error.params.get("reason") or error.code), status_code=status)
