"""Pinecone: one index that its owner made, a namespace for each copy, through the REST interface of the index."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from pydantic import SecretStr

from connectors._vectors import texts
from connectors._vectors.asking import ask, authorised, no_host, read
from graph_runtime.contract.connectors import CheckResult, Connector, CredentialSettings, HttpOffer
from graph_runtime.contract.errors import Refused
from graph_runtime.contract.forms import setting
from graph_runtime.contract.http import ConnectorHttp, HttpAuth
from graph_runtime.contract.vectors import (
    SEARCH_SECONDS,
    Condition,
    VectorEntry,
    VectorScope,
    VectorStoreOffer,
)

VERSION: Final = "2026-04"
MOST_BYTES: Final = 1_900_000
"""The vendor takes 2 MB."""


class Settings(CredentialSettings):
    """Where the index is."""

    base_url: str = setting(
        "Address", default="https://my-index-abc123.svc.aped-4627-b74a.pinecone.io", required=True, max_length=2000,
        help="The host of an index, from its page. The index compares by cosine and has as many dimensions as the model's vectors.",
    )  # fmt: skip
    key: SecretStr = setting("Key", default=SecretStr(""), required=True)
    allow_private_host: bool = setting(
        "The address is inside our own network, or has a port of its own", default=False, advanced=True,
        help="Only an administrator can switch this on.",
    )  # fmt: skip


class Pinecone:
    """Implements `VectorStore`.

    An index of a serverless plan removes by id or a whole namespace, not by a filter; so each copy is a namespace. The
    conditions are sent all the same.
    """

    def __init__(self, _settings: Settings, http: ConnectorHttp) -> None:
        self._http = http

    async def prepare(self, dims: int) -> None:
        """As the contract says: an index has one length, which its owner chose."""
        _, found = await ask(self._http, "POST", "/describe_index_stats", {})
        if read(found, lambda f: f["dimension"]) != dims:
            raise Refused(texts.OTHER_LENGTH)
        if read(found, lambda f: f.get("metric") or "cosine") != "cosine":
            raise Refused(texts.OTHER_MEASURE)

    async def put(self, entries: Sequence[VectorEntry]) -> None:
        """As the contract says."""
        vectors = [{"id": e.id, "values": list(e.vector), "metadata": e.fields()} for e in entries]
        space = _namespace(entries[0].workspace, entries[0].copy)
        _, found = await ask(self._http, "POST", "/vectors/upsert", {"vectors": vectors, "namespace": space})
        read(found, lambda f: int(f["upsertedCount"]))

    async def remove(self, dims: int, scope: VectorScope, ids: Sequence[str]) -> None:
        """As the contract says. 404: the namespace is made by the first vector."""
        for copy in scope.copies:
            which = {"ids": list(ids), "namespace": _namespace(scope.workspace, copy)}
            await ask(self._http, "POST", "/vectors/delete", which, also=(404,))

    async def clear(self, dims: int, scope: VectorScope) -> None:
        """As the contract says."""
        for copy in scope.copies:
            which = {"deleteAll": True, "namespace": _namespace(scope.workspace, copy)}
            await ask(self._http, "POST", "/vectors/delete", which, also=(404,))

    async def nearest(self, scope: VectorScope, vector: Sequence[float], limit: int) -> list[str]:
        """As the contract says; several copies are asked at once."""
        if scope.is_empty:
            return []
        found = await asyncio.gather(*(self._query(scope, copy, vector, limit) for copy in scope.copies))
        ranked = sorted((match for matches in found for match in matches), key=lambda match: -match[1])
        return [passage for passage, _ in ranked[:limit]]

    async def _query(
        self, scope: VectorScope, copy: str, vector: Sequence[float], limit: int
    ) -> list[tuple[str, float]]:
        asked = {
            "vector": list(vector), "topK": limit, "namespace": _namespace(scope.workspace, copy), "filter": where(scope),
            "includeMetadata": True, "includeValues": False,
        }  # fmt: skip
        _, found = await ask(self._http, "POST", "/query", asked, seconds=SEARCH_SECONDS)
        return read(found, lambda f: [(str(m["metadata"]["passage"]), float(m["score"])) for m in f["matches"]])


def _namespace(workspace: str, copy: str) -> str:
    return f"{workspace}.{copy}"


def where(scope: VectorScope) -> dict[str, Any]:
    """In Pinecone's words."""
    return {"$and": [_condition(c) for c in scope.conditions()]}


def _condition(c: Condition) -> dict[str, Any]:
    return {c.field: {"$gte": c.at_least} if c.at_least is not None else {"$in": list(c.any_of)}}


def auth(settings: Settings, _access: str) -> HttpAuth:
    """The key, and the version of the interface."""
    headers = {"Api-Key": settings.key.get_secret_value(), "X-Pinecone-Api-Version": VERSION}
    return authorised(settings.base_url, headers, allow_private_host=settings.allow_private_host)


async def try_out(settings: Settings, http: ConnectorHttp) -> CheckResult:
    """Ask the index about itself. Raises: ConnectorError."""
    if (wrong := no_host(settings.base_url)) is not None:
        return wrong
    _, found = await ask(http, "POST", "/describe_index_stats", {})
    if read(found, lambda f: (int(f["dimension"]), f.get("metric") or "cosine"))[1] != "cosine":
        return CheckResult(ok=False, message=texts.OTHER_MEASURE)
    return CheckResult(ok=True, message=texts.WORKS)


CONNECTOR = Connector(
    id="pinecone",
    label="Pinecone",
    summary="Keeps a copy of the vectors of knowledge bases and searches it.",
    settings=Settings,
    kinds=frozenset({"vector_store"}),
    http=HttpOffer(auth),
    try_out=try_out,
    vector_store=VectorStoreOffer(open=Pinecone, most_bytes=MOST_BYTES),
)
