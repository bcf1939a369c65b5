"""The chat page as it leaves the server: the agent's name and looks are in it, so that it needs no further question."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Final

from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from graph_runtime.api.headers import chat_policy
from graph_runtime.services.channels import WebChat

STATIC: Final = Path(__file__).resolve().parent.parent / "static"
_ORIGIN: Final = re.compile(r"https?://(\*\.)?[a-z0-9_.-]+(:\d{1,5})?", re.IGNORECASE)
_IMPORT: Final = re.compile(r"""from "\./([a-z]+\.js)";""")


def origins(listed: tuple[str, ...]) -> tuple[str, ...]:
    """The entries of an allow-list that are origins; a bare host name stands for itself under https."""
    cleaned = (entry.strip().rstrip("/") for entry in listed)
    full = (entry if "://" in entry else f"https://{entry}" for entry in cleaned if entry)
    return tuple(entry.lower() for entry in full if _ORIGIN.fullmatch(entry))


@cache
def edition() -> str:
    """Changes with every change of the page's files: part of their address, so that browsers may keep them for ever."""
    digest = hashlib.sha256()
    for file in sorted(STATIC.iterdir()):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:12]


@cache
def _template() -> Template:
    return Template((STATIC / "chat.html").read_text(encoding="utf-8"))


@cache
def _preload() -> str:
    """All modules at once, instead of each after the one that names it."""
    wanted, found = ["chat.js"], []
    while wanted:
        name = wanted.pop(0)
        found.append(name)
        text = (STATIC / name).read_text(encoding="utf-8")
        wanted += [other for other in _IMPORT.findall(text) if other not in found + wanted]
    links = (f'<link rel="modulepreload" href="/static/chat/{edition()}/{name}">' for name in found[1:])
    return "\n".join(links)


def about(public_id: str, chat: WebChat | None) -> dict[str, Any]:
    """What a page needs before it connects."""
    if chat is None:
        return {"public_id": public_id, "found": False}
    return {
        "public_id": public_id,
        "found": True,
        "name": chat.name,
        "language": chat.language,
        "languages": list(chat.languages),
        "is_open": chat.is_open,
        "look": dict(chat.look),
    }


def page(public_id: str, chat: WebChat | None, *, in_frame: bool, public_url: str) -> Response:
    """The page for an agent, or for an address where there is none (status 404). `in_frame`: inside another site."""
    look: Mapping[str, Any] = chat.look if chat else {}
    words = {
        "language": chat.language if chat else "en",
        "place": "widget" if in_frame else "page",
        "title": str(look.get("title") or (chat.name if chat else "Chat")),
        "name": str(look.get("title") or (chat.name if chat else "")),
        "subtitle": str(look.get("subtitle") or ""),
        "assets": f"/static/chat/{edition()}",
        "about": json.dumps(about(public_id, chat), ensure_ascii=False),
    }
    body = _template().substitute({key: escape(word) for key, word in words.items()}, preload=_preload())
    allowed = origins(chat.allowed_origins) if chat else ()
    framed_by = " ".join(("'self'", *allowed)) if allowed else "*"
    policy = chat_policy(is_https=public_url.startswith("https://"), framed_by=framed_by if in_frame else "'none'")
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": policy, "Vary": "Accept-Encoding"}
    return HTMLResponse(body, 200 if chat else 404, headers=headers)


class ChatFiles(StaticFiles):
    """The page's files, under the address of this edition (kept for ever) or without one (asked for again)."""

    def get_path(self, scope: Scope) -> str:
        path = super().get_path(scope)
        first, _, rest = path.partition("/")
        return rest if first == edition() and rest else path

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        is_named = f"/{edition()}/" in scope["path"]
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if is_named else "no-cache"
        return response
