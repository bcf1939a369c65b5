"""Triggers as data: what is refused and how, what messages they hear, what they make of a request, why they fire."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from graph_runtime.contract.schedules import Schedule
from graph_runtime.contract.trigger_problems import Surroundings, problems
from graph_runtime.contract.trigger_rules import SENTENCES, Facts, hears, leaves, phone_of, told, value_at, verdict
from graph_runtime.contract.triggers import (
    MAX_DEPTH,
    MOST_PER_HOUR,
    ChangeContact,
    EnrollInChain,
    Limits,
    NotifyMembers,
    OnEvent,
    OnMessage,
    OnSchedule,
    OnWebhook,
    SendWebhook,
    StartFlow,
    Trigger,
    Use,
)

NOW = datetime(2026, 11, 26, 14, 0, tzinfo=UTC)
AROUND = Surroundings(
    now=NOW, flows={"": True, "f1": True, "f2": False}, chains={"c1": True, "c2": False}, subscriptions={"s1": True},
    members=frozenset({"m1"}), segments=frozenset({"g1"}), channels=frozenset({"h1"}),
)  # fmt: skip


def codes(**changes: Any) -> list[str]:
    trigger = Trigger.model_validate({"name": "T", "actions": [StartFlow()], **changes})
    return [p.code for p in problems(trigger, AROUND)]


def schedule(**values: Any) -> OnSchedule:
    return OnSchedule(schedule=Schedule(**values))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"name": "  "}, ["name"]),
        ({"actions": []}, ["no_action"]),
        ({"actions": [StartFlow(flow_id="gone")]}, ["flow_gone"]),
        ({"actions": [StartFlow(flow_id="f2")]}, ["flow_draft"]),
        ({"actions": [EnrollInChain(chain_id="gone")]}, ["chain_gone"]),
        ({"actions": [EnrollInChain(chain_id="c2")]}, ["chain_off"]),
        ({"actions": [ChangeContact()]}, ["change_nothing"]),
        ({"actions": [ChangeContact(fields={"not a name": "x"})]}, ["field_name"]),
        ({"actions": [ChangeContact(fields={"a": "{{ contact.name"})]}, ["text"]),
        ({"actions": [NotifyMembers(text="{{ step.x.y }}")]}, ["text_path"]),
        ({"actions": [NotifyMembers(member_id="gone", text=" ")]}, ["note_empty", "member_gone"]),
        ({"actions": [SendWebhook(subscription_id="gone")]}, ["subscription_gone"]),
        ({"when": schedule(every="once", on=date(2020, 1, 1))}, ["schedule_past"]),
        ({"when": schedule(every="cron", cron="0 0 31 2 *")}, ["schedule_cron_never"]),
        ({"when": OnSchedule(segment_id="gone")}, ["segment"]),
        ({"when": OnSchedule(audience="nobody")}, ["nobody"]),
        ({"when": OnMessage()}, ["texts"]),
        ({"when": OnMessage(match="any")}, []),
        ({"when": OnMessage(match="pattern", texts=("**",))}, ["pattern"]),
        ({"when": OnMessage(texts=("hi",)), "actions": [NotifyMembers(text="x")]}, ["message_flow"]),
        ({"when": OnEvent(event="sunrise")}, ["event"]),
        ({"when": OnWebhook()}, ["no_identity"]),
        ({"when": OnWebhook(uses=(Use(pointer="/p", as_="phone"),))}, []),
        ({"when": OnWebhook(uses=(Use(pointer="/i", as_="external_id"),))}, ["channel"]),
        ({"when": OnWebhook(channel_id="h1", uses=(Use(pointer="/i", as_="external_id"),))}, []),
        ({"when": OnWebhook(uses=(Use(pointer="/p", as_="phone"), Use(pointer="/q", as_="variable", name="a b")))}, ["use_name"]),
        ({"condition": {"left": {"ref": "step.n1.x"}, "op": "not_empty"}}, ["condition"]),
        ({"condition": {"left": {"ref": "event.result"}, "op": "not_empty"}}, []),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said_in_words(changes: dict[str, Any], expected: list[str]) -> None:
    assert codes(**changes) == expected


def test_every_problem_says_what_to_do() -> None:
    trigger = Trigger(name="", when=OnMessage(), actions=(StartFlow(flow_id="x"), EnrollInChain(chain_id="x")))
    for problem in problems(trigger, AROUND):
        assert problem.message[0].isupper()
        assert problem.message.endswith(".")
    with pytest.raises(ValidationError):
        Trigger.model_validate({"name": "x", "actions": [{"do": "run_code", "code": "1"}]})


@pytest.mark.parametrize(
    ("match", "texts", "text", "is_heard"),
    [
        ("words", ["price"], "What is the PRICE, please?", True),
        ("words", ["price"], "priceless", False),
        ("words", ["how much"], "so... how  much?", True),
        ("words", ["сколько стоит"], "Сколько стоит доставка", True),
        ("words", ["елка"], "Хочу ёлку. Ёлка!", True),
        ("words", ["   "], "anything", False),
        ("exact", ["Yes!"], "yes", True),
        ("exact", ["yes"], "yes please", False),
        ("exact", ["👍"], "👍", True),
        ("exact", ["👍"], "👎", False),
        ("command", ["start"], "/start", True),
        ("command", ["/Start"], "/start@my_bot promo42", True),
        ("command", ["start"], "/started", False),
        ("command", ["start"], "start", False),
        ("pattern", ["order *"], "Order 1234", True),
        ("pattern", ["a?c"], "abc", True),
        ("pattern", ["order *"], "my order 1", False),
        ("any", [], "", True),
        ("words", ["x"], "", False),
    ],
)
def test_which_messages_are_heard(match: Any, texts: list[str], text: str, is_heard: bool) -> None:
    assert hears(OnMessage(match=match, texts=tuple(texts)), "telegram", text) == ("" if is_heard else "wrong_words")


def test_a_message_of_another_channel_is_not_heard() -> None:
    when = OnMessage(match="any", channels=("telegram",))
    assert hears(when, "telegram", "x") == ""
    assert hears(when, "web_chat", "x") == "wrong_channel"


VIP = {"left": {"ref": "contact.tags"}, "op": "contains", "right": {"value": "vip"}}


@pytest.mark.parametrize(
    ("changes", "facts", "reason"),
    [
        ({}, Facts(contact={}), ""),
        ({}, Facts(contact={}, depth=MAX_DEPTH), "loop"),
        ({}, Facts(contact={}, depth=MAX_DEPTH - 1), ""),
        ({"condition": VIP}, Facts(contact={"tags": ["vip"]}), ""),
        ({"condition": VIP}, Facts(contact={}), "condition"),
        ({"condition": VIP}, Facts(), "condition"),
        ({}, Facts(contact={}, fired_for_contact=1), "contact_limit"),
        ({"limits": Limits(per_contact=0)}, Facts(contact={}, fired_for_contact=9), ""),
        ({"limits": Limits(per_contact=0)}, Facts(contact={}, fired_lately=MOST_PER_HOUR), "too_often"),
        ({"limits": Limits(total=3)}, Facts(fired_in_all=3), "total_limit"),
        ({"when": OnEvent(results=("Lost",))}, Facts(event={"result": "lost "}), ""),
        ({"when": OnEvent(results=("lost",))}, Facts(event={"result": "won"}), "result"),
        ({"when": OnEvent(event="contact.tag_added", tags=("vip",))}, Facts(event={"tag": "x"}), "tag"),
    ],
)
def test_why_it_fires_or_not(changes: dict[str, Any], facts: Facts, reason: str) -> None:
    trigger = Trigger.model_validate({"name": "T", "actions": [StartFlow()], **changes})
    assert verdict(trigger, facts) == reason
    assert not reason or SENTENCES[reason].endswith(".")


SAMPLE = {
    "lead": {"id": 7, "contacts": [{"phone": "+38 (050) 123-45-67", "e/mail": "a@b.c"}], "ok": True},
    "note": None,
}


def test_pointing_at_a_sample() -> None:
    assert [*leaves(SAMPLE)] == [
        ("/lead/id", 7), ("/lead/contacts/0/phone", "+38 (050) 123-45-67"), ("/lead/contacts/0/e~1mail", "a@b.c"),
        ("/lead/ok", True), ("/note", None),
    ]  # fmt: skip
    assert all(value_at(SAMPLE, pointer) == value for pointer, value in leaves(SAMPLE))
    for gone in ("/lead/contacts/1/phone", "/lead/id/x", "lead", "/lead/contacts/x", "/x"):
        assert value_at(SAMPLE, gone) is None
    uses = (
        Use(pointer="/lead/contacts/0/phone", as_="phone"), Use(pointer="/lead/contacts/0/e~1mail", as_="email"),
        Use(pointer="/lead/id", as_="external_id"), Use(pointer="/lead", as_="variable", name="lead"),
        Use(pointer="/lead/ok", as_="field", name="ok"), Use(pointer="/lead/ok", as_="name"), Use(pointer="/x", as_="name"),
    )  # fmt: skip
    read = told(uses, SAMPLE)
    assert read.who == {"phone": "+380501234567", "email": "a@b.c", "external_id": "7"}
    assert (read.variables, read.fields) == ({"lead": SAMPLE["lead"]}, {"ok": True})
    assert told(uses, "text").who == told(uses, None).who == {}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+49 30 1234567", "+49301234567"),
        ("0049 30 1234567", "+49301234567"),
        ("380501234567", "+380501234567"),
        ("050 123 45 67", ""),
        ("call me", ""),
        ("+", ""),
        ("+12345678901234567", ""),
    ],
)
def test_numbers_as_people_write_them(text: str, number: str) -> None:
    assert phone_of(text) == number
