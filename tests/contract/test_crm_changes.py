"""What a record that is read again comes to: only differences are news, and only those that others made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kommo.hooks import parse
from graph_runtime.contract.crm import CrmRecord
from graph_runtime.contract.crm_changes import (
    CHANGED,
    CONTACT_CHANGED,
    CREATED,
    STAGE,
    CrmHint,
    OwnWrites,
    Seen,
    gathered,
    news,
    prints,
    stage_of,
)
from graph_runtime.contract.errors import InputInvalid
from tests.fakes.kommo import form

NOBODY = OwnWrites()


def lead(**values: object) -> CrmRecord:
    return CrmRecord("lead", "7", "Bouquet", {"price": 500, "stage": "1:11", **values})


def seen(record: CrmRecord, **more: bool) -> Seen:
    return Seen(prints(record), stage_of(record), **{"is_known": True, **more})


@pytest.mark.parametrize(
    ("before", "now", "own", "actions", "age", "expected"),
    [
        # Never heard of: new ones are told once, old ones as far as the request says it.
        (Seen(), lead(), NOBODY, ["created"], 5.0, ((CREATED,), ())),
        (Seen(), lead(), NOBODY, ["changed"], 5.0, ((CREATED,), ())),
        (Seen(), lead(), NOBODY, ["created"], 9e6, ((CHANGED,), ())),
        (Seen(), lead(), NOBODY, ["changed", "stage"], 9e6, ((STAGE,), ("stage",))),
        (Seen(), lead(), NOBODY, ["created"], None, ((CREATED,), ())),
        (Seen(), CrmRecord("contact", "3", "Olena"), NOBODY, ["changed"], 9e6, ((CONTACT_CHANGED,), ())),
        (Seen(), CrmRecord("company", "3", "Shop"), NOBODY, ["created"], 5.0, ((), ())),
        # Ours: made under our key, or noted before it was written.
        (Seen(), lead(key="pc-0123"), NOBODY, ["created", "stage"], 5.0, ((), ())),
        (Seen(), lead(), OwnWrites(made=True), ["created"], 5.0, ((), ())),
        (Seen(), lead(), OwnWrites(fields=frozenset({"price"})), ["changed"], 9e6, ((), ())),
        (Seen(), lead(stage="1:12"), OwnWrites(made=True, stages=frozenset({"1:11"})), ["created"], 5.0, ((STAGE,), ("stage",))),
        # Seen before: the difference, whatever the request says.
        (seen(lead()), lead(), NOBODY, ["created", "stage", "changed"], 5.0, ((), ())),
        (seen(lead()), lead(stage="1:12"), NOBODY, ["changed"], 9e6, ((STAGE,), ("stage",))),
        (seen(lead()), lead(stage="1:12", price=600), NOBODY, [], 9e6, ((STAGE, CHANGED), ("stage", "price"))),
        (seen(lead()), lead(stage="1:12"), OwnWrites(stages=frozenset({"1:12"})), [], 9e6, ((), ())),
        (seen(lead()), lead(stage="1:13"), OwnWrites(stages=frozenset({"1:12"})), [], 9e6, ((STAGE,), ("stage",))),
        (seen(lead()), lead(price=600, cf_1="x"), OwnWrites(fields=frozenset({"price"})), [], 9e6, ((CHANGED,), ("cf_1",))),
    ],
)  # fmt: skip
def test_what_is_news(
    before: Seen, now: CrmRecord, own: OwnWrites, actions: list[str], age: float | None, expected: object
) -> None:
    found = news(before, now, own, actions, age)
    assert (found.events, found.changed) == expected


@given(st.lists(st.sampled_from(["created", "stage", "changed"]), max_size=9))
def test_repeats_in_any_order_tell_nothing_more(actions: list[str]) -> None:
    first = news(Seen(), lead(), NOBODY, actions, 5.0)
    assert first.events == (CREATED,)
    assert news(seen(lead()), lead(), NOBODY, actions, 5.0).events == ()


def test_a_form_of_kommo_names_records_and_nothing_else_is_believed() -> None:
    body = form("leads", "status", 17, {"status_id": 142, "old_status_id": 11, "name": "x"})
    assert parse(body, {}) == [CrmHint("lead", "17", "stage")]
    company = form("contacts", "add", 3, {"type": "company"})
    more = form("contacts", "update", 5, {"type": "contact"}).replace(b"[0]", b"[1]").replace(b"%5B0%5D", b"%5B1%5D")
    assert parse(company + b"&" + more + b"&" + body, {}) == [CrmHint("contact", "5"), CrmHint("lead", "17", "stage")]
    for nothing in (
        b"",
        b"a=b",
        b"leads[add][0][id]=1'--",
        b"leads[add][0][id]=",
        b"tasks[add][0][id]=4",
        b"leads[drop][0][id]=4",
    ):
        assert parse(nothing, {}) == []
    for damaged in (b"\xff\xfe", b"&".join([b"a=b"] * 20_001)):
        with pytest.raises(InputInvalid):
            parse(damaged, {})
    hints = [CrmHint("lead", "2", "stage"), CrmHint("contact", "1"), CrmHint("lead", "2"), CrmHint("lead", "2")]
    assert gathered(hints) == [
        {"entity": "contact", "record_id": "1", "actions": ["changed"]},
        {"entity": "lead", "record_id": "2", "actions": ["changed", "stage"]},
    ]
