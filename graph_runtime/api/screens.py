"""The screens behind the API: loaded by name, mounted last, their lifespan entered by ours."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph_runtime.settings import Settings

log = structlog.get_logger(__name__)

_NOT_BUILT: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Patchcord</title>
<h1>The screens are not built yet</h1>
<p>The API works; it is described at <a href="/api/docs">/api/docs</a>. To build the screens run
<code>./patchcord up</code> once, then start this process again.</p></html>"""


def load_screens(settings: Settings) -> ASGIApp | None:
    """The screens' application, or None when it is switched off, not installed or not built."""
    if settings.screens in ("", "none"):
        return None
    module, _, name = settings.screens.partition(":")
    os.environ.setdefault("PATCHCORD_PUBLIC_URL", settings.public_url)
    try:
        make: Any = getattr(importlib.import_module(module), name)
        app: ASGIApp = make(settings.screens_dir)
    except ModuleNotFoundError as error:
        if error.name is not None and not module.startswith(error.name):
            raise
        log.warning("the screens are not installed", screens=settings.screens)
        return None
    except FileNotFoundError as error:
        log.warning("the screens are not built", error=str(error))
        return None
    return app


async def not_built(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands where the screens would be."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4404})
        return
    await HTMLResponse(_NOT_BUILT, 200 if scope["path"] == "/" else 404)(scope, receive, send)


@asynccontextmanager
async def lifespan_of(app: ASGIApp) -> AsyncIterator[None]:
    """Start another ASGI application and stop it afterwards, by the ASGI lifespan protocol.

    A mounted application gets no lifespan from the server, so the root enters it here.

    Raises: RuntimeError when the application says that it could not start.
    """
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()

    async def live() -> None:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}}, to_app.get, from_app.put)

    running = asyncio.create_task(live(), name="screens")
    try:
        if await _said(to_app, from_app, running, "startup"):
            yield
            await _said(to_app, from_app, running, "shutdown")
        else:
            yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _said(
    to_app: asyncio.Queue[Message], from_app: asyncio.Queue[Message], running: asyncio.Task[None], what: str
) -> bool:
    """Whether the application took part; one without a lifespan ends or raises at once, which is allowed."""
    await to_app.put({"type": f"lifespan.{what}"})
    answer = asyncio.create_task(from_app.get())
    await asyncio.wait({answer, running}, return_when=asyncio.FIRST_COMPLETED)
    if not answer.done():
        answer.cancel()
        return False
    message = answer.result()
    if message["type"] == f"lifespan.{what}.failed":
        raise RuntimeError(f"the screens failed at {what}: {message.get('message', '')}")
    return True
