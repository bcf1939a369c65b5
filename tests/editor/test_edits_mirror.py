"""The browser applies edits exactly as the server does."""

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page

from tests.editor.edit_cases import FILE, fixtures

RUN = """({flow, cases}) => cases.map((c) => {
  const { applyEdits, applyEdit, inverse, touches, conflicting } = patchcordEditor.edits;
  try {
    let now = flow, undo = [];
    for (const e of c.edits) { undo = [...inverse(now, e), ...undo]; now = applyEdit(now, e); }
    const paths = [...new Set(c.edits.flatMap(touches))].sort();
    const theirs = ["nodes/n_b", "edges/n_a.next", "name", "layout/n_c"];
    return { after: now, undo, back: applyEdits(now, undo), touches: paths, clashes: [...new Set(c.edits.flatMap((e) => conflicting(e, theirs)))].sort() };
  } catch (error) { return { error: true }; }
})"""


def plain(edits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Edits without what says nothing: a null that means "not given" and empty collections of settings."""
    optional = {
        "change_node": ("name", "note", "enabled"),
        "rename_flow": ("name", "locale"),
        "change_settings": ("set", "remove"),
    }
    return [
        {k: v for k, v in e.items() if not (k in optional.get(e["kind"], ()) and (v is None or v in ({}, [])))} for e in edits
    ]  # fmt: skip


def test_the_fixture_file_is_what_python_does_today() -> None:
    assert FILE.read_text("utf-8") == fixtures(), "run: python -m tests.editor.edit_cases"


def test_the_browser_gives_the_same_documents_inverses_and_paths(open_editor: Callable[..., Page]) -> None:
    page = open_editor("flow-empty")
    data = json.loads(FILE.read_text("utf-8"))
    for case, got in zip(data["cases"], page.evaluate(RUN, data), strict=True):
        if case.get("error"):
            assert got == {"error": True}, case["name"]
            continue
        assert got["after"] == case["after"], case["name"]
        assert got["back"] == case["back"], case["name"]
        assert plain(got["undo"]) == plain(case["undo"]), case["name"]
        assert got["touches"] == case["touches"], case["name"]
        assert got["clashes"] == case["clashes"], case["name"]
