"""Plays a template's written dialogues through the real engine with the demo model."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.flow import Flow, load_flow
from graph_runtime.contract.knowledge import KnowledgePassage
from graph_runtime.contract.messages import Reply, SaidMessage
from graph_runtime.engine.compile import compile_flow
from graph_runtime.engine.effects import MemoryJournal
from graph_runtime.engine.models import ModelRunner
from graph_runtime.engine.run import TurnResult, run_turn
from graph_runtime.engine.turn import Doors, Trigger
from graph_runtime.knowledge.few import few_passages, passage

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Template:
    """One folder of `templates/`."""

    folder: Path
    flow: Flow
    flows: dict[str, Flow]
    meta: dict[str, Any]
    dialogues: list[dict[str, Any]]
    knowledge: list[KnowledgePassage] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.folder.name


def load(folder: Path) -> Template:
    """Read a template."""
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    others = [load_flow(file.read_text("utf-8")) for file in sorted(folder.glob("*.flow.json"))]
    scenario = json.loads((folder / "scenario.json").read_text("utf-8"))
    return Template(
        folder,
        load_flow((folder / "flow.json").read_text("utf-8")),
        {f.id: f for f in others},
        meta,
        scenario["dialogues"],
        [passage(row["title"], row["text"], row.get("url", "")) for row in scenario.get("knowledge", ())],
    )


@dataclass
class Played:
    """A dialogue in progress: what was said, where it went, and what did not fit the scenario."""

    said: list[str] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    last: TurnResult | None = None


async def play(template: Template, dialogue: dict[str, Any], catalog: Catalog) -> Played:
    """Play every turn; differences are collected, not raised, so that one run shows them all."""
    models = [catalog.connectors["demo_model"].chat_model(None, "")]  # type: ignore[misc] # the demo model always has one

    async def bound(_slot: str) -> list[Any]:
        return [] if dialogue.get("without_model") else models

    doors = Doors(MemoryJournal(), ModelRunner(), bound, knowledge=few_passages(template.knowledge))
    compiled = compile_flow(template.flow, template.flows, catalog)
    played, now, state = Played(), MONDAY, None
    history: list[SaidMessage] = []
    buttons: dict[str, str] = {}
    for number, turn in enumerate(dialogue["turns"], 1):
        reply = None
        if "choose" in turn:
            reply = Reply(text=buttons.get(turn["choose"], turn["choose"]), option_id=turn["choose"])
        elif "say" in turn:
            reply = Reply(text=turn["say"])
        if reply is not None:
            history.append(SaidMessage(role="contact", text=reply.text))
        if turn.get("silence"):
            assert played.last is not None
            if played.last.due_at is None:
                played.wrong.append(f"turn {number}: nothing would ever happen here without an answer")
                break
            now = played.last.due_at
        kind: Literal["start", "timer", "message"] = (
            "start" if turn.get("start") else "timer" if turn.get("silence") else "message"
        )
        trigger = Trigger(
            kind,
            "w",
            "c",
            f"t{number}",
            number,
            now,
            language=dialogue["language"],
            reply=reply,
            history=tuple(history),
        )
        played.last = await run_turn(compiled, state, trigger, doors)
        state = played.last.state
        history += [SaidMessage(role="agent", text=m.text) for m in played.last.messages]
        buttons = {
            o["id"]: o["label"] for m in played.last.messages for p in m.parts for o in p.get("options", ()) or ()
        }
        path = [f"{node}.{port}" for node, port, _ in played.last.path]
        played.path += path
        texts = [m.text for m in played.last.messages]
        played.said += texts
        played.wrong += [f"turn {number}: {w}" for w in _differences(turn.get("expect", {}), texts, path, played.last)]
    last = played.last
    if last is None or not last.is_over or last.result != dialogue["expect_end"]:
        found = "nothing" if last is None else repr(last.result) if last.is_over else f"still waiting at {last.node_id}"
        played.wrong.append(f"end: expected {dialogue['expect_end']!r}, found {found}")
    return played


def _differences(expect: dict[str, Any], texts: list[str], path: list[str], result: TurnResult) -> list[str]:
    wrong = [f"the turn failed: {result.error}"] if result.error else []
    everything = "\n".join(texts)
    wrong += [f"expected {t!r} in {everything!r}" for t in expect.get("said_contains", ()) if t not in everything]
    shown = [s["title"] for m in result.messages for p in m.parts for s in p.get("sources", ())]
    if "sources" in expect and shown != expect["sources"]:
        wrong.append(f"expected the sources {expect['sources']}, found {shown}")
    wrong += [f"expected to pass {step} on {path}" for step in expect.get("path", ()) if step not in path]
    for name, value in expect.get("variables", {}).items():
        if result.variables.get(name) != value:
            wrong.append(f"expected {name} = {value!r}, found {result.variables.get(name)!r}")
    return wrong
