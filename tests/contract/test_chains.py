"""The chain document: what it refuses, what keeps it from going live, and what it reads of a contact."""

from __future__ import annotations

from typing import Any

import pytest

from graph_runtime.contract.chains import Chain, ContactFacts, Wording, problems, read_chain
from graph_runtime.contract.errors import FlowDamaged

GOLD = {"left": {"ref": "contact.tier"}, "op": "eq", "right": {"value": "gold"}}


def step(kind: str, **more: Any) -> dict[str, Any]:
    return {"id": "s", "kind": kind, **more}


CASES = [
    ("no_steps", None),
    ("no_text", step("message")),
    ("no_text", step("message", wordings=[{"id": "a", "texts": {"": "  "}}])),
    ("template", step("message", wordings=[{"id": "a", "texts": {"": "{{ contact.name"}}])),
    ("no_agent", step("flow")),
    ("no_line", step("call")),
    ("no_note", step("notify")),
    ("no_subscription", step("webhook")),
    ("no_change", step("update")),
    ("no_crm", step("crm", note="x")),
    ("nothing_written", step("crm", agent_id="a", slot="crm")),
    ("template", step("crm", agent_id="a", slot="crm", task="{{ oops")),
    ("no_field", step("notify", text="x", delay={"since": "field"})),
    ("before", step("notify", text="x", delay={"before": True})),
    ("at", step("notify", text="x", delay={"unit": "hours", "at": "11:00"})),
    ("condition", step("notify", text="x", only_if={**GOLD, "left": {"ref": "var.budget"}})),
    ("", step("notify", text="x", only_if=GOLD)),
]


@pytest.mark.parametrize(("code", "only"), CASES)
def test_what_keeps_a_chain_from_going_live(code: str, only: dict[str, Any] | None) -> None:
    chain = read_chain({"steps": [only] if only else []})
    assert [p.code for p in problems(chain)] == ([code] if code else [])
    assert read_chain(chain.to_json()) == chain
    assert read_chain(chain.to_json()).content_hash() == chain.content_hash()


def test_a_zone_and_a_stop_rule_are_checked_too() -> None:
    stop = {"when": {**GOLD, "left": {"ref": "message.text"}}}
    chain = read_chain({"time_zone": "Mars", "stop": stop, "quiet": None, "steps": [step("notify", text="x")]})
    assert [p.code for p in problems(chain)] == ["time_zone", "condition"]
    assert read_chain(chain.to_json()).quiet is None


@pytest.mark.parametrize(
    "document",
    [
        [], {"steps": [{"kind": "message"}]}, {"steps": [step("unknown")]}, {"steps": [step("notify"), step("notify")]},
        {"steps": [step("notify", delay={"amount": -1})]}, {"quiet": {"start": "25:00"}}, {"steps": [step("notify")] * 101},
        {"steps": [step("notify", text="x" * 600_000)]}, {"steps": [step("update", fields=[{"name": "a b"}])]},
    ],
)  # fmt: skip
def test_what_is_no_chain_says_where(document: Any) -> None:
    with pytest.raises(FlowDamaged):
        read_chain(document)


def test_a_contact_is_read_by_columns_then_fields_then_variables() -> None:
    contact = ContactFacts(
        name="Anna",
        tags=("vip",),
        fields={"name": "A.", "tier": "gold", "deep": {"x": 1}},
        variables={"tier": "silver"},
    )
    assert contact.resolve("contact.name") == "Anna"
    assert contact.resolve("contact.tier") == "gold"
    assert contact.resolve("contact.deep.x") == 1
    assert contact.resolve("contact.nothing.x") is None
    assert contact.resolve("var.tier") is None
    assert contact.render("{{ contact.name }} {{ contact.tier }} {{ var.x }}") == "Anna gold "
    assert contact.render("{{ broken") == "{{ broken"
    assert contact.fits(None)
    assert contact.fits(Chain.model_validate({"stop": {"when": GOLD}}).stop.when)


def test_a_wording_speaks_the_language_of_the_contact_or_its_main_one() -> None:
    wording = Wording(id="a", texts={"": "Hello", "uk": "Вітаю"})
    assert (wording.text("uk"), wording.text("ru"), Wording(id="b").text("en")) == ("Вітаю", "Hello", "")
