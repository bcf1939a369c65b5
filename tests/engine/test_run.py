"""A turn from trigger to result: halves, state, sub-flows, failures, limits."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from graph_runtime.contract import events as happened
from graph_runtime.contract.messages import SaidMessage
from graph_runtime.engine.checkpoint import decode
from graph_runtime.engine.effects import MemoryJournal
from graph_runtime.engine.run import SORRY
from graph_runtime.engine.turn import Budget, Doors
from tests.engine.small_nodes import flow
from tests.engine.turns import NOON, Talk

pytestmark = pytest.mark.asyncio

ASKING = flow(
    {
        "s": ("start", {}),
        "q": ("ask", {"text": "Name?", "save_to": "name", "seconds": 60}),
        "hi": ("say", {"text": "Hi {{ var.name }}, {{ step.q.answer | size }} letters"}),
        "q2": ("ask", {"text": "Age?", "save_to": "age"}),
        "b": ("branch", {"when": {"left": {"ref": "var.age"}, "op": "gte", "right": {"value": 18}}}),
        "old": ("end", {"text": "adult"}),
        "young": ("say", {"text": "Too young"}),
        "quiet": ("end", {"text": "silent"}),
    },
    {
        "s.next": "q", "q.answered": "hi", "q.no_reply": "quiet", "hi.next": "q2", "q2.answered": "b",
        "b.yes": "old", "b.no": "young", "young.next": "q2",
    },
)  # fmt: skip


@pytest.mark.parametrize("fused", [True, False])
async def test_each_thing_is_said_once_and_state_travels_as_bytes(fused: bool) -> None:
    talk = Talk(ASKING, fused=fused)
    first = await talk.go()
    assert (first.waits, first.node_id, talk.said) == ("reply", "q", ["Name?"])
    assert first.due_at == NOON + timedelta(seconds=60)
    await talk.go("Олена")
    assert talk.said == ["Name?", "Hi Олена, 5 letters", "Age?"]
    await talk.go("12")
    assert talk.said[3:] == ["Too young", "Age?"]
    last = await talk.go("30")
    assert last.is_over
    assert last.result == "adult"
    assert last.state is None


async def test_nobody_answers_in_time() -> None:
    talk = Talk(ASKING)
    await talk.go()
    talk.later(60)
    assert (await talk.go(kind="timer")).result == "silent"


async def test_the_reply_half_may_wait_again() -> None:
    talk = Talk(ASKING)
    await talk.go()
    again = await talk.go("again")
    assert (again.waits, again.node_id, talk.said) == ("reply", "q", ["Name?", "Once more?"])
    await talk.go("Bo")
    assert talk.said[2] == "Hi Bo, 2 letters"


async def test_a_restart_forgets_everything() -> None:
    talk = Talk(ASKING)
    await talk.go()
    await talk.go("Bo")
    assert (await talk.go(kind="restart")).node_id == "q"
    assert decode(talk.state or b"")[1].get("v", {}) == {}


async def test_the_stored_state_of_an_idle_conversation_is_small() -> None:
    talk = Talk(ASKING)
    await talk.go()
    for turn in range(40):
        await talk.go(f"{turn % 17}")
    assert len(talk.state or b"") < 300


async def test_a_pause_wakes_by_time_and_a_message_meanwhile_changes_nothing() -> None:
    document = flow(
        {"s": ("start", {}), "p": ("pause", {"seconds": 90}), "x": ("say", {"text": "Back"})},
        {"s.next": "p", "p.elapsed": "x"},
    )
    talk = Talk(document)
    first = await talk.go()
    assert (first.waits, first.due_at) == ("time", NOON + timedelta(seconds=90))
    idle = await talk.go("hello?")
    assert idle.is_idle
    assert idle.state == first.state
    assert not idle.messages
    last = await talk.go(kind="timer")
    assert [m.text for m in last.messages] == ["Back"]
    assert last.is_over


SUB = flow(
    {
        "s": ("start", {}),
        "q": ("ask", {"text": "Guests for {{ var.who }}?", "save_to": "count"}),
        "yes": ("end", {"text": "ok"}),
    },
    {"s.next": "q", "q.answered": "yes"},
    id="sub",
    variables={"who": {}, "count": {"type": "number"}, "secret": {"default": "child"}},
)
CALLING = flow(
    {
        "s": ("start", {}),
        "set": ("set", {"name": "name", "value": "Ann"}),
        "call": (
            "run_flow",
            {
                "flow_id": "sub",
                "arguments": [{"variable": "who", "value": "{{ var.name }}"}],
                "returns": [{"variable": "guests", "source": "count"}],
            },
        ),
        "say": ("say", {"text": "{{ var.guests }} for {{ var.name }}; {{ var.secret }}{{ step.q.answer }}"}),
    },
    {"s.next": "set", "set.next": "call", "call.yes": "say"},
    id="main",
)


@pytest.mark.parametrize("fused", [True, False])
async def test_a_sub_flow_has_its_own_variables_and_hands_results_back(fused: bool) -> None:
    talk = Talk(CALLING, {"sub": SUB}, fused=fused)
    assert (await talk.go()).node_id == "call/q"
    await talk.go("4")
    assert talk.said == ["Guests for Ann?", "4 for Ann; "]


async def test_a_circle_of_sub_flows_is_told_and_not_run() -> None:
    circle = flow({"s": ("start", {}), "call": ("run_flow", {"flow_id": "main"})}, {"s.next": "call"}, id="main")
    result = await Talk(circle, {"main": circle}).go()
    assert result.error == "flow_invalid"


async def test_a_disabled_step_is_passed_through_its_first_exit() -> None:
    document = flow(
        {
            "s": ("start", {}),
            "q": {"type": "ask", "enabled": False, "settings": {"text": "Never"}},
            "x": ("say", {"text": "Through"}),
        },
        {"s.next": "q", "q.answered": "x"},
    )
    talk = Talk(document)
    await talk.go()
    assert talk.said == ["Through"]


async def test_a_failing_step_leaves_through_its_error_exit() -> None:
    document = flow(
        {"s": ("start", {}), "b": ("boom", {}), "x": ("say", {"text": "Saved"})}, {"s.next": "b", "b.error": "x"}
    )
    talk = Talk(document)
    result = await talk.go()
    assert talk.said == ["Saved"]
    assert result.error == ""
    assert [e.code for e in result.events if isinstance(e, happened.NodeFailed)] == ["node_failed"]


@pytest.mark.parametrize("language", ["en", "ru", "uk"])
async def test_without_an_error_exit_the_contact_is_told_and_may_try_again(language: str) -> None:
    document = flow(
        {"s": ("start", {}), "q": ("ask", {"text": "?"}), "x": ("say", {"text": "Kept"}), "b": ("boom", {})},
        {"s.next": "q", "q.answered": "x", "x.next": "b"},
    )
    talk = Talk(document, language=language)
    before = (await talk.go()).state
    result = await talk.go("go")
    assert result.error == "node_failed"
    assert result.waits == "reply"
    assert result.state == before
    assert talk.said == ["?", "Kept", SORRY[language]]
    assert (await talk.go("go")).error == "node_failed"


@pytest.mark.parametrize("missing", [("unknown_step", {}), ("branch", {"when": 7})])
async def test_a_step_that_cannot_run_fails_only_when_it_is_reached(missing: tuple[str, dict[str, object]]) -> None:
    document = flow({"s": ("start", {}), "q": ("ask", {"text": "?"}), "x": missing}, {"s.next": "q", "q.answered": "x"})
    talk = Talk(document)
    assert (await talk.go()).error == ""
    assert (await talk.go("hi")).error in ("unknown_node", "settings_invalid")


@pytest.mark.parametrize("fused", [True, False])
async def test_a_loop_that_never_waits_stops_at_its_limit(fused: bool) -> None:
    document = flow(
        {"s": ("start", {}), "a": ("set", {"name": "x", "value": "1"}), "b": ("set", {"name": "y", "value": "2"})},
        {"s.next": "a", "a.next": "b", "b.next": "a"},
    )
    talk = Talk(document, fused=fused, language="uk")
    result = await talk.go()
    assert (result.error, result.steps, talk.said) == ("step_limit_reached", 501, [SORRY["uk"]])


async def test_a_turn_that_takes_too_long_is_stopped() -> None:
    class Hangs:
        async def run(self, *_: object) -> None:
            await asyncio.Event().wait()

    async def models(slot: str) -> list[object]:
        return []

    document = flow({"s": ("start", {}), "m": ("think", {"text": "?"})}, {"s.next": "m"})
    doors = Doors(MemoryJournal(), Hangs(), models, budget=Budget(seconds=0.05))  # type: ignore[arg-type]
    assert (await Talk(document, doors=doors).go()).error == "step_limit_reached"


async def test_a_broken_text_is_said_as_it_is_written_and_reported() -> None:
    document = flow({"s": ("start", {}), "x": ("say", {"text": "Hi {{ var.name"})}, {"s.next": "x"})
    talk = Talk(document)
    result = await talk.go()
    assert talk.said == ["Hi {{ var.name"]
    assert any(isinstance(e, happened.NodeFailed) and e.code == "template_invalid" for e in result.events)


async def test_texts_follow_the_conversations_language() -> None:
    document = flow(
        {"s": ("start", {}), "x": ("say", {"text": "Hello"})}, {"s.next": "x"}, i18n={"ru": {"x.text": "Привет"}}
    )
    for language, text in (("ru", "Привет"), ("uk", "Hello")):
        talk = Talk(document, language=language)
        await talk.go()
        assert talk.said == [text]


async def test_lone_surrogates_and_nul_never_reach_the_state() -> None:
    talk = Talk(ASKING)
    await talk.go()
    await talk.go("a\ud83db\x00c😀")
    assert talk.said[1].startswith("Hi a\ufffdb\ufffdc😀")
    assert decode(talk.state or b"")[1]["v"][""]["name"] == "a\ufffdb\ufffdc😀"


async def test_a_value_of_a_megabyte_is_refused_and_the_contact_told() -> None:
    talk = Talk(ASKING)
    await talk.go()
    assert (await talk.go("я" * 1_000_000)).error == "too_large"


async def test_contact_variables_outlive_the_conversation() -> None:
    document = flow(
        {"s": ("start", {}), "x": ("say", {"text": "{{ var.city }}"}), "n": ("set", {"name": "city", "value": "Lviv"})},
        {"s.next": "x", "x.next": "n"},
        variables={"city": {"scope": "contact", "default": "?"}},
    )
    talk = Talk(document, more={"contact_variables": {"city": "Kyiv"}})
    result = await talk.go()
    assert talk.said == ["Kyiv"]
    assert result.contact_changes == {"city": "Lviv"}


async def test_secret_values_are_not_shown_to_observers() -> None:
    document = flow(
        {"s": ("start", {}), "n": ("set", {"name": "pin", "value": "1234"})},
        {"s.next": "n"},
        variables={"pin": {"secret": True}},
    )
    result = await Talk(document).go()
    assert [e.value for e in result.events if isinstance(e, happened.VariableSet)] == ["••••"]


async def test_a_repeated_turn_says_the_same_keys() -> None:
    talk = Talk(ASKING)
    await talk.go()
    twin = talk.copy()
    one, two = await talk.go("Bo"), await twin.go("Bo")
    assert [m.key for m in one.messages] == [m.key for m in two.messages] == ["2.1", "2.2"]
    assert one.state == two.state


async def test_history_ends_with_what_was_just_said() -> None:
    seen: list[tuple[SaidMessage, ...]] = []
    talk = Talk(ASKING, more={"history": (SaidMessage(role="contact", text="earlier"),)})
    compiled = talk.compiled
    step_type = compiled.steps["hi"].type
    assert step_type is not None

    async def spy(settings: object, ctx: object) -> object:
        seen.append(ctx.history(2))  # type: ignore[attr-defined]
        return await step_type.run(settings, ctx)  # type: ignore[misc, arg-type]

    compiled.steps["q2"].type = replace(compiled.steps["q2"].type, run=spy)  # type: ignore[type-var]
    await talk.go()
    compiled.steps["q2"].type.run = spy  # type: ignore[union-attr]
    await talk.go("Bo")
    assert [m.text for m in seen[0]] == ["earlier", "Hi Bo, 2 letters"]
