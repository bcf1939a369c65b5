"""Pinecone as the REST interface of one index is: namespaces, metadata without nulls, filters as objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.fakes.vectors.documents import flat, holds
from tests.fakes.vectors.serving import FakeStore, Space, Wrong, only

MOST_BYTES = 2_000_000
MOST_IDS = 1000


@dataclass
class PineconeFake(FakeStore):
    """A serverless index of `dims` dimensions: it deletes by id or a whole namespace, not by a filter."""

    dims: int = 24
    metric: str = "cosine"

    def is_authorised(self, headers: Mapping[str, str]) -> bool:
        """The key in a header of its own; without a version of the interface nothing is answered."""
        return headers.get("api-key") == self.key and headers.get("x-pinecone-api-version", "").startswith("20")

    def answer(self, method: str, target: str, headers: Mapping[str, str], raw: bytes) -> tuple[int, bytes]:
        """See `FakeStore`."""
        if len(raw) > MOST_BYTES:
            return 400, b'{"code": 11, "message": "Error, message length too large"}'
        return super().answer(method, target, headers, raw)

    def handle(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        """See `FakeStore`."""
        if (method, path) == ("POST", "/describe_index_stats"):
            only(body, set())
            sizes = {name: {"vectorCount": len(space.rows)} for name, space in self.spaces.items()}
            return {"namespaces": sizes, "dimension": self.dims, "metric": self.metric, "indexFullness": 0}
        if (method, path) == ("POST", "/vectors/upsert"):
            return self._put(body)
        if (method, path) == ("POST", "/vectors/delete"):
            return self._delete(body)
        if (method, path) == ("POST", "/query"):
            return self._query(body)
        raise Wrong(404, "no such page")

    def _put(self, body: Any) -> Any:
        only(body, {"vectors", "namespace"})
        rows = body["vectors"]
        if not rows or len(rows) > MOST_IDS or not body["namespace"]:
            raise Wrong(400, "vectors")
        for row in rows:
            only(row, {"id", "values", "metadata"})
            self._check(row["values"])
            if not any(row["values"]):
                raise Wrong(400, "Dense vectors must contain at least one non-zero value.")
        space = self.spaces.setdefault(body["namespace"], Space(self.dims))
        for row in rows:
            space.put(row["id"], row["values"], flat(row["metadata"]))
        return {"upsertedCount": len(rows)}

    def _delete(self, body: Any) -> Any:
        only(body, {"namespace"}, frozenset({"ids", "deleteAll"}))
        if ("ids" in body) == (body.get("deleteAll") is True) or len(body.get("ids", ())) > MOST_IDS:
            raise Wrong(400, "ids or deleteAll")
        space = self.spaces.get(body["namespace"])
        if space is None:
            raise Wrong(404, "Namespace not found")
        for row in body["ids"] if "ids" in body else list(space.rows):
            space.rows.pop(row, None)
        if not space.rows:
            del self.spaces[body["namespace"]]
        return {}

    def _query(self, body: Any) -> Any:
        only(body, {"vector", "topK", "namespace", "filter", "includeMetadata", "includeValues"})
        self._check(body["vector"])
        if not 1 <= body["topK"] <= 10_000 or not body["namespace"]:
            raise Wrong(400, "topK")
        fits = holds(body["filter"])
        space = self.spaces.get(body["namespace"]) or Space(self.dims)
        near = space.nearest(body["vector"], body["topK"], space.matching(lambda _row, fields: fits(fields)))
        matches = [{"id": i, "score": score, "metadata": space.rows[i][1]} for i, score in near]
        return {"matches": matches, "namespace": body["namespace"], "usage": {"readUnits": 5}}

    def _check(self, vector: Any) -> None:
        if not isinstance(vector, list) or len(vector) != self.dims:
            raise Wrong(400, f"Vector dimension {len(vector)} does not match the dimension of the index {self.dims}")
