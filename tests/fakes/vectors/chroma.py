"""Chroma as version 2 of its REST interface is: collections by id, rows in columns, `where` as an object."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.fakes.vectors.documents import flat, holds
from tests.fakes.vectors.serving import FakeStore, Space, Wrong, only

_PATH = re.compile(r"/api/v2/tenants/default_tenant/databases/default_database/collections(?:/([^/]+))?(?:/([a-z]+))?")


@dataclass
class ChromaFake(FakeStore):
    """`names`: id → name of a collection."""

    names: dict[str, str] = field(default_factory=dict)
    compares_by: str = "cosine"

    def is_authorised(self, headers: Mapping[str, str]) -> bool:
        """Chroma's own header."""
        return headers.get("x-chroma-token") == self.key

    def handle(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        """See `FakeStore`."""
        found = _PATH.fullmatch(path)
        if found is None:
            raise Wrong(404, "no such page")
        which, what = found[1], found[2]
        if which is None:
            return self._make(body) if method == "POST" else [self._shown(name) for name in self.spaces]
        if method == "GET" and what is None:
            if which not in self.spaces:
                raise Wrong(404, f"Collection [{which}] does not exist")
            return self._shown(which)
        name = self.names.get(which, "")
        space = self.spaces.get(name)
        if space is None or method != "POST":
            raise Wrong(404, f"Collection [{which}] does not exist.")
        if what == "upsert":
            return _put(space, body)
        if what == "delete":
            return _delete(space, body)
        if what == "query":
            return _query(space, body)
        raise Wrong(404, "no such page")

    def _make(self, body: Any) -> Any:
        only(body, {"name", "get_or_create", "configuration"})
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,510}[A-Za-z0-9]", body["name"]):
            raise Wrong(400, "name")
        hnsw = only(
            only(body["configuration"], {"hnsw"})["hnsw"], {"space"}, frozenset({"ef_construction", "ef_search"})
        )
        if hnsw["space"] != "cosine" or body["get_or_create"] is not True:
            raise Wrong(422, "configuration")
        name = body["name"]
        if name not in self.spaces:
            self.spaces[name] = Space(None)
            self.names = {i: n for i, n in self.names.items() if n != name} | {str(uuid4()): name}
        return self._shown(name)

    def _shown(self, name: str) -> Any:
        collection = next(i for i, n in self.names.items() if n == name)
        hnsw = {"space": self.compares_by, "ef_construction": 100, "ef_search": 100, "max_neighbors": 16}
        return {
            "id": collection, "name": name, "configuration_json": {"hnsw": hnsw, "spann": None},
            "dimension": self.spaces[name].dims, "metadata": None,
        }  # fmt: skip


def _put(space: Space, body: Any) -> Any:
    only(body, {"ids", "embeddings", "metadatas"})
    rows = list(zip(body["ids"], body["embeddings"], body["metadatas"], strict=False))
    if not rows or not len(rows) == len(body["embeddings"]) == len(body["metadatas"]):
        raise Wrong(400, "Inconsistent number of rows")
    dims = space.dims or len(body["embeddings"][0])
    if any(len(vector) != dims for _, vector, _ in rows):
        raise Wrong(400, f"Collection expecting embedding with dimension of {dims}")
    for row_id, vector, fields in rows:
        space.put(row_id, vector, flat(fields))
    return {}


def _delete(space: Space, body: Any) -> Any:
    only(body, {"where"}, frozenset({"ids"}))
    fits = holds(body["where"])
    gone = space.matching(lambda row, fields: fits(fields) and ("ids" not in body or row in body["ids"]))
    for row in gone:
        del space.rows[row]
    return {"deleted": len(gone)}


def _query(space: Space, body: Any) -> Any:
    only(body, {"query_embeddings", "n_results", "where", "include"})
    if body["include"] != ["metadatas"] or len(body["query_embeddings"]) != 1 or body["n_results"] < 1:
        raise Wrong(422, "query")
    fits = holds(body["where"])
    ids = space.matching(lambda _row, fields: fits(fields))
    near = space.nearest(body["query_embeddings"][0], body["n_results"], ids)
    return {
        "ids": [[i for i, _ in near]], "metadatas": [[space.rows[i][1] for i, _ in near]], "distances": None,
        "embeddings": None, "documents": None, "uris": None, "include": ["metadatas"],
    }  # fmt: skip
