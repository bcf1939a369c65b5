"""Qdrant: one collection for each length of vectors, through its REST interface."""

from __future__ import annotations

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
    KEPT,
    SEARCH_SECONDS,
    Condition,
    VectorEntry,
    VectorScope,
    VectorStoreOffer,
)

FILTERED: Final = tuple(name for name in KEPT if name not in ("passage", "base"))


class Settings(CredentialSettings):
    """Where the store is."""

    base_url: str = setting(
        "Address", default="https://xyz.eu-central.aws.cloud.qdrant.io:6333", required=True, max_length=2000,
        help="Of a cluster in Qdrant Cloud, or of a server of your own, such as http://qdrant:6333.",
    )  # fmt: skip
    key: SecretStr = setting(
        "Key", default=SecretStr(""), help="Leave empty for a server of your own that asks for none."
    )
    collection: str = setting(
        "Collection", default="patchcord", required=True, max_length=60, pattern=r"^[A-Za-z0-9_-]+$",
        help="The beginning of a name; the length of the vectors is added. Missing collections are made.",
    )  # fmt: skip
    allow_private_host: bool = setting(
        "The address is inside our own network, or has a port of its own", default=False, advanced=True,
        help="Only an administrator can switch this on. Qdrant's port 6333 needs it.",
    )  # fmt: skip


class Qdrant:
    """Implements `VectorStore`."""

    def __init__(self, settings: Settings, http: ConnectorHttp) -> None:
        self._name = settings.collection
        self._http = http

    async def prepare(self, dims: int) -> None:
        """As the contract says; what searches narrow by is indexed, the workspace first."""
        place = self._place(dims)
        status, found = await ask(self._http, "GET", place, also=(404,))
        if status == 404:
            vectors = {"size": dims, "distance": "Cosine"}
            # 409: another process was first.
            await ask(self._http, "PUT", place, {"vectors": vectors}, also=(409,))
            _, found = await ask(self._http, "GET", place)
        has = read(found, lambda f: f["result"]["config"]["params"]["vectors"])
        if has.get("size") != dims:
            raise Refused(texts.OTHER_LENGTH)
        if has.get("distance") != "Cosine":
            raise Refused(texts.OTHER_MEASURE)
        for field in FILTERED:
            schema: Any = "integer" if KEPT[field] == "number" else "keyword"
            if field == "workspace":
                schema = {"type": "keyword", "is_tenant": True}
            await ask(self._http, "PUT", f"{place}/index?wait=true", {"field_name": field, "field_schema": schema})

    async def put(self, entries: Sequence[VectorEntry]) -> None:
        """As the contract says."""
        points = [{"id": e.id, "vector": list(e.vector), "payload": e.fields()} for e in entries]
        place = self._place(len(entries[0].vector))
        await ask(self._http, "PUT", f"{place}/points?wait=true", {"points": points})

    async def remove(self, dims: int, scope: VectorScope, ids: Sequence[str]) -> None:
        """As the contract says."""
        await self._delete(dims, {"must": [{"has_id": list(ids)}, *conditions(scope)]})

    async def clear(self, dims: int, scope: VectorScope) -> None:
        """As the contract says."""
        await self._delete(dims, {"must": conditions(scope)})

    async def _delete(self, dims: int, which: Any) -> None:
        await ask(
            self._http, "POST", f"{self._place(dims)}/points/delete?wait=true", {"filter": which}, also=(404,)
        )  # without its collection nothing is there

    async def nearest(self, scope: VectorScope, vector: Sequence[float], limit: int) -> list[str]:
        """As the contract says."""
        if scope.is_empty:
            return []
        asked = {
            "query": list(vector), "filter": {"must": conditions(scope)}, "limit": limit, "with_payload": ["passage"],
        }  # fmt: skip
        place = f"{self._place(len(vector))}/points/query"
        _, found = await ask(self._http, "POST", place, asked, seconds=SEARCH_SECONDS)
        return read(found, lambda f: [str(point["payload"]["passage"]) for point in f["result"]["points"]])

    def _place(self, dims: int) -> str:
        return f"/collections/{self._name}_{dims}"


def conditions(scope: VectorScope) -> list[dict[str, Any]]:
    """In Qdrant's words."""
    return [_condition(c) for c in scope.conditions()]


def _condition(c: Condition) -> dict[str, Any]:
    if c.at_least is not None:
        return {"key": c.field, "range": {"gte": c.at_least}}
    return {"key": c.field, "match": {"any": list(c.any_of)}}


def auth(settings: Settings, _access: str) -> HttpAuth:
    """The key, if the store asks for one."""
    headers = {"api-key": settings.key.get_secret_value()}
    return authorised(settings.base_url, headers, allow_private_host=settings.allow_private_host)


async def try_out(settings: Settings, http: ConnectorHttp) -> CheckResult:
    """List the collections. Raises: ConnectorError."""
    if (wrong := no_host(settings.base_url)) is not None:
        return wrong
    _, found = await ask(http, "GET", "/collections")
    read(found, lambda f: list(f["result"]["collections"]))
    return CheckResult(ok=True, message=texts.WORKS)


CONNECTOR = Connector(
    id="qdrant",
    label="Qdrant",
    summary="Keeps a copy of the vectors of knowledge bases and searches it.",
    settings=Settings,
    kinds=frozenset({"vector_store"}),
    http=HttpOffer(auth),
    try_out=try_out,
    vector_store=VectorStoreOffer(open=Qdrant),
)
