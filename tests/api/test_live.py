"""What leaves the workspace: events and messages as people outside see them."""

from __future__ import annotations

from typing import Any

from graph_runtime.api.live import for_contact, public_message


def test_of_a_source_only_what_clients_may_open_is_shown() -> None:
    source = {"number": 1, "title": "Prices", "heading": "", "page": 2, "url": "", "text": "", "document_id": "d-1"}
    plain = {"kind": "choices", "text": "Which?", "options": []}
    message: dict[str, Any] = {
        "seq": 3, "role": "agent", "key": "k", "parts": [{"kind": "text", "text": "Ten [1]", "sources": [source]}, plain],
        "text": "Ten [1]", "node_id": "n_1", "turn_id": "t",
    }  # fmt: skip
    shown = public_message(message)
    assert "document_id" not in str(shown)
    assert shown["parts"][0]["sources"] == [{k: v for k, v in source.items() if k != "document_id"}]
    assert shown["parts"][1] == plain
    assert message["parts"][0]["sources"][0]["document_id"] == "d-1", "members go on seeing it"
    assert not {"node_id", "turn_id"} & shown.keys()
    assert for_contact({"type": "message", "message": message}) == {"type": "message", "message": shown}
    assert for_contact({"type": "step", "node_id": "n_1"}) is None
