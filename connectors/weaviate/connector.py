"""Weaviate: one class for each length of vectors; written through its REST interface, searched through GraphQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from pydantic import SecretStr

from connectors._vectors import texts
from connectors._vectors.asking import ask, authorised, no_host, read
from graph_runtime.contract.connectors import CheckResult, Connector, CredentialSettings, HttpOffer
from graph_runtime.contract.errors import Refused, Unreachable
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

MOST_CLEARED: Final = 1000
"""Requests; each removes what the server allows at once, by default 10 000."""


class Settings(CredentialSettings):
    """Where the store is."""

    base_url: str = setting(
        "Address", default="https://my-cluster.weaviate.cloud", required=True, max_length=2000,
        help="Of a cluster in Weaviate Cloud, or of a server of your own, such as http://weaviate:8080.",
    )  # fmt: skip
    key: SecretStr = setting(
        "Key", default=SecretStr(""), help="Leave empty for a server of your own that asks for none."
    )
    collection: str = setting(
        "Collection", default="Patchcord", required=True, max_length=60, pattern=r"^[A-Z][A-Za-z0-9_]*$",
        help="The beginning of a name, with a capital letter; the length of the vectors is added. Missing collections are made.",
    )  # fmt: skip
    allow_private_host: bool = setting(
        "The address is inside our own network, or has a port of its own", default=False, advanced=True,
        help="Only an administrator can switch this on.",
    )  # fmt: skip


class Weaviate:
    """Implements `VectorStore`.

    A server may be set to make a class from the first object that names it, without our settings; so it is looked whether
    the class is there before something is written.
    """

    def __init__(self, settings: Settings, http: ConnectorHttp) -> None:
        self._name = settings.collection
        self._http = http

    async def prepare(self, dims: int) -> None:
        """As the contract says. The length itself is fixed by the first vector."""
        found = await self._class(dims)
        if found is None:
            # 422: another process was first.
            await ask(self._http, "POST", "/v1/schema", _schema(self._of(dims)), also=(422,))
            found = await self._class(dims)
        if found is None:
            raise Refused(texts.REFUSED)
        if read(found, lambda f: f["vectorIndexConfig"]["distance"]) != "cosine":
            raise Refused(texts.OTHER_MEASURE)

    async def put(self, entries: Sequence[VectorEntry]) -> None:
        """As the contract says. The answer to a batch is a success; whether each object was taken stands in it."""
        dims = len(entries[0].vector)
        if await self._class(dims) is None:
            raise Refused(texts.GONE)
        objects = [
            {"class": self._of(dims), "id": e.id, "properties": e.fields(), "vector": list(e.vector)} for e in entries
        ]
        _, found = await ask(self._http, "POST", "/v1/batch/objects", {"objects": objects})
        results = read(found, lambda f: [one["result"] for one in f])
        said = json.dumps([r["errors"] for r in results if r.get("errors")])
        if "vector lengths" in said or "vectors with length" in said:
            raise Refused(texts.OTHER_LENGTH)
        if len(results) != len(entries) or any(r.get("status") != "SUCCESS" or r.get("errors") for r in results):
            raise Unreachable(texts.DOWN)

    async def remove(self, dims: int, scope: VectorScope, ids: Sequence[str]) -> None:
        """As the contract says."""
        which = {"path": ["id"], "operator": "ContainsAny", "valueTextArray": list(ids)}
        await self._delete(dims, [which, *map(_for_rest, scope.conditions())])

    async def clear(self, dims: int, scope: VectorScope) -> None:
        """As the contract says."""
        await self._delete(dims, list(map(_for_rest, scope.conditions())))

    async def _delete(self, dims: int, operands: Sequence[dict[str, Any]]) -> None:
        if await self._class(dims) is None:
            return
        match = {"class": self._of(dims), "where": {"operator": "And", "operands": operands}}
        for _ in range(MOST_CLEARED):
            _, found = await ask(self._http, "DELETE", "/v1/batch/objects", {"match": match, "output": "minimal"})
            matches, limit, failed = read(
                found, lambda f: (f["results"]["matches"], f["results"]["limit"], f["results"]["failed"])
            )
            if failed:
                raise Unreachable(texts.DOWN)
            if matches < limit:
                return

    async def nearest(self, scope: VectorScope, vector: Sequence[float], limit: int) -> list[str]:
        """As the contract says."""
        if scope.is_empty:
            return []
        name = self._of(len(vector))
        near = f"nearVector: {{vector: {json.dumps(list(vector))}}}"
        where = f"where: {{operator: And, operands: [{', '.join(map(_for_graphql, scope.conditions()))}]}}"
        query = f"{{ Get {{ {name} ({near}, {where}, limit: {int(limit)}) {{ passage }} }} }}"
        status, found = await ask(
            self._http, "POST", "/v1/graphql", {"query": query}, seconds=SEARCH_SECONDS, also=(422,)
        )
        said = json.dumps(found.get("errors") or found.get("error")) if isinstance(found, dict) else ""
        if "Cannot query field" in said or "no graphql provider" in said:
            raise Refused(texts.GONE)
        if status == 422 or said not in ("", "null"):
            raise Refused(texts.REFUSED)
        return read(found, lambda f: [str(one["passage"]) for one in f["data"]["Get"][name]])

    async def _class(self, dims: int) -> Any:
        status, found = await ask(self._http, "GET", f"/v1/schema/{self._of(dims)}", also=(404,))
        return None if status == 404 else found

    def _of(self, dims: int) -> str:
        return f"{self._name}_{dims}"


def _schema(name: str) -> dict[str, Any]:
    """Texts are compared whole; nothing is indexed for search by words."""
    text = {"dataType": ["text"], "tokenization": "field", "indexFilterable": True, "indexSearchable": False}
    number = {"dataType": ["int"], "indexFilterable": True}
    return {
        "class": name, "vectorizer": "none", "vectorIndexType": "hnsw", "vectorIndexConfig": {"distance": "cosine"},
        "properties": [{"name": field, **(text if kind == "text" else number)} for field, kind in KEPT.items()],
    }  # fmt: skip


def _for_rest(c: Condition) -> dict[str, Any]:
    """A condition as the REST interface has it."""
    if c.at_least is not None:
        return {"path": [c.field], "operator": "GreaterThanEqual", "valueInt": c.at_least}
    return {"path": [c.field], "operator": "ContainsAny", "valueTextArray": list(c.any_of)}


def _for_graphql(c: Condition) -> str:
    """A condition as GraphQL has it, whose texts are written as those of JSON."""
    path = f"path: {json.dumps([c.field])}"
    if c.at_least is not None:
        return f"{{{path}, operator: GreaterThanEqual, valueInt: {int(c.at_least)}}}"
    return f"{{{path}, operator: ContainsAny, valueText: {json.dumps(list(c.any_of))}}}"


def auth(settings: Settings, _access: str) -> HttpAuth:
    """A bearer token, if the store asks for one."""
    key = settings.key.get_secret_value()
    headers = {"Authorization": f"Bearer {key}" if key else ""}
    return authorised(settings.base_url, headers, allow_private_host=settings.allow_private_host)


async def try_out(settings: Settings, http: ConnectorHttp) -> CheckResult:
    """List the classes. Raises: ConnectorError."""
    if (wrong := no_host(settings.base_url)) is not None:
        return wrong
    _, found = await ask(http, "GET", "/v1/schema")
    read(found, lambda f: [one["class"] for one in f["classes"] or ()])
    return CheckResult(ok=True, message=texts.WORKS)


CONNECTOR = Connector(
    id="weaviate",
    label="Weaviate",
    summary="Keeps a copy of the vectors of knowledge bases and searches it.",
    settings=Settings,
    kinds=frozenset({"vector_store"}),
    http=HttpOffer(auth),
    try_out=try_out,
    vector_store=VectorStoreOffer(open=Weaviate),
)
