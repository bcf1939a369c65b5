"""The screens as one ASGI application: the pages built before, and the socket that their events travel on."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

REPOSITORY: Final = Path(__file__).resolve().parent.parent
SCREENS_DIR_VARIABLE: Final = "PATCHCORD_SCREENS_DIR"
PUBLIC_URL_VARIABLE: Final = "PATCHCORD_PUBLIC_URL"
NO_ORIGIN: Final = "https://no-origin.invalid"  # an empty value would mean the development default
LONG_LIVED: Final = b"public, max-age=31536000, immutable"
SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"permissions-policy", b"camera=(), microphone=(self), geolocation=()"),
)


def screens_app(folder: str | Path | None = None) -> ASGIApp:
    """The screens from a folder that holds `build/client` and `backend`; no Node, nothing is compiled.

    The names with two underscores are internal to the pinned Reflex; tests/builder_ui/test_serve.py watches them.

    Raises: FileNotFoundError when the screens were not built.
    """
    webroot = Path(folder or os.environ.get(SCREENS_DIR_VARIABLE) or REPOSITORY / "webroot").absolute()
    if not (webroot / "build" / "client" / "index.html").is_file():
        raise FileNotFoundError(f"The screens are not built in {webroot}. Run: ./patchcord up")
    os.environ.update(
        {
            "__REFLEX_SKIP_COMPILE": "true",
            "__REFLEX_MOUNT_FRONTEND_COMPILED_APP": "true",
            "REFLEX_ENV_MODE": "prod",
            "REFLEX_BACKEND_ONLY": "true",
            "REFLEX_WEB_WORKDIR": str(webroot),
            "REFLEX_CORS_ALLOWED_ORIGINS": NO_ORIGIN,
        }
    )
    from builder_ui.app import app

    assert app.sio is not None
    app.sio.eio.cors_allowed_origins = []  # SameOrigin below answers before the socket does
    return SameOrigin(app())


class SameOrigin:
    """Refuses WebSockets opened by other sites and marks the pages as not to be framed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and not is_same_origin(scope["headers"]):
            await receive()
            await send({"type": "websocket.close", "code": 4403})
            return
        if scope["type"] == "http":
            await self.app(scope, receive, _with_headers(scope["path"], send))
            return
        await self.app(scope, receive, send)


def is_same_origin(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the Origin header names the host that was asked. A missing Origin is no browser, so no cookie rides along."""
    found = {name.lower(): value.decode("latin-1") for name, value in headers}
    origin = found.get(b"origin")
    if origin is None:
        return b"cookie" not in found
    ours = {found.get(b"host", "").lower(), urlsplit(os.environ.get(PUBLIC_URL_VARIABLE, "")).netloc.lower()}
    return urlsplit(origin).netloc.lower() in ours - {""}


def _with_headers(path: str, send: Send) -> Send:
    async def send_more(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", []), *SECURITY_HEADERS]
            if path.startswith("/assets/") and message["status"] == 200:
                headers = [h for h in headers if h[0].lower() != b"cache-control"] + [(b"cache-control", LONG_LIVED)]
            message = {**message, "headers": headers}
        await send(message)

    return send_more
