"""Signing in and out, and the first start: the owner's account."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from graph_runtime.api.access import Member, anyone, member, router, services_of
from graph_runtime.api.origins import client_address
from graph_runtime.services.accounts import SessionToken

open_routes = router(anyone)
routes = router(member)

Text = Annotated[str, Field(min_length=1, max_length=200)]
Email = Annotated[str, Field(min_length=3, max_length=320)]


class SignIn(BaseModel):
    """What a member signs in with."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    email: Email
    password: SecretStr = Field(max_length=1000)


class FirstOwner(SignIn):
    """The first account of an installation."""

    workspace: Text
    name: Text
    language: Literal["en", "ru", "uk"] = "en"


@open_routes.post("/api/session", status_code=204)
async def sign_in(request: Request, response: Response, body: SignIn) -> None:
    """Begin a session; its token is only in the cookie."""
    token = await services_of(request).accounts.sign_in(
        body.email, body.password.get_secret_value(), address=client_address(request)
    )
    set_session_cookie(request, response, token)


@open_routes.post("/api/owner", status_code=204)
async def create_owner(request: Request, response: Response, body: FirstOwner) -> None:
    """Create the workspace and its owner while there is no member, and sign the owner in."""
    token = await services_of(request).accounts.create_owner(
        workspace=body.workspace,
        name=body.name,
        email=body.email,
        password=body.password.get_secret_value(),
        language=body.language,
    )
    set_session_cookie(request, response, token)


@open_routes.get("/api/owner")
async def needs_owner(request: Request) -> dict[str, bool]:
    """Whether this installation waits for its first account."""
    return {"needed": await services_of(request).accounts.needs_owner()}


@routes.delete("/api/session", status_code=204)
async def sign_out(request: Request, response: Response, who: Member) -> None:
    """End this session."""
    await services_of(request).accounts.sign_out(who)
    for name in ("patchcord_session", "__Host-patchcord_session"):
        response.delete_cookie(name, path="/", secure=name.startswith("__Host-"), httponly=True, samesite="lax")


def set_session_cookie(request: Request, response: Response, token: SessionToken) -> None:
    """Put the session's token where scripts cannot read it."""
    is_https = request.url.scheme == "https" or services_of(request).settings.public_url.startswith("https://")
    response.set_cookie(
        "__Host-patchcord_session" if is_https else "patchcord_session",
        token.token,
        max_age=max(0, int((token.expires_at - datetime.now(UTC)).total_seconds())),
        path="/",
        secure=is_https,
        httponly=True,
        samesite="lax",
    )
    response.headers["Cache-Control"] = "no-store"
