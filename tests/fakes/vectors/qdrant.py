"""Qdrant as its REST interface is: collections of one length, points with payload, filters over indexed fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.fakes.vectors.serving import FakeStore, Space, Wrong, only

_COLLECTION = re.compile(r"/collections/([A-Za-z0-9_-]+)(/.*)?")
Holds = Callable[[str, dict[str, Any]], bool]


@dataclass
class QdrantFake(FakeStore):
    """`indexes`: collection → field → type. As in strict mode, a filter over a field without an index is refused."""

    indexes: dict[str, dict[str, str]] = field(default_factory=dict)
    distance: str = "Cosine"

    def is_authorised(self, headers: Mapping[str, str]) -> bool:
        """Qdrant takes its own header, or a bearer token."""
        return headers.get("api-key") == self.key or headers.get("authorization") == f"Bearer {self.key}"

    def handle(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        """See `FakeStore`."""
        if (method, path) == ("GET", "/collections"):
            return _ok({"collections": [{"name": name} for name in self.spaces]})
        found = _COLLECTION.fullmatch(path)
        if found is None:
            raise Wrong(404, "no such page")
        name, rest = found[1], found[2] or ""
        if (method, rest) == ("PUT", ""):
            return self._make(name, body)
        space = self.spaces.get(name)
        if space is None:
            raise Wrong(404, f"Not found: Collection `{name}` doesn't exist!")
        if (method, rest) == ("GET", ""):
            return _ok(
                {"status": "green", "config": {"params": {"vectors": {"size": space.dims, "distance": self.distance}}}}
            )
        if (method, rest) == ("POST", "/points/query"):
            return self._query(name, space, body)
        if query.get("wait") != "true":
            raise Wrong(400, "this fake wants to be waited for")
        if (method, rest) == ("PUT", "/index"):
            return self._index(name, body)
        if (method, rest) == ("PUT", "/points"):
            return _put(space, body)
        if (method, rest) == ("POST", "/points/delete"):
            holds = self._filter(name, only(body, {"filter"})["filter"])
            for point in space.matching(holds):
                del space.rows[point]
            return _ok({"operation_id": 1, "status": "completed"})
        raise Wrong(404, "no such page")

    def _make(self, name: str, body: Any) -> Any:
        vectors = only(only(body, {"vectors"})["vectors"], {"size", "distance"})
        if type(vectors["size"]) is not int or not 1 <= vectors["size"] <= 65536 or vectors["distance"] != "Cosine":
            raise Wrong(422, "vectors")
        if name in self.spaces:
            raise Wrong(409, f"Wrong input: Collection `{name}` already exists!")
        self.spaces[name] = Space(vectors["size"])
        self.indexes[name] = {}
        return _ok(True)

    def _index(self, name: str, body: Any) -> Any:
        schema = only(body, {"field_name", "field_schema"})["field_schema"]
        kind = schema if isinstance(schema, str) else only(schema, {"type", "is_tenant"})["type"]
        if kind not in ("keyword", "integer"):
            raise Wrong(422, "field_schema")
        self.indexes[name][body["field_name"]] = kind
        return _ok({"operation_id": 1, "status": "completed"})

    def _query(self, name: str, space: Space, body: Any) -> Any:
        only(body, {"query", "filter", "limit", "with_payload"})
        if type(body["limit"]) is not int or body["limit"] < 1:
            raise Wrong(422, "limit")
        ids = space.matching(self._filter(name, body["filter"]))
        points = [
            {"id": i, "version": 1, "score": score, "payload": {k: space.rows[i][1][k] for k in body["with_payload"]}}
            for i, score in space.nearest(body["query"], body["limit"], ids)
        ]
        return _ok({"points": points})

    def _filter(self, name: str, asked: Any) -> Holds:
        conditions = only(asked, {"must"})["must"]
        if not isinstance(conditions, list) or not conditions:
            raise Wrong(400, "must")
        parts = [self._condition(name, c) for c in conditions]
        return lambda point, payload: all(part(point, payload) for part in parts)

    def _condition(self, name: str, asked: Any) -> Holds:
        if isinstance(asked, dict) and asked.keys() == {"has_id"}:
            ids = {_uuid(i) for i in asked["has_id"]}
            return lambda point, _payload: point in ids
        if not isinstance(asked, dict) or asked.get("key") not in self.indexes[name]:
            raise Wrong(400, f"Index required but not found for {asked}")
        key, kind = asked["key"], self.indexes[name][asked["key"]]
        if asked.keys() == {"key", "match"}:
            values = only(asked["match"], {"any"})["any"]
            if kind != "keyword" or not isinstance(values, list) or not all(isinstance(v, str) for v in values):
                raise Wrong(400, "match")
            return lambda _point, payload: payload.get(key) in values
        bound = only(only(asked, {"key", "range"})["range"], {"gte"})["gte"]
        if kind != "integer" or type(bound) is not int:
            raise Wrong(400, "range")
        return lambda _point, payload: payload.get(key, -1) >= bound


def _put(space: Space, body: Any) -> Any:
    points = only(body, {"points"})["points"]
    if not points:
        raise Wrong(422, "Empty update request")
    for point in points:
        only(point, {"id", "vector", "payload"})
        if len(point["vector"]) != space.dims:
            raise Wrong(
                400, f"Wrong input: Vector dimension error: expected dim: {space.dims}, got {len(point['vector'])}"
            )
    for point in points:
        space.put(_uuid(point["id"]), point["vector"], point["payload"])
    return _ok({"operation_id": 1, "status": "completed"})


def _uuid(text: Any) -> str:
    try:
        return str(UUID(text))
    except (ValueError, AttributeError, TypeError):
        raise Wrong(400, f"value {text} is not a valid point ID") from None


def _ok(result: Any) -> Any:
    return {"result": result, "status": "ok", "time": 0.001}
