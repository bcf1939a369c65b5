"""The flow check: each finding has its example, and a healthy flow has none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.edits import apply_edits
from graph_runtime.contract.flow import Flow
from graph_runtime.contract.problems import MESSAGES, Problem
from graph_runtime.engine.validate import FlowCheck, Surroundings
from tests.engine.sample_nodes import CATALOG, flow

BOUND = Surroundings(bound=frozenset({"llm"}))


def check(document: Flow, around: Surroundings = BOUND, catalog: Catalog = CATALOG) -> tuple[Problem, ...]:
    """A check with nothing remembered."""
    return FlowCheck(catalog).check(document, around)


def codes(document: Flow, around: Surroundings = BOUND) -> list[str]:
    """Codes found."""
    return [p.code for p in check(document, around)]


LINE = {"n_s.next": "n_a", "n_a.next": "n_e"}
HEALTHY = flow({"n_s": "start", "n_a": "say", "n_e": "end"}, LINE)


def test_a_healthy_flow_has_no_problems() -> None:
    assert check(HEALTHY) == ()


def test_an_open_exit_blocks_and_its_fix_closes_it() -> None:
    document = flow({"n_s": "start", "n_a": "say"}, {"n_s.next": "n_a"})
    (problem,) = check(document)
    assert (problem.code, problem.level, problem.node_id, problem.port) == ("F001", "error", "n_a", "next")
    assert problem.fix is not None
    assert check(apply_edits(document, list(problem.fix.edits))) == ()


def test_an_open_no_reply_exit_is_only_a_warning() -> None:
    found = check(flow({"n_s": "start", "n_a": "ask", "n_e": "end"}, {"n_s.next": "n_a", "n_a.answered": "n_e"}))
    assert [(p.code, p.level) for p in found] == [("F001", "warning")]


def test_a_step_nobody_reaches_can_be_deleted() -> None:
    document = flow({"n_s": "start", "n_a": "say", "n_e": "end", "n_x": "end"}, LINE)
    (problem,) = check(document)
    assert (problem.code, problem.node_id) == ("F002", "n_x")
    assert problem.fix is not None
    assert check(apply_edits(document, list(problem.fix.edits))) == ()


def test_no_start() -> None:
    assert codes(flow({"n_a": "end"}, {})) == ["F022"]
    assert codes(flow({"n_a": "end"}, {}, entry={"message": "n_a"})) == []


@pytest.mark.parametrize(
    ("settings", "field", "says"),
    [
        ({"text": ""}, "text", "please fill this in"),
        ({"text": "Hi", "count": 9}, "count", "at most 5"),
        ({"text": "Hi", "count": "many"}, "count", "a number is needed"),
        ({"text": "Hi", "count": 2}, "extra", "please fill this in"),
        ({"text": ["Hi"]}, "text", "does not fit"),
        ({"text": "x" * 3000}, "text", "at most 2000 characters"),
    ],
)
def test_settings_are_checked_at_their_field(settings: dict[str, Any], field: str, says: str) -> None:
    found = check(flow({"n_s": "start", "n_a": ("say", settings), "n_e": "end"}, LINE))
    assert [(p.code, p.field) for p in found] == [("F003", field)]
    assert says in found[0].message()


def test_a_field_speaks_the_language_of_the_person() -> None:
    (problem,) = check(flow({"n_s": "start", "n_a": ("say", {"text": ""}), "n_e": "end"}, LINE))
    assert problem.message("ru") == "«Текст»: заполните это поле"
    assert problem.message("uk") == "«Текст»: заповніть це поле"


def test_a_model_that_is_not_set_up_is_said_once() -> None:
    edges = {"n_s.next": "n_a", "n_a.next": "n_b", "n_a.error": "n_e", "n_b.next": "n_e", "n_b.error": "n_e"}
    document = flow({"n_s": "start", "n_a": "prompt", "n_b": "prompt", "n_e": "end"}, edges)
    assert codes(document, Surroundings()) == ["F004"]
    assert codes(document, Surroundings(bound=frozenset({"*"}))) == []
    assert codes(document) == []


def test_a_loop_without_waiting_blocks_and_names_the_steps() -> None:
    document = flow(
        {"n_s": "start", "n_a": "say", "n_b": "say"}, {"n_s.next": "n_a", "n_a.next": "n_b", "n_b.next": "n_a"}
    )
    (problem,) = check(document)
    assert (problem.code, problem.level) == ("F005", "error")
    assert "Say, Say" in problem.message()


@pytest.mark.parametrize("breaker", ["ask", "check"])
def test_a_loop_through_a_question_or_a_limit_is_fine(breaker: str) -> None:
    ports = {"ask": ("answered", "no_reply"), "check": ("failed", "ok")}[breaker]
    edges = {"n_s.next": "n_a", "n_a.next": "n_b", f"n_b.{ports[0]}": "n_a", f"n_b.{ports[1]}": "n_e"}
    assert codes(flow({"n_s": "start", "n_a": "say", "n_b": breaker, "n_e": "end"}, edges)) == []


BUDGET = {"budget": {"type": "number", "label": "Budget"}}


def asks_then_says(text: str, **rest: Any) -> Flow:
    """A question that both exits of which lead to a text."""
    return flow(
        {
            "n_s": "start",
            "n_a": ("ask", {"text": "?", "save_to": "budget"}),
            "n_b": ("say", {"text": text}),
            "n_e": "end",
        },
        {"n_s.next": "n_a", "n_a.answered": "n_b", "n_a.no_reply": "n_b", "n_b.next": "n_e"},
        **({"variables": BUDGET} | rest),
    )


def test_a_variable_that_may_be_empty_names_the_path() -> None:
    (problem,) = check(asks_then_says("Your budget: {{ var.budget }}"))
    assert (problem.code, problem.level, problem.node_id) == ("F006", "warning", "n_b")
    assert problem.message() == (
        "On the path via “No reply” of “Ask”, “Budget” is still empty here. Ask for it first or add a default."
    )


def test_a_default_makes_an_empty_variable_fine() -> None:
    assert codes(asks_then_says("Your budget: {{ var.budget | default: 'unknown' }}")) == []
    assert codes(asks_then_says("{{ var.budget }}", variables={"budget": {"type": "number", "default": 5}})) == []


def test_a_secret_in_a_text_blocks() -> None:
    document = flow({"n_s": "start", "n_a": ("say", {"text": "key sk-abcdefghijklmnop1234"}), "n_e": "end"}, LINE)
    assert [(p.code, p.level) for p in check(document)] == [("F011", "error")]


def test_missing_translations_are_counted() -> None:
    document = flow({"n_s": "start", "n_a": "say", "n_e": "end"}, LINE, locale="en", i18n={"ru": {}, "en": {}})
    (problem,) = check(document)
    assert (problem.code, problem.params["count"]) == ("F012", 1)
    assert codes(flow({"n_s": "start", "n_a": "say", "n_e": "end"}, LINE, i18n={"ru": {"n_a.text": "Привет"}})) == []


@pytest.mark.parametrize("wire", [{"n_gone.next": "n_e"}, {"n_a.renamed": "n_e"}, {"n_a.next": "n_gone"}])
def test_a_broken_wire_stays_visible_and_can_be_removed(wire: dict[str, str]) -> None:
    document = flow({"n_s": "start", "n_a": "say", "n_e": "end"}, LINE | wire)
    broken = [p for p in check(document) if p.code == "F016"]
    assert len(broken) == 1
    assert broken[0].fix is not None
    assert "F016" not in codes(apply_edits(document, list(broken[0].fix.edits)))


@pytest.mark.parametrize(
    ("text", "ref"),
    [("{{ var.nothing }}", "var.nothing"), ("{{ step.n_x.text }}", "step.n_x.text"), ("{{ name }}", "name")],
)
def test_a_reference_to_nothing_blocks(text: str, ref: str) -> None:
    found = check(flow({"n_s": "start", "n_a": ("say", {"text": text}), "n_e": "end"}, LINE))
    assert [(p.code, p.params["ref"]) for p in found] == [("F017", ref)]


def test_references_in_conditions_count_too() -> None:
    when = {"all": [{"left": {"ref": "var.gone"}, "op": "eq", "right": {"text": "{{ var.lost }}"}}]}
    document = flow(
        {"n_s": "start", "n_b": ("branch", {"cases": [{"id": "c_1", "when": when}]}), "n_e": "end"},
        {"n_s.next": "n_b", "n_b.c_1": "n_e", "n_b.else": "n_e"},
    )
    assert sorted(p.params["ref"] for p in check(document)) == ["var.gone", "var.lost"]


def test_a_template_that_cannot_be_read_blocks() -> None:
    assert codes(flow({"n_s": "start", "n_a": ("say", {"text": "Hi {{ x"}), "n_e": "end"}, LINE)) == ["F021"]


def test_an_unknown_step_type_stays_visible() -> None:
    found = check(flow({"n_s": "start", "n_a": "teleport", "n_e": "end"}, LINE))
    assert [(p.code, p.node_id) for p in found] == [("F020", "n_a")]


def calls(target: str, flow_id: str = "flw_1") -> Flow:
    """A flow that calls another."""
    return flow(
        {"n_s": "start", "n_a": ("run_flow", {"flow_id": target}), "n_e": "end"}, LINE, id=flow_id, name=flow_id
    )


def test_sub_flows() -> None:
    fine = Surroundings(flows={"flw_2": flow({"n_s": "start", "n_e": "end"}, {"n_s.next": "n_e"}, id="flw_2")})
    circle = Surroundings(flows={"flw_2": calls("flw_1", "flw_2")})
    assert codes(calls("flw_2"), fine) == []
    assert codes(calls("flw_2"), circle) == ["F019"]
    assert codes(calls("flw_1"), fine) == ["F019"]
    assert codes(calls("flw_9"), fine) == ["F023"]


def test_every_message_exists_in_three_languages_with_the_same_blanks() -> None:
    for code, words in MESSAGES.items():
        blanks = {lang: sorted(part.split("}")[0] for part in text.split("{")[1:]) for lang, text in words.items()}
        assert set(words) == {"en", "ru", "uk"}, code
        assert blanks["en"] == blanks["ru"] == blanks["uk"], code


settings = st.dictionaries(
    st.sampled_from(["text", "count", "save_to", "cases", "flow_id", "connection"]),
    st.one_of(
        st.none(),
        st.text("{%}| var.x'", max_size=20),
        st.integers(),
        st.lists(st.dictionaries(st.just("when"), st.text(max_size=3))),
    ),
)
steps = st.tuples(st.sampled_from([*CATALOG.nodes, "missing"]), settings)


@given(
    st.dictionaries(st.sampled_from(["n_a", "n_b", "n_c"]), steps),
    st.dictionaries(
        st.sampled_from(["n_a.next", "n_b.answered", "n_c.ok", "n_b.else"]), st.sampled_from(["n_a", "n_b", "n_d"])
    ),
)
def test_the_check_never_raises_and_every_fix_applies(nodes: dict[str, Any], edges: dict[str, str]) -> None:
    document = flow(nodes, edges)
    for problem in check(document):
        assert problem.to_json()["message"]["uk"]
        if problem.fix is not None:
            apply_edits(document, list(problem.fix.edits))


def test_remembered_steps_give_the_same_answer() -> None:
    checker = FlowCheck(CATALOG)
    first = asks_then_says("{{ var.budget }}")
    second = asks_then_says("{{ var.budget }} {{ var.gone }}")
    for document in (first, second, first, HEALTHY):
        assert checker.check(document, BOUND) == check(document)
