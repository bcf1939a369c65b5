"""What an answer in a transcript rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SourceItem:
    """Below an answer: "[1] Delivery › Prices". `document_id` "": it was said before documents were noted."""

    number: int
    label: str
    heading: str
    page: int
    document_id: str


def source_items(parts: Sequence[Mapping[str, Any]]) -> list[SourceItem]:
    """What a stored message says that it is based on."""
    told = [s for part in parts for s in part.get("sources") or ()]
    return [
        SourceItem(
            int(s["number"]), f"[{s['number']}] " + " › ".join(filter(None, (s["title"], s.get("heading", "")))),
            str(s.get("heading") or ""), int(s.get("page") or 0), str(s.get("document_id") or ""),
        )
        for s in told
    ]  # fmt: skip
