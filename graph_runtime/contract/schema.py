"""The JSON Schema (2020-12) of `flow/1`, generated from the models and from every step type's settings."""

from __future__ import annotations

import json
from typing import Any

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.flow import Flow


def flow_schema(catalog: Catalog) -> dict[str, Any]:
    """Schema of a whole document. A step of a known type has typed settings; unknown types are allowed."""
    schema = Flow.model_json_schema(ref_template="#/$defs/{model}")
    definitions: dict[str, Any] = schema.pop("$defs")
    definitions["Node"]["allOf"] = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {"properties": {"settings": {"$ref": f"#/$defs/settings_{name}"}}},
        }
        for name in sorted(catalog.nodes)
    ]
    for name in sorted(catalog.nodes):
        settings = catalog.nodes[name].settings.model_json_schema(
            ref_template=f"#/$defs/settings_{name}/$defs/{{model}}"
        )
        # A draft may leave required settings empty; the flow check (F003) asks for them before publishing.
        settings.pop("required", None)
        definitions[f"settings_{name}"] = settings
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:patchcord:flow:1",
        **schema,
        "$defs": definitions,
    }


def dumps_schema(catalog: Catalog) -> str:
    """The schema as committed under `docs/schema/flow-1.json`."""
    return json.dumps(flow_schema(catalog), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
