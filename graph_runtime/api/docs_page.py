"""The description of the public API: the OpenAPI document, and a page made from it that needs no script."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from graph_runtime import __version__
from graph_runtime.api.access import guards_of
from graph_runtime.api.errors import ProblemShape
from graph_runtime.services.api_keys import SCOPES

ABOUT: Final = (
    "Start conversations with your agents and take part in them; read, change and publish flows; be told what happens.\n\n"
    "Every request carries an API key in the header `Authorization: Bearer pck_…`. Keys are made on the page "
    "API keys; each has scopes, named at every operation.\n\n"
    "Errors are `application/problem+json`: `code` is stable and for programs, `detail` is a sentence for people.\n\n"
    "Mutations that begin or send something take the header `Idempotency-Key`: repeat a request whose answer got lost "
    "with the same key and body."
)


def openapi_document(app: FastAPI, public_url: str) -> dict[str, Any]:
    """OpenAPI 3.1 of everything under /api/v1."""
    routes = [r for r in app.router.routes if isinstance(r, APIRoute) and r.path.startswith("/api/v1/")]
    document = get_openapi(
        title="Patchcord API",
        version=__version__,
        description=ABOUT,
        routes=routes,
        servers=[{"url": public_url}],
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = ProblemShape.model_json_schema(ref_template="#/components/schemas/{model}")
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "pck_…"}}
    by_place = {(route.path, method.lower()): route for route in routes for method in route.methods or ()}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _describe(operation, _scopes(by_place[path, method]))
    return document


def _scopes(route: APIRoute) -> list[str]:
    names = (name.removeprefix("key:").split() for name in guards_of(route) if name.startswith("key:"))
    return sorted({scope for group in names for scope in group if scope in SCOPES})


def _describe(operation: dict[str, Any], scopes: list[str]) -> None:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses = operation["responses"]
    responses.pop("422", None)
    if scopes:
        operation["security"] = [{"key": []}]
        operation["x-scopes"] = scopes
        named = " and ".join(f"`{scope}`" for scope in scopes)
        operation["description"] = f"{operation.get('description', '')}\n\nNeeds the scope {named}.".strip()
    responses["default"] = {"description": "A problem; see `code` and `detail`.", "content": problem}


STYLE: Final = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:16px/1.55 system-ui,sans-serif;max-width:56rem;margin:0 auto;padding:2rem 1rem 6rem}
h1{margin:.2em 0}h2{margin:2.5em 0 .5em;border-bottom:1px solid var(--line)}h3{margin:1em 0 .3em;font-size:1rem}
details{border:1px solid var(--line);border-radius:10px;margin:.6rem 0;padding:0 1rem}
summary{cursor:pointer;padding:.7rem 0;display:flex;gap:.8rem;align-items:baseline;flex-wrap:wrap}
summary b{font:600 .8rem ui-monospace,monospace;min-width:3.2rem}
code,pre{font:.88rem/1.5 ui-monospace,monospace}code{background:var(--soft);border-radius:4px;padding:.1em .3em}
pre{background:var(--soft);border-radius:8px;padding:.8rem;overflow:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}td,th{text-align:left;vertical-align:top;padding:.35rem .6rem .35rem 0}
td,th{border-top:1px solid var(--line)}
.muted{opacity:.7}.wrap{overflow-x:auto}
"""


def docs_html(document: Mapping[str, Any]) -> str:
    """The document as a page."""
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = operation.get("tags", ["Other"])[0]
            groups.setdefault(tag, []).append(_operation(document, method, path, operation))
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(parts)}" for tag, parts in groups.items())
    schemas = "".join(
        f"<details id='{escape(name)}'><summary><code>{escape(name)}</code></summary>{_schema(document, schema)}</details>"
        for name, schema in document["components"]["schemas"].items()
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'><title>Patchcord API</title>"
        "<link rel='icon' href='data:,'><link rel='stylesheet' href='/api/docs.css'></head><body>"
        f"<h1>Patchcord API</h1><p class='muted'>Version {escape(document['info']['version'])} · "
        f"<a href='/api/openapi.json'>OpenAPI document</a> · <a href='/api/v1/schema/flow-1.json'>schema of flows</a></p>"
        f"{_paragraphs(document['info']['description'])}{body}<h2>Shapes</h2>{schemas}</body></html>"
    )


def _operation(document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code><br><span class='muted'>{escape(p['in'])}"
        f"{', required' if p.get('required') else ''}</span></td><td>{_type(p.get('schema', {}))}</td>"
        f"<td>{_inline(p.get('description', ''))}</td></tr>"
        for p in operation.get("parameters", ())
    )
    parameters = f"<h3>Parameters</h3><div class='wrap'><table>{rows}</table></div>" if rows else ""
    body = ""
    if "requestBody" in operation:
        body = f"<h3>Body</h3>{_content(document, operation['requestBody']['content'])}"
    answers = "".join(
        f"<h3>{escape(status if status != 'default' else 'Errors')} · {_inline(answer['description'])}</h3>"
        f"{_content(document, answer.get('content', {}))}"
        for status, answer in operation["responses"].items()
    )
    return (
        f"<details><summary><b>{escape(method.upper())}</b><code>{escape(path)}</code> "
        f"<span class='muted'>{escape(operation.get('summary', ''))}</span></summary>"
        f"{_paragraphs(operation.get('description', ''))}{parameters}{body}{answers}</details>"
    )


def _content(document: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    return "".join(
        f"<p><code>{escape(mime)}</code> {_type(value.get('schema', {}))}</p>{_examples(document, value)}"
        for mime, value in content.items()
    )


def _examples(document: Mapping[str, Any], value: Mapping[str, Any]) -> str:
    schema = value.get("schema", {})
    found = value.get("examples") or schema.get("examples") or _target(document, schema).get("examples") or ()
    examples = [e["value"] for e in found.values()] if isinstance(found, dict) else found
    return "".join(f"<pre>{escape(json.dumps(e, ensure_ascii=False, indent=2))}</pre>" for e in examples)


def _schema(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code><br><span class='muted'>{'required' if name in required else ''}</span></td>"
        f"<td>{_type(inner)}</td><td>{_inline(inner.get('description', ''))}</td></tr>"
        for name, inner in schema.get("properties", {}).items()
    )
    table = f"<div class='wrap'><table>{rows}</table></div>" if rows else f"<p>{_type(schema)}</p>"
    return f"{_paragraphs(schema.get('description', ''))}{table}{_examples(document, {'schema': schema})}"


def _target(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(schema.get("$ref", "")).removeprefix("#/components/schemas/")
    found: Mapping[str, Any] = document["components"]["schemas"].get(name, {})
    return found


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(str(schema["$ref"]).rpartition("/")[2])
        return f"<a href='#{name}'>{name}</a>"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_type(part) for part in schema[several])
    if "enum" in schema:
        return " ".join(f"<code>{escape(json.dumps(v, ensure_ascii=False))}</code>" for v in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(str(schema.get("type", "any value")))


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.split("\n\n") if part.strip())


def _inline(text: str) -> str:
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
