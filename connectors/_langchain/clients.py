"""HTTP clients and models of the vendors' libraries: no redirects (a key must not travel on), one TLS context."""

from __future__ import annotations

import functools
import hashlib
import importlib
import secrets
import ssl
from typing import Any
from urllib.parse import urlsplit

CONNECT_SECONDS = 10.0
SILENT_SECONDS = 600.0  # the adapter's own time-outs are the real ones; this only frees a forgotten socket

_AT_FIRST_USE = (
    "langchain.chat_models",
    "langchain_core.messages.block_translators.langchain_v0",
    "langchain_core.tracers.context",
    "langchain_core.tracers.run_collector",
    "langchain_core.tracers.stdout",
    "anyio.streams.memory",
    "anyio.streams.stapled",
)
"""What the libraries import themselves, but only when the first answer comes."""

_SALT = secrets.token_bytes(16)


@functools.cache
def tls() -> ssl.SSLContext:
    """One context for all clients: reading the certificates takes 20 ms and half a megabyte each time."""
    return ssl.create_default_context()


def http_client() -> Any:
    """An `httpx2.AsyncClient` for one model."""
    import httpx2

    return httpx2.AsyncClient(
        follow_redirects=False, verify=tls(), timeout=httpx2.Timeout(SILENT_SECONDS, connect=CONNECT_SECONDS)
    )


def host(url: str) -> str:
    """Host and port of an address, lower case: "localhost:11434"."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def account(address: str, key: str) -> str:
    """A name for a credential that says nothing about it and is another one in every process."""
    return hashlib.blake2b(f"{address}\n{key}".encode(), key=_SALT, digest_size=8).hexdigest()


def chat_model(name: str, provider: str, **options: Any) -> Any:
    """LangChain's model. Slow the first time (it imports the vendor's library)."""
    from langchain.chat_models import init_chat_model

    return init_chat_model(name, model_provider=provider, **options)


def warm_up(*modules: str) -> None:
    """Import what the first call would import; run it in a thread before the first conversation (0.5 to 2.5 s)."""
    import anyio

    for module in (*_AT_FIRST_USE, *modules):
        importlib.import_module(module)
    _ = anyio.connect_tcp, anyio.create_memory_object_stream  # imported when they are named
