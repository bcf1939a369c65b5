"""Generated pages are current, and the committed schema accepts what the program accepts."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from graph_runtime.cli.docs import pages
from graph_runtime.contract.catalog import load_catalog
from graph_runtime.places import REPOSITORY

DOCS = REPOSITORY / "docs"
CATALOG = load_catalog(("nodes", "connectors"))
FLOWS = sorted((REPOSITORY / "templates").glob("*/*flow.json"))


@pytest.mark.parametrize("name", sorted(pages(CATALOG)))
def test_a_generated_page_is_current(name: str) -> None:
    assert (DOCS / name).read_text("utf-8") == pages(CATALOG)[name], "run ./patchcord docs and commit what it wrote"


def schema() -> dict[str, Any]:
    """The committed schema."""
    document: dict[str, Any] = json.loads((DOCS / "schema" / "flow-1.json").read_text("utf-8"))
    return document


def test_the_schema_is_valid_json_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("file", FLOWS, ids=lambda f: f"{f.parent.name}/{f.name}")
def test_every_template_fits_the_schema(file: Any) -> None:
    jsonschema.Draft202012Validator(schema()).validate(json.loads(file.read_text("utf-8")))


@pytest.mark.parametrize(
    "broken",
    [
        {"format": "flow/2"},
        {"format": "flow/1", "nodes": {"n_a": {"settings": {}}}},
        {"format": "flow/1", "nodes": {"n_a": {"type": "ask", "settings": {"retries": "many"}}}},
        {"format": "flow/1", "edges": {"n_a.next": 5}},
    ],
)
def test_a_damaged_flow_does_not_fit(broken: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema()).validate(broken)
