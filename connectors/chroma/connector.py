"""Chroma: one collection for each length of vectors, through version 2 of its REST interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from pydantic import SecretStr

from connectors._vectors import texts
from connectors._vectors.asking import ask, authorised, no_host, read
from graph_runtime.contract.connectors import CheckResult, Connector, CredentialSettings, HttpOffer
from graph_runtime.contract.errors import Refused
from graph_runtime.contract.forms import setting
from graph_runtime.contract.http import ConnectorHttp, HttpAuth
from graph_runtime.contract.vectors import (
    SEARCH_SECONDS,
    WRITE_SECONDS,
    Condition,
    VectorEntry,
    VectorScope,
    VectorStoreOffer,
)

HNSW: Final = {"space": "cosine", "ef_construction": 200, "ef_search": 400}
"""With what a server has by itself a search for fifty misses a quarter of the nearest among some thousands."""


class Settings(CredentialSettings):
    """Where the store is."""

    base_url: str = setting(
        "Address", default="https://api.trychroma.com", required=True, max_length=2000,
        help="Chroma Cloud: https://api.trychroma.com. A server of your own: http://chroma:8000.",
    )  # fmt: skip
    key: SecretStr = setting(
        "Key", default=SecretStr(""), help="Leave empty for a server of your own that asks for none."
    )
    tenant: str = setting(
        "Tenant", default="default_tenant", required=True, max_length=100,
        help="Chroma Cloud shows it. A server of your own has default_tenant.",
    )  # fmt: skip
    database: str = setting(
        "Database", default="default_database", required=True, max_length=100,
        help="It must exist. A server of your own has default_database.",
    )  # fmt: skip
    collection: str = setting(
        "Collection", default="patchcord", required=True, max_length=60, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]+$",
        help="The beginning of a name; the length of the vectors is added. Missing collections are made.",
    )  # fmt: skip
    allow_private_host: bool = setting(
        "The address is inside our own network, or has a port of its own", default=False, advanced=True,
        help="Only an administrator can switch this on. Chroma's port 8000 needs it.",
    )  # fmt: skip


class Chroma:
    """Implements `VectorStore`. Chroma wants the id of a collection, which is asked for once."""

    def __init__(self, settings: Settings, http: ConnectorHttp) -> None:
        self._name = settings.collection
        self._place = collections_of(settings)
        self._http = http
        self._ids: dict[int, str] = {}

    async def prepare(self, dims: int) -> None:
        """As the contract says. The length itself is fixed by the first vector."""
        made = {
            "name": f"{self._name}_{dims}", "get_or_create": True, "configuration": {"hnsw": HNSW},
        }  # fmt: skip
        _, found = await ask(self._http, "POST", self._place, made)
        if read(found, lambda f: f["dimension"]) not in (None, dims):
            raise Refused(texts.OTHER_LENGTH)
        if read(found, _space) != "cosine":
            raise Refused(texts.OTHER_MEASURE)
        self._ids[dims] = read(found, lambda f: str(f["id"]))

    async def put(self, entries: Sequence[VectorEntry]) -> None:
        """As the contract says."""
        body = {
            "ids": [e.id for e in entries], "embeddings": [list(e.vector) for e in entries],
            "metadatas": [e.fields() for e in entries],
        }  # fmt: skip
        if await self._at(len(entries[0].vector), "upsert", body) is None:
            raise Refused(texts.GONE)

    async def remove(self, dims: int, scope: VectorScope, ids: Sequence[str]) -> None:
        """As the contract says."""
        await self._at(dims, "delete", {"ids": list(ids), "where": where(scope)})

    async def clear(self, dims: int, scope: VectorScope) -> None:
        """As the contract says."""
        await self._at(dims, "delete", {"where": where(scope)})

    async def nearest(self, scope: VectorScope, vector: Sequence[float], limit: int) -> list[str]:
        """As the contract says."""
        if scope.is_empty:
            return []
        body = {
            "query_embeddings": [list(vector)], "n_results": limit, "where": where(scope), "include": ["metadatas"],
        }  # fmt: skip
        found = await self._at(len(vector), "query", body, SEARCH_SECONDS)
        if found is None:
            raise Refused(texts.GONE)
        return read(found, lambda f: [str(fields["passage"]) for fields in f["metadatas"][0]])

    async def _at(self, dims: int, what: str, body: Any, seconds: float = WRITE_SECONDS) -> Any:
        """The answer of a collection; None when there is none. One that was made anew has another id."""
        known = self._ids.get(dims)
        for collection in (known, None):
            if collection is None and (collection := await self._id(dims, seconds)) is None:
                return None
            status, found = await ask(
                self._http, "POST", f"{self._place}/{collection}/{what}", body, seconds=seconds, also=(404,)
            )
            if status != 404:
                return found
            self._ids.pop(dims, None)
        return None

    async def _id(self, dims: int, seconds: float) -> str | None:
        status, found = await ask(self._http, "GET", f"{self._place}/{self._name}_{dims}", seconds=seconds, also=(404,))
        if status == 404:
            return None
        self._ids[dims] = read(found, lambda f: str(f["id"]))
        return self._ids[dims]


def _space(found: Any) -> Any:
    """How a collection compares: on a server of one's own, or in Chroma Cloud."""
    configuration = found["configuration_json"]
    return (configuration.get("hnsw") or configuration.get("spann"))["space"]


def collections_of(settings: Settings) -> str:
    """The path of a database's collections."""
    tenant, database = quote(settings.tenant, safe=""), quote(settings.database, safe="")
    return f"/api/v2/tenants/{tenant}/databases/{database}/collections"


def where(scope: VectorScope) -> dict[str, Any]:
    """In Chroma's words."""
    return {"$and": [_condition(c) for c in scope.conditions()]}


def _condition(c: Condition) -> dict[str, Any]:
    return {c.field: {"$gte": c.at_least} if c.at_least is not None else {"$in": list(c.any_of)}}


def auth(settings: Settings, _access: str) -> HttpAuth:
    """The key, if the store asks for one."""
    headers = {"x-chroma-token": settings.key.get_secret_value()}
    return authorised(settings.base_url, headers, allow_private_host=settings.allow_private_host)


async def try_out(settings: Settings, http: ConnectorHttp) -> CheckResult:
    """List a collection. Raises: ConnectorError."""
    if (wrong := no_host(settings.base_url)) is not None:
        return wrong
    _, found = await ask(http, "GET", f"{collections_of(settings)}?limit=1")
    read(found, lambda f: [one["id"] for one in f])
    return CheckResult(ok=True, message=texts.WORKS)


CONNECTOR = Connector(
    id="chroma",
    label="Chroma",
    summary="Keeps a copy of the vectors of knowledge bases and searches it.",
    settings=Settings,
    kinds=frozenset({"vector_store"}),
    http=HttpOffer(auth),
    try_out=try_out,
    vector_store=VectorStoreOffer(open=Chroma),
)
