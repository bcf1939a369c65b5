"""The pages of triggers: the form makes what it says, problems and times show as it is filled in, trying, the log."""

from __future__ import annotations

from typing import Any

import pytest

from builder_ui.i18n import LANGUAGES
from builder_ui.pages.agent_triggers_state import FRESH_FIELD, AgentTriggers
from builder_ui.pages.trigger_form_state import TriggerForm
from builder_ui.pages.trigger_page_state import SECRET_FIELD, TriggerPage
from builder_ui.pages.trigger_rows import document_of, form_of, sentence
from graph_runtime.bootstrap import Services
from graph_runtime.contract.trigger_rules import SENTENCES
from graph_runtime.contract.triggers import Trigger
from graph_runtime.services.agents import AgentRow
from graph_runtime.services.principal import Principal
from graph_runtime.services.triggers import read
from tests.builder_ui.tab import Tab, redirected_to

WHENS: list[dict[str, Any]] = [
    {"kind": "message", "match": "command", "texts": ["start", "help"], "channels": ["telegram"], "interrupts": True},
    {"kind": "schedule", "schedule": {"every": "week", "weekdays": [0, 4], "at": "10:30", "zone": "Europe/Kyiv"}},
    {"kind": "schedule", "schedule": {"every": "once", "on": "2027-01-01"}, "audience": "nobody"},
    {"kind": "event", "event": "flow.finished", "results": ["lost", "later"]},
    {
        "kind": "webhook",
        "auth": "secret",
        "uses": [{"pointer": "/a/b", "as": "variable", "name": "b"}],
        "dedupe": "/id",
    },
    {"kind": "inactivity", "minutes": 90, "ended": True},
    {"kind": "manual"},
]
ACTIONS: list[dict[str, Any]] = [
    {"do": "start_flow", "flow_id": "f", "channels": ["telegram"], "if_open": "interrupt"},
    {"do": "enroll", "chain_id": "c"},
    {"do": "leave"},
    {"do": "change_contact", "fields": {"city": "{{ var.city }}"}, "add_tags": ["a", "b"], "remove_tags": ["c"]},
    {"do": "notify", "member_id": "m", "text": "Look, please"},
    {"do": "send_webhook", "subscription_id": "s", "note": "n"},
    {
        "do": "write_crm",
        "slot": "crm",
        "entity": "contact",
        "by": "email",
        "creates": False,
        "task": "Ring",
        "task_hours": 3,
        "note": "n",
        "fields": [{"name": "first_name", "value": "{{ contact.name }}"}, {"name": "tags", "value": "vip"}],
    },
]


@pytest.mark.parametrize("when", WHENS)
def test_a_form_says_what_the_document_said(when: dict[str, Any]) -> None:
    trigger = read({
        "name": "T", "when": when, "actions": ACTIONS, "limits": {"per_contact": 3, "total": 9, "contact_period": "week"},
        "condition": {"all": [{"left": {"ref": "contact.city"}, "op": "eq", "right": {"value": "Kyiv"}},
                              {"left": {"ref": "contact.phone"}, "op": "not_empty"}]},
    })  # fmt: skip

    class Row:
        id = ""
        sample = None

    row: Any = Row()
    row.trigger = trigger
    form, actions, uses = form_of(row)
    assert read(document_of(form, trigger.condition.model_dump(mode="json"), actions, uses)) == trigger
    for language in LANGUAGES:
        said = sentence(trigger, language, {"f": "Offer", "c": "Chain"})
        assert "{" not in said
        assert "triggers." not in said


def test_every_reason_has_its_words() -> None:
    from builder_ui.i18n import TEXTS

    assert [r for r in SENTENCES if r != "fired" and f"triggers.reason_{r}" not in TEXTS] == []


