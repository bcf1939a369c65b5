"""Every kind of edit applied by Python, written to edit_fixtures.json: the browser's mirror must give the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from graph_runtime.contract.edits import EDITS, conflicting
from graph_runtime.contract.errors import EditInvalid
from graph_runtime.contract.flow import load_flow

FILE = Path(__file__).with_name("edit_fixtures.json")

FLOW: dict[str, Any] = {
    "format": "flow/1", "id": "f", "name": "Flow", "locale": "en", "entry": {"message": "n_a", "call": "n_b"},
    "connections": {"llm": {"kind": "chat_model", "label": "Model"}},
    "variables": {"budget": {"type": "number", "label": "Budget"}},
    "nodes": {
        "n_a": {"type": "start", "name": "Start"},
        "n_b": {"type": "ask", "name": "Ask", "note": "n", "settings": {"text": "Why?", "retries": 2, "deep": {"x": [1, {"y": None}]}}},
        "n_c": {"type": "end"},
    },
    "edges": {"n_a.next": "n_b", "n_b.answered": "n_c", "n_b.invalid": "n_b"},
    "i18n": {"ru": {"n_b.text": "Почему?"}},
    "layout": {"nodes": {"n_a": [0, 0], "n_b": [320, 8]}},
}  # fmt: skip
CITY = {"type": "text", "label": "City", "scope": "contact", "default": "Kyiv", "secret": False}
NODE = {"type": "send_message", "v": 2, "name": "Message", "settings": {"text": "Hi"}}

CASES: dict[str, list[dict[str, Any]]] = {
    "a step is added": [{"kind": "add_node", "id": "n_d", "node": NODE, "at": [8, 16]}],
    "a step with a known id is refused": [{"kind": "add_node", "id": "n_a", "node": NODE, "at": [0, 0]}],
    "a step is removed with its wires and its starts": [{"kind": "remove_node", "id": "n_b"}],
    "two joined steps are removed": [{"kind": "remove_node", "id": "n_a"}, {"kind": "remove_node", "id": "n_b"}],
    "a step that is gone cannot be removed": [{"kind": "remove_node", "id": "n_x"}],
    "a step is moved": [{"kind": "move_node", "id": "n_b", "at": [-40, 80]}],
    "a step without a place is moved": [{"kind": "move_node", "id": "n_c", "at": [1, 2]}],
    "settings are set": [{"kind": "change_settings", "id": "n_b", "set": {"text": "How?", "fresh": [1, 2]}}],
    "settings are removed": [{"kind": "change_settings", "id": "n_b", "remove": ["retries", "unknown"]}],
    "a setting that is both removed and set is set": [{"kind": "change_settings", "id": "n_b", "set": {"text": "Z"}, "remove": ["text"]}],
    "settings of a step that is gone": [{"kind": "change_settings", "id": "n_x", "set": {"a": 1}}],
    "a step is renamed": [{"kind": "change_node", "id": "n_b", "name": "Ask again"}],
    "a name is emptied": [{"kind": "change_node", "id": "n_b", "name": "", "note": ""}],
    "a step is switched off": [{"kind": "change_node", "id": "n_c", "enabled": False}],
    "a wire is drawn": [{"kind": "connect", "port": "n_b.no_reply", "target": "n_c"}],
    "a wire is moved to another step": [{"kind": "connect", "port": "n_a.next", "target": "n_c"}],
    "a wire to a step that is gone": [{"kind": "connect", "port": "n_a.next", "target": "n_x"}],
    "a wire is taken away": [{"kind": "disconnect", "port": "n_a.next"}],
    "no wire to take away": [{"kind": "disconnect", "port": "n_c.next"}],
    "the start is set": [{"kind": "set_start", "trigger": "message", "node": "n_b"}],
    "the start is cleared": [{"kind": "set_start", "trigger": "call", "node": None}],
    "a variable is made": [{"kind": "set_variable", "id": "city", "variable": CITY}],
    "a variable is removed": [{"kind": "set_variable", "id": "budget", "variable": None}],
    "a connection is made": [{"kind": "set_connection", "id": "crm", "connection": {"kind": "crm", "label": "CRM"}}],
    "a connection is removed": [{"kind": "set_connection", "id": "llm", "connection": None}],
    "a translation is set": [{"kind": "set_text", "language": "uk", "key": "n_b.text", "text": "Чому?"}],
    "a translation is removed": [{"kind": "set_text", "language": "ru", "key": "n_b.text", "text": None}],
    "the flow is renamed": [{"kind": "rename_flow", "name": "Other"}],
    "the flow's language is changed": [{"kind": "rename_flow", "locale": "uk"}],
    "the pace is changed": [{"kind": "set_pace", "pace": {"gather_ms": 0, "while_busy": "interrupt"}}],
    "a step is inserted into a wire": [
        {"kind": "add_node", "id": "n_d", "node": NODE, "at": [160, 0]},
        {"kind": "connect", "port": "n_a.next", "target": "n_d"},
        {"kind": "connect", "port": "n_d.next", "target": "n_b"},
    ],
}  # fmt: skip


def outcome(edits_json: list[dict[str, Any]]) -> dict[str, Any]:
    """What Python makes of these edits on FLOW."""
    flow = load_flow(FLOW)
    edits = EDITS.validate_python(edits_json)
    undo: list[Any] = []
    try:
        for edit in edits:
            undo = [*edit.inverse(flow), *undo]
            flow = edit.apply(flow)
    except EditInvalid:
        return {"error": True}
    back = flow
    for edit in undo:
        back = edit.apply(back)
    return {
        "after": flow.to_json(),
        "back": back.to_json(),
        "undo": EDITS.dump_python(undo, mode="json"),
        "touches": sorted({p for e in edits for p in e.touches()}),
        "clashes": sorted(conflicting(edits, frozenset({"nodes/n_b", "edges/n_a.next", "name", "layout/n_c"}))),
    }


def fixtures() -> str:
    """The content of edit_fixtures.json."""
    cases = [
        {"name": name, "edits": EDITS.dump_python(EDITS.validate_python(edits), mode="json"), **outcome(edits)}
        for name, edits in CASES.items()
    ]
    flow = load_flow(FLOW).to_json()
    return json.dumps({"flow": flow, "cases": cases}, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(fixtures(), "utf-8")
