"""The pages of follow-ups: drawing a chain up, its problems, who gets in, and what viewers and strangers get."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from builder_ui.pages.chain_people_state import ChainPeople
from builder_ui.pages.chain_state import ChainPage, FollowUps
from graph_runtime.bootstrap import Services
from graph_runtime.services.agents import AgentRow
from graph_runtime.services.principal import Principal
from tests.builder_ui.tab import Tab, redirected_to

TIMING = {"amount": "2", "unit": "working_days", "since": "previous", "at": "11:00"}
MESSAGE = {**TIMING, "text": "Dear {{ contact.name }}", "channel_1": "any", "channel_2": "any", "if_field": ""}


async def new_chain(tab: Tab) -> str:
    """A chain with one message that is published; its id."""
    where = redirected_to(await tab.call(FollowUps, "create", {"name": "Quote", "zone": "Europe/Kyiv"}))
    tab.go(where)
    await tab.call(ChainPage, "load")
    await tab.call(ChainPage, "add_step", "message")
    await tab.call(ChainPage, "save_step", MESSAGE)
    await tab.call(ChainPage, "publish")
    return where.rpartition("/")[2]


async def test_a_chain_is_drawn_up_step_by_step_and_taken_back(tab: Tab, services: Services, who: Principal) -> None:
    await new_chain(tab)
    page = tab.state(ChainPage)
    assert (page.item.state, page.item.number, page.item.has_changes, page.zone) == ("on", 1, False, "Europe/Kyiv")
    (step,) = page.steps
    assert (step.kind, step.amount, step.span, step.since, step.at) == (
        "message",
        2,
        "working_days",
        "enrollment",
        "11:00",
    )
    await tab.call(ChainPage, "add_step", "notify")
    await tab.call(ChainPage, "save_step", {**TIMING, "target": "any", "text": "Ring them", "start": "10:00"})
    assert tab.notice == ("error", "error.input_invalid_window")
    assert page.is_step_open
    hours = {"start": "10:00", "end": "18:00", "only_workdays": True}
    await tab.call(ChainPage, "save_step", {**TIMING, "target": "any", "text": "Ring them", **hours})
    assert [(s.kind, s.start, s.only_workdays) for s in page.steps] == [
        ("message", "", False),
        ("notify", "10:00", True),
    ]
    await tab.call(ChainPage, "place_step", page.steps[1].id, 0)
    assert [s.kind for s in page.steps] == ["notify", "message"]
    assert [page.item.has_changes] == [True]
    await tab.call(ChainPage, "undo")
    await tab.call(ChainPage, "undo")
    assert [s.kind for s in page.steps] == ["message"]
    assert [page.item.has_changes] == [False]
    await tab.call(ChainPage, "edit_step", page.steps[0].id)
    assert (page.form.text, page.form.at, page.form.unit) == ("Dear {{ contact.name }}", "11:00", "working_days")
    ab = {**MESSAGE, "second": "Hello", "share": "70", "if_field": "tier", "if_op": "eq", "if_value": "gold"}
    await tab.call(ChainPage, "save_step", ab)
    assert (page.steps[0].wordings, page.steps[0].has_condition) == (2, True)
    chain = (await services.chain_drafts.get(who, page.item.id)).chain
    (saved,) = chain.to_json()["steps"]
    assert [w["share"] for w in saved["wordings"]] == [70, 30]
    await tab.call(ChainPage, "edit_step", page.steps[0].id)
    assert (page.form.second, page.form.share, page.form.if_field, page.form.if_value) == ("Hello", 70, "tier", "gold")


async def test_every_kind_of_step_comes_back_into_its_form(tab: Tab, services: Services, who: Principal) -> None:
    await new_chain(tab)
    page = tab.state(ChainPage)
    line, agent = str(uuid4()), str(uuid4())
    forms: dict[str, dict[str, Any]] = {
        "flow": {"target": f"{agent}/{line}"}, "call": {"target": line, "tries": "3", "again": "30"},
        "webhook": {"target": str(uuid4()), "text": "stage"},
        "crm": {"target": f"{agent}/crm", "text": "Rang", "name_0": "Цена сделки", "value_0": "{{ contact.offer }}",
                "task": "Ring", "task_hours": "5", "entity": "contact", "by": "email"},
        "update": {"name_0": "stage", "value_0": "sent", "add_tags": "vip, new", "remove_tags": "cold"},
    }  # fmt: skip
    for kind, form in forms.items():
        await tab.call(ChainPage, "add_step", kind)
        await tab.call(ChainPage, "save_step", {"amount": "1", "unit": "hours", "since": "enrollment", **form})
        assert not page.is_step_open, (kind, tab.notice)
        await tab.call(ChainPage, "edit_step", page.steps[-1].id)
        assert page.form.target == form.get("target", "")
        if kind == "crm":
            shown = page.form
            assert (shown.field_names[0], shown.text, shown.task, shown.task_hours) == (
                "Цена сделки",
                "Rang",
                "Ring",
                5,
            )
            assert (shown.entity, shown.by, shown.creates) == ("contact", "email", False)
    assert [s.kind for s in page.steps] == ["message", *forms]
    assert (page.form.field_names[0], page.form.texts[0], page.form.add_tags) == ("stage", "sent", "vip, new")
    await tab.call(ChainPage, "save_step", {"amount": "1", "unit": "hours", "since": "previous", "name_0": "two words"})
    assert tab.notice[0] == "error"
    await tab.call(ChainPage, "publish")
    assert [page.item.has_changes] == [False]


async def test_an_unfinished_chain_says_what_is_missing(tab: Tab) -> None:
    tab.go(redirected_to(await tab.call(FollowUps, "create", {"name": "Empty"})))
    await tab.call(ChainPage, "load")
    page = tab.state(ChainPage)
    await tab.call(ChainPage, "add_step", "message")
    await tab.call(ChainPage, "save_step", {**TIMING, "text": ""})
    assert [s.problem for s in page.steps] == ["no_text"]
    await tab.call(ChainPage, "publish")
    assert tab.notice == ("error", "error.input_invalid_chain")
    rules = {"on_reply": True, "tags": "won, lost", "zone": "Nowhere", "has_quiet": False, "per_day": "1"}
    await tab.call(ChainPage, "open_rules", True)
    await tab.call(ChainPage, "save_rules", rules)
    assert (page.problem, page.stop_tags, page.quiet) == ("time_zone", "won, lost", "")
    more = {"hours_mon": "9:00–13:00, 14:00 - 18:00", "stop_field": "stage", "stop_op": "eq", "stop_value": "paid",
            "per_channel_day": "500"}  # fmt: skip
    await tab.call(ChainPage, "save_rules", rules | more | {"hours_tue": "from nine"})
    assert tab.notice == ("error", "error.input_invalid_week")
    await tab.call(ChainPage, "save_rules", rules | more)
    assert (page.has_hours, page.stops_when) == (True, True)
    await tab.call(ChainPage, "open_rules", True)
    assert (page.rules.hours["mon"], page.rules.hours["tue"]) == ("9:00–13:00, 14:00–18:00", "")
    assert (page.rules.stop_field, page.rules.stop_value, page.rules.per_channel_day) == ("stage", "paid", 500)
    await tab.call(ChainPage, "save_rules", rules | {"stop_field": ""})
    assert (page.has_hours, page.stops_when) == (False, False)
    await tab.call(ChainPage, "ask_delete", True)
    assert redirected_to(await tab.call(ChainPage, "delete")) == "/follow-ups"
    await tab.call(FollowUps, "load")
    assert tab.state(FollowUps).chains == []


async def test_people_enter_are_seen_ahead_and_taken_out(
    tab: Tab, services: Services, who: Principal, agent: AgentRow, admin: Any
) -> None:
    await new_chain(tab)
    row = admin.execute(
        "INSERT INTO contact (workspace_id, name, phone) VALUES (%s, 'Marta', '+380671112233') RETURNING id::text",
        (who.workspace_id,),
    ).fetchone()
    people = tab.state(ChainPeople)
    await tab.call(ChainPeople, "load")
    assert (people.is_loaded, people.people, len(people.sample)) == (True, [], 1)
    await tab.call(ChainPeople, "ask_enroll", True)
    assert [c.name for c in people.found] == ["Marta · +380671112233"]
    await tab.call(ChainPeople, "enroll", row[0])
    assert tab.notice == ("success", "chains.enrolled_n")
    await tab.call(ChainPeople, "enroll", row[0])
    assert tab.notice == ("error", "chains.not_enrolled_inside")
    await tab.call(ChainPeople, "enroll_listed", {"listed": "+380 67 111 22 33; nobody@example.com"})
    (one,) = people.people
    assert (one.name, one.state, one.step, one.step_kind) == ("Marta", "active", 1, "message")
    (ahead,) = people.ahead
    assert (ahead.time, ahead.name) == ("11:00", "Marta")
    await tab.call(ChainPeople, "choose", one.id, True)
    assert people.chosen_count == 1
    await tab.call(ChainPeople, "act", "pause", "")
    assert people.people[0].state == "paused"
    await tab.call(ChainPeople, "open", one.id)
    assert [line.what for line in people.lines] == ["enrolled", "paused"]
    await tab.call(ChainPeople, "act", "stop", one.id)
    await tab.call(ChainPeople, "choose_state", "active")
    assert people.people == []
    await tab.call(ChainPeople, "try_with", row[0])
    assert [a.time for a in people.sample] == ["11:00"]


async def test_viewers_look_and_strangers_find_nothing(tab: Tab, who: Principal, admin: Any) -> None:
    await new_chain(tab)
    admin.execute("UPDATE member SET role = 'viewer' WHERE workspace_id = %s", (who.workspace_id,))
    await tab.call(ChainPage, "load")
    page = tab.state(ChainPage)
    assert (page.may_edit, len(page.steps)) == (False, 1)
    await tab.call(ChainPage, "remove_step", page.steps[0].id)
    assert tab.notice == ("error", "error.access_denied")
    tab.go(f"/follow-ups/{uuid4()}")
    await tab.call(ChainPage, "load")
    await tab.call(ChainPeople, "load")
    assert page.is_missing