async def test_making_trying_and_switching(tab: Tab, agent: AgentRow, services: Services, who: Principal) -> None:
    tab.go(f"/agents/{agent.id}")
    await tab.call(AgentTriggers, "load")
    page = tab.state(AgentTriggers)
    assert (page.triggers, page.may_edit) == ([], True)
    await tab.call(AgentTriggers, "begin", "schedule")
    await tab.call(AgentTriggers, "save")
    assert tab.notice[0] == "error", "it has no name"
    await tab.call(TriggerForm, "put", "name", "Monday")
    await tab.call(TriggerForm, "put", "every", "cron")
    await tab.call(TriggerForm, "put", "cron", "0 9 31 2 *")
    assert [p.code for p in page.problems] == ["schedule_cron_never"]
    assert page.times == []
    await tab.call(TriggerForm, "put", "every", "week")
    await tab.call(TriggerForm, "put", "zone", "Europe/Kyiv")
    await tab.call(TriggerForm, "toggle_day", "4")
    assert {m.weekday for m in page.times} == {"0", "4"}
    assert len(page.times) == 10
    await tab.call(TriggerForm, "put", "kind", "nonsense")
    await tab.call(TriggerForm, "put", "kind", "schedule")
    await tab.call(TriggerForm, "try_out", {"trial_contact": "nobody"})
    assert tab.notice[0] == "error"
    await tab.call(TriggerForm, "put_action", 0, "do", "notify")
    await tab.call(TriggerForm, "put_action", 0, "text", "hello")
    await tab.call(TriggerForm, "put_action", 0, "do", "rm -rf")
    await tab.call(TriggerForm, "try_out", {})
    assert page.trial.fires
    await tab.call(AgentTriggers, "save")
    (item,) = page.triggers
    assert (item.name, item.is_on, item.problem, bool(item.next_at)) == ("Monday", True, "", True)
    await tab.call(AgentTriggers, "switch", item.id, False)
    assert not tab.state(AgentTriggers).triggers[0].is_on
    tab.go(item.path)
    await tab.call(TriggerPage, "load")
    one = tab.state(TriggerPage)
    await tab.call(TriggerPage, "fire", {"contact": ""})
    assert [(o.state, o.source) for o in one.log] == [("waiting", "manual")]
    await tab.call(TriggerPage, "choose", "failed")
    assert one.log == []
    await tab.call(TriggerPage, "begin")
    assert (one.form["every"], one.form["weekdays"], one.actions[0].text) == ("week", "0,4", "hello")
    await tab.call(TriggerForm, "put", "name", "Weekly")
    await tab.call(TriggerPage, "save")
    assert one.item.name == "Weekly"
    await tab.call(TriggerPage, "ask_delete")
    assert redirected_to(await tab.call(TriggerPage, "delete")) == f"/agents/{agent.id}"
    assert await services.triggers.list(who, agent.id) == []


async def test_a_secret_is_shown_once_and_the_sample_is_pointed_at(
    tab: Tab, agent: AgentRow, services: Services
) -> None:
    tab.go(f"/agents/{agent.id}")
    await tab.call(AgentTriggers, "load")
    await tab.call(AgentTriggers, "begin", "webhook")
    await tab.call(TriggerForm, "put", "name", "Leads")
    await tab.call(TriggerForm, "put_action", 0, "do", "notify")
    await tab.call(TriggerForm, "put_action", 0, "text", "x")
    events = await tab.call(AgentTriggers, "save")
    shown = str(next(e for e in events if FRESH_FIELD in str(e.args)).args)
    assert "whsec_" in shown
    assert "whsec_" not in str(tab.root.dict())
    (item,) = tab.state(AgentTriggers).triggers
    assert not item.is_on
    secret = shown[shown.index("whsec_") :].split('"', maxsplit=1)[0].split("'", maxsplit=1)[0].rstrip("\\")
    tab.go(item.path)
    await tab.call(TriggerPage, "load")
    await tab.call(TriggerPage, "begin")
    await tab.call(TriggerForm, "put", "auth", "secret")
    await tab.call(TriggerPage, "save")
    await tab.call(TriggerPage, "capture", True)
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
    body = b'{"lead": {"Phone No": "+380501234567", "ok": true}}'
    await services.trigger_hooks.receive(item.hook_path.rpartition("/")[2], body, headers)
    await tab.call(TriggerPage, "refresh")
    await tab.call(TriggerPage, "begin")
    page = tab.state(TriggerPage)
    assert [(leaf.pointer, leaf.value) for leaf in page.leaves] == [
        ("/lead/Phone No", "+380501234567"),
        ("/lead/ok", "True"),
    ]
    await tab.call(TriggerForm, "use", "/lead/Phone No", "phone")
    await tab.call(TriggerForm, "use", "/lead/ok", "variable")
    assert [(leaf.use, leaf.name) for leaf in page.leaves] == [("phone", ""), ("variable", "ok")]
    await tab.call(TriggerForm, "try_out", {})
    assert page.trial.fires
    await tab.call(TriggerPage, "save")
    kept: Trigger = (
        await services.triggers.get(await services.accounts.principal(tab.cookie.rpartition("=")[2]), item.id)
    ).trigger
    assert [u["as"] for u in kept.when.model_dump(by_alias=True)["uses"]] == ["phone", "variable"]
    assert SECRET_FIELD in str((await tab.call(TriggerPage, "renew"))[0].args)
