"""The first lines of a template's dialogue, played by the real engine with a model that needs no key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.flow import Flow
from graph_runtime.contract.knowledge import KnowledgePassage
from graph_runtime.contract.messages import Reply
from graph_runtime.contract.models import ChatModel
from graph_runtime.engine.compile import compile_flow
from graph_runtime.engine.effects import MemoryJournal
from graph_runtime.engine.models import ModelRunner
from graph_runtime.engine.run import run_turn
from graph_runtime.engine.turn import Doors, Trigger
from graph_runtime.knowledge.few import few_passages, passage

TURNS = 3
Line = Mapping[str, Any]
"""{"role": "agent" or "contact", "text", "options": labels of buttons}."""


async def play(
    main: Flow, subs: Mapping[str, Flow], scenario: Path, language: str, catalog: Catalog
) -> tuple[Line, ...]:
    """The beginning of the template's first dialogue in this language; empty when it has none."""
    turns = _turns(scenario, language)
    if not turns:
        return ()
    compiled = compile_flow(main, subs, catalog)
    doors = Doors(
        MemoryJournal(), runner=ModelRunner(), models=_models(catalog), knowledge=few_passages(_passages(scenario))
    )
    lines: list[Line] = []
    labels: dict[str, str] = {}
    state: bytes | None = None
    for number, turn in enumerate(turns[:TURNS], 1):
        chosen = str(turn.get("choose", ""))
        text = labels.get(chosen, chosen) or str(turn.get("say", ""))
        if number > 1 and not text:
            break
        if number > 1:
            lines.append({"role": "contact", "text": text, "options": []})
        trigger = Trigger(
            "start" if number == 1 else "message",
            "preview",
            "preview",
            f"turn-{number}",
            number,
            datetime.now(UTC),
            language=language,
            reply=Reply(text=text, option_id=chosen if chosen in labels else "") if number > 1 else None,
            is_test=True,
        )
        result = await run_turn(compiled, state, trigger, doors)
        state = result.state
        for part in (p for m in result.messages for p in m.parts):
            options = {str(o["id"]): str(o["label"]) for o in part.get("options") or ()}
            labels |= options
            lines.append({"role": "agent", "text": str(part.get("text", "")), "options": list(options.values())})
    return tuple(line for line in lines if line["text"] or line["options"])


def _models(catalog: Catalog) -> Any:
    async def find(_slot: str) -> Sequence[ChatModel]:
        free = [c for c in catalog.connectors.values() if not c.needs_credential and c.chat_model is not None]
        return [c.chat_model(c.settings(), "") for c in free if c.chat_model is not None]

    return find


def _passages(scenario: Path) -> list[KnowledgePassage]:
    rows = json.loads(scenario.read_text("utf-8")).get("knowledge", [])
    return [passage(row["title"], row["text"], row.get("url", "")) for row in rows]


@lru_cache(maxsize=200)
def _turns(scenario: Path, language: str) -> tuple[dict[str, Any], ...]:
    if not scenario.exists():
        return ()
    dialogues = json.loads(scenario.read_text("utf-8")).get("dialogues", [])
    spoken = [d.get("turns", []) for d in dialogues if d.get("language") == language]
    # A dialogue that begins with silence shows little of the agent.
    spoken.sort(key=lambda turns: not all("say" in t or "choose" in t for t in turns[1:TURNS]))
    return tuple(spoken[0]) if spoken else ()
