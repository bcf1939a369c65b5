"""Conditions as forms show them: nothing is lost on the way there and back, and what a form cannot show is kept."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from builder_ui.pages.condition_rows import ConditionGroup, ConditionPart, condition_of, groups_of
from builder_ui.pages.contacts_state import ContactList
from builder_ui.pages.segment_state import SegmentForm
from graph_runtime.bootstrap import Services
from graph_runtime.contract.conditions import Condition, evaluate
from graph_runtime.services.principal import Principal
from tests.builder_ui.tab import Tab

READ: TypeAdapter[Any] = TypeAdapter(Condition)


def is_(name: str, value: str) -> dict[str, Any]:
    return {"left": {"ref": f"contact.{name}"}, "op": "eq", "right": {"value": value}}


NESTED = {"all": [is_("country", "UA"), {"any": [is_("city", "Kyiv"), is_("city", "Lviv")]}]}


@pytest.mark.parametrize(
    "condition",
    [
        {"all": []}, is_("a", "1"), {"any": [is_("a", "1"), is_("b", "2")]}, NESTED,
        {"any": [{"all": [is_("a", "1"), is_("b", "2")]}, {"all": [is_("c", "3"), is_("d", "4")]}, is_("e", "5")]},
        {"all": [{"left": {"ref": "contact.a"}, "op": "not_empty"}]},
        {"any": [{"any": [is_("a", "1"), is_("b", "2")]}, is_("c", "3")]},
    ],
)  # fmt: skip
def test_a_form_means_what_the_condition_means(condition: dict[str, Any]) -> None:
    found = groups_of(condition)
    assert found is not None
    back = condition_of(*found)
    for n in range(3**5):
        facts = {f"contact.{key}": str(1 + i if n // 3**i % 3 else 0) for i, key in enumerate("abcde")}
        facts |= {"contact.country": "UA" if n % 2 else "PL", "contact.city": ("Kyiv", "Lviv", "Odesa")[n % 3]}
        asked = [evaluate(READ.validate_python(c), facts.get, str) for c in (condition, back)]
        assert asked[0] == asked[1], (condition, back, facts)


@pytest.mark.parametrize(
    "condition",
    [
        {"not": is_("a", "1")}, {"all": [{"not": is_("a", "1")}]}, {"all": [{"any": [{"all": [is_("a", "1")]}]}]},
        {"all": [{"left": {"ref": "contact.a"}, "op": "in", "right": {"value": ["1", "2"]}}]},
        {"all": [{"any": []}, is_("a", "1")]},
    ],
)  # fmt: skip
def test_what_does_not_fit_the_form_is_told(condition: dict[str, Any]) -> None:
    assert groups_of(condition) is None


async def test_a_segment_of_groups_is_made_and_changed(tab: Tab, services: Services, who: Principal) -> None:
    for name, country, city in (
        ("Anna", "UA", "Kyiv"),
        ("Bo", "UA", "Odesa"),
        ("Cy", "PL", "Lviv"),
        ("Di", "UA", "Lviv"),
    ):
        await services.contacts.create(who, {"name": name, "country": country, "fields": {"city": city}})
    tab.go("/contacts")
    await tab.call(ContactList, "load")
    await tab.call(SegmentForm, "ask_new")
    await tab.call(SegmentForm, "put_part", 0, 0, "ref", "contact.country")
    await tab.call(SegmentForm, "put_part", 0, 0, "op", "eq")
    await tab.call(SegmentForm, "put_part", 0, 0, "value", "UA")
    await tab.call(SegmentForm, "add_group")
    await tab.call(SegmentForm, "add_part", 1)
    await tab.call(SegmentForm, "join_group", 1, "any")
    for place, city in enumerate(("Kyiv", "Lviv")):
        for name, value in (("ref", "contact.city"), ("op", "eq"), ("value", city)):
            await tab.call(SegmentForm, "put_part", 1, place, name, value)
    await tab.call(SegmentForm, "save", {"name": "Two towns"})
    (segment,) = await services.contact_segments.segments(who)
    assert segment.condition == NESTED
    contacts = tab.state(ContactList)
    assert sorted(r.name for r in contacts.rows) == ["Anna", "Di"]
    await tab.call(SegmentForm, "ask_edit")
    form = tab.state(SegmentForm)
    assert form.segment_name == "Two towns"
    assert [g.joined for g in form.groups] == ["all", "any"]
    await tab.call(SegmentForm, "drop_part", 1, 0)
    await tab.call(SegmentForm, "save", {"name": "One town"})
    (segment,) = await services.contact_segments.segments(who)
    assert (segment.name, [r.name for r in tab.state(ContactList).rows]) == ("One town", ["Di"])
    await services.contact_segments.put_segment(who, "One town", {"not": is_("country", "UA")}, segment.id)
    await tab.call(SegmentForm, "ask_edit")
    assert tab.state(SegmentForm).is_condition_kept
    await tab.call(SegmentForm, "save", {"name": "Abroad"})
    (segment,) = await services.contact_segments.segments(who)
    assert segment.condition == {"not": is_("country", "UA")}


def test_a_group_keeps_to_its_own_joining() -> None:
    parts = [ConditionPart("contact.a", "eq", "1"), ConditionPart("", "eq", "")]
    assert condition_of("all", [ConditionGroup("any", parts)]) == {"any": [is_("a", "1")]}
