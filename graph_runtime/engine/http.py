"""The one way flows call web services: http and https to public addresses only, checked at the moment of connecting."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import json
import socket
import ssl
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore2

from graph_runtime.contract.channels import KEPT_OF_AN_ANSWER, HttpAnswer
from graph_runtime.contract.errors import OutcomeUnknown, Refused, Unreachable
from graph_runtime.contract.http import HttpAuth, HttpReply, host_of
from graph_runtime.contract.outside_words import failure

MAX_BODY_BYTES = 5_000_000
MAX_DECODED_BYTES = 20_000_000
MAX_REDIRECTS = 3
PORTS = frozenset({80, 443, 8080, 8443})
CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
_HOP_BY_HOP = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "upgrade"})
_WRAPPED = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "2002::/16", "2001::/32")))

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""(host, port) → addresses as text."""


def is_public(address: str) -> bool:
    """Whether an address is of the public internet; addresses that carry another one inside are not."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        elif ip.scope_id or any(ip in network for network in _WRAPPED):
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


async def resolve(host: str, port: int) -> list[str]:
    """Every address of a name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Resolves once, refuses a name with any address that is not public, connects to an address it has checked.

    The name stays with the connection for TLS and the Host header.
    """

    def __init__(self, resolve_name: Resolve, private_hosts: frozenset[str]) -> None:
        self._resolve = resolve_name
        self._private_hosts = private_hosts
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host, port)
        except (OSError, UnicodeError, TimeoutError):
            raise failure(Unreachable, "no_such_host", host=host) from None
        if f"{host}:{port}" not in self._private_hosts:
            if port not in PORTS:
                raise failure(Refused, "port", port=port)
            if not addresses or not all(map(is_public, addresses)):
                raise failure(Refused, "inside", host=host)
        last: Exception | None = None
        for address in addresses:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as e:
                last = e
        raise last or httpcore2.ConnectError("no address")

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        raise failure(Refused, "socket")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@functools.cache
def _tls() -> ssl.SSLContext:
    """One context for all doors of a process: reading the certificates takes tens of milliseconds."""
    return ssl.create_default_context()


class HttpDoor:
    """`private_hosts`: "host:port" pairs an administrator has allowed though they are not public.

    `connections`: how many requests may wait for their answers at once.
    """

    def __init__(
        self, *, resolve_name: Resolve = resolve, private_hosts: frozenset[str] = frozenset(), connections: int = 100
    ) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=_tls(),
            network_backend=_GuardedBackend(resolve_name, private_hosts),
            max_connections=connections,
            keepalive_expiry=5.0,
        )

    async def close(self) -> None:
        """Close idle connections."""
        await self._pool.aclose()

    async def call(
        self, method: str, url: str, *, headers: dict[str, str], body: Any, seconds: float, auth: HttpAuth | None = None
    ) -> HttpReply:
        """Status, headers and parsed JSON or text. At most three redirects, 5 MB (20 MB unpacked).

        `auth` is added to requests to its own hosts, redirected ones included, and to no others.
        Raises: Refused (address, size, redirects), Unreachable, OutcomeUnknown (it may have been carried out).
        """
        status, got, raw = await self._follow(method, url, headers, body, seconds, auth)
        return HttpReply(status, got, _parsed(got, raw))

    async def exchange(
        self, method: str, url: str, *, headers: dict[str, str], body: Any, seconds: float, auth: HttpAuth | None = None
    ) -> HttpAnswer:
        """As `call`, for connectors that read the bytes themselves. Raises: as `call`."""
        status, got, raw = await self._follow(method, url, headers, body, seconds, auth)
        return HttpAnswer(status, got, _unpacked(got, raw))

    async def fetch(self, url: str, *, seconds: float, headers: Mapping[str, str] | None = None) -> bytes:
        """A file at a public address, at most 5 MB.

        Raises: Refused (also when it is not there: `status`), Unreachable.
        """
        status, got, raw = await self._follow("GET", url, dict(headers or {}), None, seconds)
        raw = _unpacked(got, raw)
        if status != 200:
            raise failure(Refused, "not_the_file", host=urlsplit(url).hostname, status=status)
        return raw

    async def _follow(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: Any,
        seconds: float,
        auth: HttpAuth | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        content, headers = _content(body, {k: v for k, v in headers.items() if k.lower() not in _HOP_BY_HOP})
        try:
            async with asyncio.timeout(seconds):
                for _ in range(MAX_REDIRECTS + 1):
                    _check_url(url)
                    status, got, raw = await self._once(method, url, _authorised(headers, url, auth), content)
                    if status not in (301, 302, 303, 307, 308) or "location" not in got:
                        return status, got, raw
                    target = urljoin(url, got["location"])
                    if urlsplit(target)[:2] != urlsplit(url)[:2]:
                        headers = {k: v for k, v in headers.items() if k.lower() not in CREDENTIALS}
                    if status == 303 or (status in (301, 302) and method.upper() == "POST"):
                        method, content = "GET", b""
                    url = target
        except TimeoutError:
            raise self._unanswered(method, url, "too_slow", seconds=f"{seconds:.0f}") from None
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout, httpcore2.PoolTimeout, ssl.SSLError):
            raise failure(Unreachable, "cannot_be_reached", host=urlsplit(url).hostname) from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException):
            raise self._unanswered(method, url, "broke_off") from None
        raise failure(Refused, "redirects", host=urlsplit(url).hostname)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: str | bytes = "",
        seconds: float = 20.0,
        keep: int = KEPT_OF_AN_ANSWER,
    ) -> HttpAnswer:
        """One request, never repeated and never redirected; of the answer's body the first `keep` bytes.

        Once a status arrived the outcome is known, whatever happens to the body.
        Raises: Refused (address), Unreachable, OutcomeUnknown (it may have been carried out).
        """
        _check_url(url)
        content, sent = _content(body, {k: v for k, v in headers.items() if k.lower() not in _HOP_BY_HOP})
        answer: HttpAnswer | None = None
        try:
            async with asyncio.timeout(seconds), self._stream(method, url, sent, content) as response:
                got = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in response.headers}
                answer = HttpAnswer(response.status, got, b"")
                raw = bytearray()
                async for piece in response.aiter_stream():
                    raw += piece
                    if len(raw) > keep:
                        break
                return HttpAnswer(response.status, got, _readable(got, bytes(raw[:keep]), keep))
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout, httpcore2.PoolTimeout, ssl.SSLError):
            raise failure(Unreachable, "cannot_be_reached", host=urlsplit(url).hostname) from None
        except (TimeoutError, httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException):
            if answer is not None:
                return answer
            raise failure(OutcomeUnknown, "no_answer", host=urlsplit(url).hostname) from None

    def _stream(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> Any:
        sent = {"Host": urlsplit(url).netloc.rpartition("@")[2], "Accept-Encoding": "gzip", **headers}
        if content:
            sent["Content-Length"] = str(len(content))
        return self._pool.stream(
            method.upper(),
            url,
            headers=[(k.encode("latin-1", "replace"), v.encode("latin-1", "replace")) for k, v in sent.items()],
            content=content or None,
            extensions={"timeout": {"connect": 5.0, "pool": 5.0}},
        )

    @staticmethod
    def _unanswered(method: str, url: str, code: str, **values: Any) -> Unreachable | OutcomeUnknown:
        values["host"] = urlsplit(url).hostname
        is_safe = method.upper() in ("GET", "HEAD")
        return failure(Unreachable, code, **values) if is_safe else failure(OutcomeUnknown, code, **values)

    async def _once(
        self, method: str, url: str, headers: dict[str, str], content: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        async with self._stream(method, url, headers, content) as response:
            got = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in response.headers}
            raw = bytearray()
            async for piece in response.aiter_stream():
                raw += piece
                if len(raw) > MAX_BODY_BYTES:
                    raise failure(Refused, "too_large", limit=MAX_BODY_BYTES)
        return response.status, got, bytes(raw)


def _authorised(headers: dict[str, str], url: str, auth: HttpAuth | None) -> dict[str, str]:
    """The headers with those of the credential, when the address is one of its own. Raises: Refused."""
    host = host_of(url)
    if auth is None or host not in auth.hosts:
        return headers
    if urlsplit(url).scheme != "https" and host != auth.private_host:
        raise failure(Refused, "https_only", host=host)
    theirs = {name.lower() for name in auth.headers}
    return {k: v for k, v in headers.items() if k.lower() not in theirs} | dict(auth.headers)


def check_url(url: str) -> bool:
    """Whether an address can be called at all; where it leads shows only at the moment of connecting."""
    try:
        _check_url(url)
    except (Refused, ValueError):
        return False
    return True


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise failure(Refused, "no_address", url=url[:200])
    if any(ord(c) <= 32 or ord(c) == 127 for c in url):
        raise failure(Refused, "control_character", url=url[:200])


def _content(body: Any, headers: dict[str, str]) -> tuple[bytes, dict[str, str]]:
    if any("\n" in f"{k}{v}" or "\r" in f"{k}{v}" for k, v in headers.items()):
        raise failure(Refused, "line_break")
    if body is None:
        return b"", headers
    if isinstance(body, bytes):
        return body, headers
    is_text = isinstance(body, str)
    raw = body if is_text else json.dumps(body, ensure_ascii=False)
    if not any(k.lower() == "content-type" for k in headers):
        headers = headers | {"Content-Type": "text/plain; charset=utf-8" if is_text else "application/json"}
    return raw.encode("utf-8", "replace"), headers


def _unpacked(headers: dict[str, str], raw: bytes) -> bytes:
    if headers.get("content-encoding", "").lower() in ("gzip", "x-gzip", "deflate"):
        unpacker = zlib.decompressobj(47)
        try:
            raw = unpacker.decompress(raw, MAX_DECODED_BYTES)
        except zlib.error:
            raise failure(Unreachable, "damaged") from None
        if unpacker.unconsumed_tail:
            raise failure(Refused, "unpacks_too_large", limit=MAX_DECODED_BYTES)
    return raw


def _readable(headers: dict[str, str], raw: bytes, keep: int) -> bytes:
    """As much of an answer as can be read: its status stands, whatever became of its body."""
    if headers.get("content-encoding", "").lower() not in ("gzip", "x-gzip", "deflate"):
        return raw
    try:
        return zlib.decompressobj(47).decompress(raw, keep)
    except zlib.error:
        return b""


def _parsed(headers: dict[str, str], raw: bytes) -> Any:
    """JSON when the answer says or looks so, else text."""
    text = _unpacked(headers, raw).decode("utf-8", "replace")
    if "json" in headers.get("content-type", "") or text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text
