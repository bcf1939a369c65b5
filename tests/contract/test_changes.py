"""What changed, in words."""

from __future__ import annotations

from typing import Any

from graph_runtime.contract.changes import MESSAGES, describe
from graph_runtime.contract.edits import (
    AddNode,
    ChangeNode,
    ChangeSettings,
    Connect,
    Disconnect,
    Edit,
    MoveNode,
    RemoveNode,
    SetText,
    SetVariable,
    apply_edits,
)
from graph_runtime.contract.flow import Node, Variable
from tests.engine.sample_nodes import CATALOG, flow

OLD = flow(
    {"n_s": "start", "n_a": ("say", {"text": "Hi"}), "n_b": "say", "n_e": "end"},
    {"n_s.next": "n_a", "n_a.next": "n_b", "n_b.next": "n_e"},
)


def said(*edits: Edit, language: str = "en") -> list[str]:
    """Sentences after these edits."""
    return [c.message(language) for c in describe(OLD, apply_edits(OLD, list(edits)), CATALOG)]


def test_moving_is_not_a_change() -> None:
    assert said(MoveNode(id="n_a", at=(5, 5))) == []


def test_each_kind_has_its_sentence() -> None:
    step: dict[str, Any] = {"id": "n_x", "node": Node(type="ask", name="Budget?")}
    assert said(AddNode(**step)) == ["New step “Budget?”"]
    assert said(RemoveNode(id="n_b")) == ["Step “Say” removed"]
    assert said(ChangeNode(id="n_a", name="Hello")) == ["Step “Say” is now called “Hello”"]
    assert said(ChangeNode(id="n_a", enabled=False)) == ["Step “Say” switched off"]
    assert said(ChangeSettings(id="n_a", set={"text": "Hey"}), language="ru") == ["«Say»: изменено поле «Текст»"]
    assert said(Connect(port="n_a.next", target="n_e")) == ["“Say” now leads to “End”"]
    assert said(Disconnect(port="n_a.next")) == ["Wire removed: “Say” → “Say”"]
    assert said(SetVariable(id="b", variable=Variable(label="Budget"))) == ["New variable “Budget”"]
    assert said(SetText(language="ru", key="n_a.text", text="Привет")) == ["Translations changed (ru): 1"]


def test_a_changed_text_shows_before_and_after() -> None:
    (change,) = describe(OLD, apply_edits(OLD, [ChangeSettings(id="n_a", set={"text": "Hey"})]), CATALOG)
    assert (change.old, change.new) == ("Hi", "Hey")


def test_the_first_version_counts_its_steps() -> None:
    assert [c.message("uk") for c in describe(None, OLD, CATALOG)] == ["Перша версія, кроків: 4"]


def test_three_languages() -> None:
    assert all(set(words) == {"en", "ru", "uk"} for words in MESSAGES.values())
