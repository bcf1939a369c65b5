"""Calls to web services: what a step gets back, and what a credential adds to requests to its own hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from graph_runtime.contract.channels import HttpAnswer

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""They change nothing on the other side, so they may be repeated and are really made in tests."""
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What a service answered: `body` is parsed JSON or text, header names are in lower case.

    `was_sent` False: a test only showed what would have been sent; then there is no answer.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    was_sent: bool = True


@dataclass(frozen=True, slots=True)
class HttpAuth:
    """What a credential adds to requests, and where to: `hosts` are "host:port" pairs, nothing is sent to others.

    `base_url` completes addresses that begin with a slash. `private_host`: "host:port" inside the network that an
    administrator allowed for this credential, or "".
    """

    base_url: str
    hosts: frozenset[str]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    private_host: str = ""


class ConnectorHttp(Protocol):
    """The way out of a connector: guarded, authorised with its credential, never repeated.

    Raises: Unreachable (nothing was delivered), OutcomeUnknown, Refused (address, size), RateLimited (our own rate),
    CredentialRejected (the access ended and could not be renewed).
    """

    async def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        seconds: float = 20.0,
    ) -> HttpAnswer:
        """One request. `body`: text, or a value that is sent as JSON. `url` may begin with a slash."""
        ...


def host_of(url: str) -> str:
    """ "host:port" of an address in lower case; "" when it has none."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname}:{parts.port or _PORTS.get(parts.scheme, 443)}" if parts.hostname else ""
    except ValueError:
        return ""
