"""Security headers and content policies, one per group of addresses."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOTHING: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
DOCS: Final = "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'"
STORED_FILE: Final = "default-src 'none'; sandbox; frame-ancestors 'self'"
_CHAT: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self' {sockets}; base-uri 'none'; "
    "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors {framed_by}"
)
_SCREENS: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-eval' {hashes}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' {sockets}; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-src 'self'; frame-ancestors 'none'"
)
# Reflex runs `call_script` and `call_function` of its own event handlers through eval(): hence 'unsafe-eval' there.
_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)


def inline_script_hashes(folder: Path) -> str:
    """CSP sources for the inline scripts of the prebuilt pages in a folder; empty when there is none."""
    found: set[str] = set()
    for page in sorted(folder.glob("**/*.html")) if folder.is_dir() else ():
        for script in _INLINE_SCRIPT.findall(page.read_bytes()):
            digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
            found.add(f"'sha256-{digest}'")
    return " ".join(sorted(found))


def chat_policy(*, is_https: bool, framed_by: str) -> str:
    """The policy of a chat page. `framed_by`: the sources of frame-ancestors."""
    return _CHAT.format(sockets="wss:" if is_https else "ws:", framed_by=framed_by)


class Policies:
    """What each answer has to say. `screens_pages`: the prebuilt pages of the screens."""

    def __init__(self, *, public_url: str, screens_pages: Path) -> None:
        self._is_https = public_url.startswith("https://")
        # Older Safari does not count wss: as 'self'; the host is known only to the browser, so the scheme must do.
        sockets = "wss:" if self._is_https else "ws:"
        self._screens = _SCREENS.format(hashes=inline_script_hashes(screens_pages), sockets=sockets)

    def missing(self, path: str, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Headers of the path's group that an answer has not set itself."""
        names = {name.lower() for name, _ in given}
        return [header for header in self._of(path) if header[0] not in names]

    def _of(self, path: str) -> tuple[tuple[bytes, bytes], ...]:
        # A policy governs documents; on the screens' thirty scripts and fonts it would be 40 kB of the first page, on the
        # chat's own ones 9 kB.
        is_part = path.startswith("/assets/") or (path.startswith("/static/chat/") and path.endswith((".js", ".css")))
        frame = "" if path.startswith("/widget") else "SAMEORIGIN" if "/files/" in path else "DENY"
        policy = "" if is_part else self._policy(path)
        return _headers(policy, frame, path.startswith(("/api/", "/health")), self._is_https)

    def _policy(self, path: str) -> str:
        if path.startswith("/api/docs"):
            return DOCS
        if path.startswith(("/api/", "/health", "/metrics", "/widget.js")):
            return NOTHING
        return self._screens


class SecurityHeaders:
    """Adds them to every answer."""

    def __init__(self, app: ASGIApp, policies: Policies) -> None:
        self.app = app
        self._policies = policies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message.get("headers", ())
                message["headers"] = [*given, *self._policies.missing(path, given)]
            await send(message)

        await self.app(scope, receive, send_with_headers)


@cache
def _headers(policy: str, frame: str, is_answer: bool, is_https: bool) -> tuple[tuple[bytes, bytes], ...]:
    """As they go out. `frame`: X-Frame-Options of pages that are nobody's widget. There are some dozens of combinations."""
    found = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
        "x-frame-options": frame,
        "cross-origin-opener-policy": frame and "same-origin",
        "cache-control": "no-store" if is_answer else "",
        "strict-transport-security": "max-age=31536000" if is_https else "",
    }
    return tuple((name.encode(), value.encode()) for name, value in found.items() if value)
