"""Weaviate as its REST and GraphQL interfaces are: classes with properties, batches whose objects succeed one by one.

GraphQL is read by a small parser of its own, so that a text that ends too early or a missing bracket is an error here, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.fakes.vectors.serving import FakeStore, Space, Wrong, only

Holds = Callable[[str, dict[str, Any]], bool]
_CLASS = re.compile(r"[A-Z][_0-9A-Za-z]*")
_TOKEN = re.compile(r'\s*(?:([{}()\[\]:,])|("(?:[^"\\\n]|\\.)*")|(-?\d[\d.eE+-]*)|([A-Za-z_]\w*))')
_TEXT = {"dataType": ["text"], "tokenization": "field", "indexFilterable": True, "indexSearchable": False}
_NUMBER = {"dataType": ["int"], "indexFilterable": True}


@dataclass
class WeaviateFake(FakeStore):
    """`classes`: as they were made. `most_deleted`: what one request removes at most."""

    classes: dict[str, dict[str, Any]] = field(default_factory=dict)
    most_deleted: int = 2
    distance: str = "cosine"

    def is_authorised(self, headers: Mapping[str, str]) -> bool:
        """A bearer token."""
        return headers.get("authorization") == f"Bearer {self.key}"

    def handle(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        """See `FakeStore`."""
        if (method, path) == ("GET", "/v1/schema"):
            return {"classes": list(self.classes.values())}
        if (method, path) == ("POST", "/v1/schema"):
            return self._make(body)
        if method == "GET" and path.startswith("/v1/schema/"):
            name = path.removeprefix("/v1/schema/")
            if name not in self.spaces:
                raise Wrong(404, "")
            return self.classes[name] | {"vectorIndexConfig": {"distance": self.distance, "ef": -1}}
        if (method, path) == ("POST", "/v1/batch/objects"):
            return [self._put(one) for one in only(body, {"objects"})["objects"]]
        if (method, path) == ("DELETE", "/v1/batch/objects"):
            return self._delete(body)
        if (method, path) == ("POST", "/v1/graphql"):
            return self._search(only(body, {"query"})["query"])
        raise Wrong(404, "no such page")

    def _make(self, body: Any) -> Any:
        only(body, {"class", "vectorizer", "vectorIndexType", "vectorIndexConfig", "properties"})
        if not _CLASS.fullmatch(body["class"]) or body["class"] in self.spaces:
            raise Wrong(422, f"class name {body['class']} already exists, or is none")
        if body["vectorIndexConfig"] != {"distance": "cosine"} or body["vectorizer"] != "none":
            raise Wrong(422, "vectorIndexConfig")
        for one in body["properties"]:
            if {k: v for k, v in one.items() if k != "name"} not in (_TEXT, _NUMBER) or one["name"] == "id":
                raise Wrong(422, f"property {one}")
        self.classes[body["class"]] = body
        self.spaces[body["class"]] = Space(None)
        return body

    def _properties(self, name: str) -> dict[str, str]:
        return {p["name"]: p["dataType"][0] for p in self.classes[name]["properties"]}

    def _put(self, one: Any) -> Any:
        only(one, {"class", "id", "properties", "vector"})
        name = one["class"]
        if name not in self.spaces:  # made from the object, as an untouched server does
            self.classes[name] = {"class": name, "properties": []}
            self.spaces[name] = Space(None)
        kinds = self._properties(name)
        try:
            for key, value in one["properties"].items():
                if type(value) is not {"text": str, "int": int}.get(kinds.get(key, "")):
                    raise Wrong(422, f"invalid property {key}")
            self.spaces[name].put(str(UUID(one["id"])), one["vector"], one["properties"])
        except Wrong as wrong:
            said = f"new node has a vector with length. Existing nodes have vectors with length: {wrong.why}"
            return {"id": one["id"], "result": {"status": "FAILED", "errors": {"error": [{"message": said}]}}}
        return {"id": one["id"], "result": {"status": "SUCCESS"}}

    def _delete(self, body: Any) -> Any:
        match = only(only(body, {"match", "output"})["match"], {"class", "where"})
        if match["class"] not in self.spaces:
            raise Wrong(422, f"failed to get class: {match['class']}")
        space = self.spaces[match["class"]]
        found = space.matching(self._where(match["class"], match["where"], "valueTextArray"))
        for row in found[: self.most_deleted]:
            del space.rows[row]
        results = {
            "matches": min(len(found), self.most_deleted),
            "limit": self.most_deleted,
            "successful": 0,
            "failed": 0,
        }
        return {"match": match, "output": body["output"], "results": results}

    def _search(self, text: str) -> Any:
        if not self.classes:
            raise Wrong(422, "no graphql provider present, this is most likely because no schema is present.")
        (get,) = parsed(text)
        ((name, arguments, wanted),) = get[2]
        if get[0] != "Get" or wanted != [("passage", {}, [])]:
            raise Wrong(422, "query")
        if name not in self.spaces:
            return {"errors": [{"message": f'Cannot query field "{name}" on type "GetObjectsObj".'}]}
        only(arguments, {"nearVector", "where", "limit"})
        space = self.spaces[name]
        ids = space.matching(self._where(name, arguments["where"], "valueText"))
        near = space.nearest(only(arguments["nearVector"], {"vector"})["vector"], arguments["limit"], ids)
        return {"data": {"Get": {name: [{"passage": space.rows[i][1]["passage"]} for i, _ in near]}}}

    def _where(self, name: str, asked: Any, texts: str) -> Holds:
        if only(asked, {"operator", "operands"})["operator"] != "And" or not asked["operands"]:
            raise Wrong(422, "where")
        parts = [self._condition(self._properties(name), one, texts) for one in asked["operands"]]
        return lambda row, fields: all(part(row, fields) for part in parts)

    def _condition(self, kinds: Mapping[str, str], asked: Any, texts: str) -> Holds:
        (key,) = asked["path"]
        if asked["operator"] == "GreaterThanEqual" and kinds.get(key) == "int":
            bound = only(asked, {"path", "operator", "valueInt"})["valueInt"]
            return lambda _row, fields: fields[key] >= bound
        values = only(asked, {"path", "operator", texts})[texts]
        if asked["operator"] != "ContainsAny" or not values or not all(isinstance(v, str) for v in values):
            raise Wrong(422, f"invalid where filter: {asked}")
        if key == "id":
            return lambda row, _fields: row in values
        if kinds.get(key) != "text":
            raise Wrong(422, f"no such property: {key}")
        trimmed = [v.strip() for v in values]  # a whole text is compared without the spaces around it
        return lambda _row, fields: fields[key].strip() in trimmed


def parsed(text: str) -> list[tuple[str, dict[str, Any], list[Any]]]:
    """Selections of a query: (name, arguments, selections). Raises: Wrong."""
    tokens: list[str] = []
    at = 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if found is None:
            raise Wrong(422, f"Syntax Error GraphQL at {at}")
        tokens.append(found[0].strip())
        at = found.end()
    reader = _Reader(tokens)
    selections = reader.selections()
    if reader.tokens:
        raise Wrong(422, "Syntax Error GraphQL: more than one document")
    return selections


@dataclass
class _Reader:
    tokens: list[str]

    def take(self, expected: str = "") -> str:
        if not self.tokens or (expected and self.tokens[0] != expected):
            raise Wrong(422, f"Syntax Error GraphQL: expected {expected}, found {self.tokens[:1]}")
        return self.tokens.pop(0)

    def comes(self, token: str) -> bool:
        return bool(self.tokens) and self.tokens[0] == token

    def selections(self) -> list[tuple[str, dict[str, Any], list[Any]]]:
        self.take("{")
        found = []
        while not self.comes("}"):
            name = self.take()
            arguments = self.pairs("(", ")") if self.comes("(") else {}
            found.append((name, arguments, self.selections() if self.comes("{") else []))
        self.take("}")
        return found

    def pairs(self, opens: str, closes: str) -> dict[str, Any]:
        self.take(opens)
        found = {}
        while not self.comes(closes):
            name = self.take()
            self.take(":")
            found[name] = self.value()
            if self.comes(","):
                self.take()
        self.take(closes)
        return found

    def value(self) -> Any:
        if self.comes("{"):
            return self.pairs("{", "}")
        if self.comes("["):
            self.take()
            values = []
            while not self.comes("]"):
                values.append(self.value())
                if self.comes(","):
                    self.take()
            self.take("]")
            return values
        token = self.take()
        return token if token[0].isalpha() else json.loads(token)
