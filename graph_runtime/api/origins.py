"""Whether a request comes from our own pages: the Origin check on unsafe methods and on every WebSocket handshake."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def from_our_pages(connection: HTTPConnection, public_url: str, *, also: Iterable[str] = ()) -> bool:
    """Whether Origin names the host that was asked, the public address, or one of `also` (origins).

    Without an Origin there is no browser page behind the request; then it passes only if no cookie rides along.
    """
    origin = connection.headers.get("origin")
    if origin is None:
        return "cookie" not in connection.headers
    if origin in {o.rstrip("/") for o in also}:
        return True
    asked = urlsplit(origin)
    if asked.scheme not in ("http", "https") or not asked.netloc:
        return False
    public = urlsplit(public_url)
    if public.scheme == "https" and asked.scheme != "https":
        return False
    return asked.netloc.lower() in {connection.headers.get("host", "").lower(), public.netloc.lower()} - {""}


def client_address(connection: HTTPConnection) -> str:
    """The address limits are counted by; the server has already resolved trusted proxies."""
    return connection.client.host if connection.client else ""
