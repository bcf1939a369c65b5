"""Who may call what: every router is made with one of these guards, and the app refuses a route without one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute

from graph_runtime.api.origins import SAFE_METHODS, from_our_pages
from graph_runtime.contract.errors import AccessDenied, NotSignedIn
from graph_runtime.services.principal import Principal

if TYPE_CHECKING:
    from graph_runtime.bootstrap import Services

Guard = Callable[..., Awaitable[Any]]
GUARD_MARK: Final = "_patchcord_guard"

PUBLIC: Final = frozenset(
    {
        "/health/live",
        "/health/ready",
        "/metrics",
        "/api/session",
        "/api/owner",
        "/api/docs",
        "/api/docs.css",
        "/api/openapi.json",
        "/api/v1/schema/flow-1.json",
        "/api/{rest:path}",
        "/ws/{rest:path}",
        "/chat/{public_id}",
        "/sources/{public_id}",
        "/sources/{public_id}/file",
        "/widget/{public_id}",
        "/widget.js",
    }
)
"""Everything that answers without knowing who asks. A route guarded by `anyone` must stand here."""


def services_of(connection: HTTPConnection) -> Services:
    """The services of this process."""
    services: Services = connection.app.state.services
    return services


def guard(name: str) -> Callable[[Guard], Guard]:
    """Mark a dependency as one that decides who may call."""

    def mark(function: Guard) -> Guard:
        setattr(function, GUARD_MARK, name)
        return function

    return mark


def session_cookie(connection: HTTPConnection) -> str:
    """The session's token, or an empty text."""
    cookies = connection.cookies
    return cookies.get("__Host-patchcord_session") or cookies.get("patchcord_session") or ""


def require_our_pages(request: Request) -> None:
    """Refuse unsafe requests that other sites' pages send with the member's cookie.

    Raises: AccessDenied.
    """
    if request.method not in SAFE_METHODS and not from_our_pages(request, services_of(request).settings.public_url):
        raise AccessDenied(
            "This request came from another site's page and was refused. Open Patchcord at its own address "
            "and repeat there; if that is what you did, PATCHCORD_PUBLIC_URL does not match the address."
        )


@guard("member")
async def member(request: Request) -> Principal:
    """The member behind the session cookie.

    Raises: NotSignedIn, AccessDenied.
    """
    require_our_pages(request)
    token = session_cookie(request)
    if not token:
        raise NotSignedIn("Sign in to go on.")
    return await services_of(request).accounts.principal(token)


@guard("anyone")
async def anyone(request: Request) -> None:
    """Anybody, from our own pages or no page at all. Raises: AccessDenied."""
    require_our_pages(request)


@guard("member_socket")
async def member_socket() -> None:
    """A WebSocket whose handler checks the cookie itself, because the reason of a refusal travels in a close frame."""


@guard("visitor")
async def visitor() -> None:
    """A route of the web chat: its handler verifies the visitor's signed token against the channel."""


def key_with(*scopes: str) -> Guard:
    """The principal of an API key that has all of the scopes (Authorization: Bearer pck_…)."""

    @guard(f"key:{' '.join(scopes)}")
    async def api_key(request: Request) -> Principal:
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise NotSignedIn(
                "Send your API key in the header “Authorization: Bearer pck_…”. Keys are made on the page “API keys”."
            )
        principal = await services_of(request).api_keys.principal(secret.strip())
        missing = [scope for scope in scopes if scope not in principal.scopes]
        if missing:
            raise AccessDenied(
                f"This API key may not do this: it lacks the scope {missing[0]}. Make a key that has it.",
                scope=missing[0],
            )
        request.app.state.key_requests.take(principal.session_id or "")
        return principal

    return api_key


Member = Annotated[Principal, Depends(member)]


def router(access: Guard, prefix: str = "", **options: Any) -> APIRouter:
    """A router whose every route is behind this guard."""
    return APIRouter(prefix=prefix, dependencies=[Depends(access)], **options)


def guards_of(route: BaseRoute) -> frozenset[str]:
    """The names of the guards a route passes."""
    if not isinstance(route, APIRoute | APIWebSocketRoute):
        return frozenset()
    return frozenset(name for call in _calls(route.dependant) if (name := getattr(call, GUARD_MARK, None)))


def refuse_unguarded(app: FastAPI, *, mounts: frozenset[str]) -> None:
    """Fail the start when a route has no guard, or `anyone` guards one that is not on the public list.

    Raises: RuntimeError.
    """
    for route in app.router.routes:
        path = getattr(route, "path", "")
        if not isinstance(route, APIRoute | APIWebSocketRoute):
            if path not in mounts:
                raise RuntimeError(f"{path or route} is neither a guarded route nor a known mount")
            continue
        names = guards_of(route)
        if not names:
            raise RuntimeError(f"{path} has no guard; make its router with graph_runtime.api.access.router")
        if names == {"anyone"} and path not in PUBLIC:
            raise RuntimeError(f"{path} is open to anyone but is not on the public list")


def _calls(dependant: Dependant) -> Iterator[Any]:
    if dependant.call is not None:
        yield dependant.call
    for inner in dependant.dependencies:
        yield from _calls(inner)
