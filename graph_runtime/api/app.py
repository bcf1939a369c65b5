"""The root application: our routes first, the screens mounted last, every route behind a named guard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from graph_runtime.api import errors
from graph_runtime.api.access import refuse_unguarded
from graph_runtime.api.chat.page import STATIC, ChatFiles
from graph_runtime.api.editor.rooms import Rooms
from graph_runtime.api.headers import Policies, SecurityHeaders
from graph_runtime.api.lean import COMPRESSED_FROM, COMPRESSION, ShortWay
from graph_runtime.api.limits import Admission, BodyLimit, Places, Windows
from graph_runtime.api.metrics import Measured
from graph_runtime.api.routes import (
    builder,
    channels,
    chat,
    contact_files,
    documentation,
    editor,
    health,
    hooks,
    inbox,
    knowledge,
    oauth,
    phone,
    recordings,
    session,
    talk,
    unknown,
)
from graph_runtime.api.routes.v1 import (
    calls,
    chains,
    contacts,
    conversations,
    events,
    flows,
    hand_offs,
    triggers,
    update_rules,
)
from graph_runtime.api.routes.v1 import (
    knowledge as public_knowledge,
)
from graph_runtime.api.screens import lifespan_of, not_built
from graph_runtime.api.visitors import VisitorTokens

if TYPE_CHECKING:
    from graph_runtime.bootstrap import Services

ROUTERS: Final = (
    # Looked through in this order: first what is asked most.
    hooks.trigger_routes,
    hooks.crm_routes,
    hooks.routes,
    conversations.writing,
    conversations.reading,
    health.routes,
    session.open_routes,
    session.routes,
    builder.routes,
    channels.routes,
    editor.routes,
    talk.routes,
    inbox.routes,
    hand_offs.routes,
    calls.writing,
    calls.reading,
    chains.reading,
    chains.writing,
    chains.editing,
    chains.publishing,
    contacts.writing,
    contacts.reading,
    flows.reading,
    flows.writing,
    flows.publishing,
    flows.open_routes,
    public_knowledge.reading,
    public_knowledge.writing,
    events.reading,
    events.writing,
    triggers.reading,
    triggers.looking,
    triggers.firing,
    update_rules.reading,
    update_rules.looking,
    update_rules.deciding,
    documentation.routes,
    chat.pages,
    chat.routes,
    chat.member_routes,
    phone.routes,
    recordings.routes,
    contact_files.routes,
    knowledge.routes,
    knowledge.pages,
    oauth.routes,
    unknown.routes,
    unknown.socket_routes,
)
MOUNTS: Final = frozenset({"/static/chat", ""})
CHATS_PER_ADDRESS: Final = 30
UPLOADS: Final = (20, 60.0)
REQUESTS_PER_KEY: Final = (1200, 60.0)


class Application(FastAPI):
    """Lean routes are asked first."""

    short_way: ShortWay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, one socket, or the process's own beginning and end."""
        received = await self.short_way.take(scope, receive, send)
        if received is not None:
            await super().__call__(scope, received, send)


def create_app(services: Services, screens: ASGIApp | None = None) -> FastAPI:
    """The whole web process as one ASGI application.

    Raises: RuntimeError when a route has no guard.
    """
    shown = screens or not_built

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if screens is None:
            yield
            return
        async with lifespan_of(screens):
            yield

    settings = services.settings
    app = Application(title="Patchcord", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.services = services
    app.state.rooms = Rooms(services)
    app.state.catalogs = {}
    app.state.visitor_tokens = VisitorTokens(settings.secret_key.get_secret_value())
    app.state.chat_places = Places(CHATS_PER_ADDRESS)
    app.state.uploads = Windows(*UPLOADS)
    app.state.key_requests = Windows(*REQUESTS_PER_KEY)
    app.state.phone_requests = Windows(*phone.REQUESTS)
    app.state.phone_misses = Windows(*phone.WRONG_SECRETS)
    errors.install(app)
    for routes in ROUTERS:
        # Taken over one by one: an included router would hide its routes from the inventory.
        app.router.routes.extend(routes.routes)
    app.router.routes.append(Mount("/static/chat", app=ChatFiles(directory=STATIC), name="static"))
    app.router.routes.append(Mount("", app=shown, name="screens"))
    refuse_unguarded(app, mounts=MOUNTS)
    policies = Policies(public_url=settings.public_url, screens_pages=settings.screens_dir / "build" / "client")
    app.add_middleware(BodyLimit)
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESSED_FROM, compresslevel=COMPRESSION)
    app.add_middleware(SecurityHeaders, policies=policies)
    app.add_middleware(Measured)
    app.add_middleware(Admission, waiting=services.waiting)  # outermost: a refusal has to be cheap
    app.short_way = ShortWay(app, services.waiting, policies)
    return app
