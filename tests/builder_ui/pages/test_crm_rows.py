"""Fields of a customer system in follow-ups and triggers: chosen from the account, shown by their names, kept by their numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from builder_ui.pages.agent_triggers_state import AgentTriggers
from builder_ui.pages.chain_state import ChainPage, FollowUps
from builder_ui.pages.crm_rows import CrmFieldItem
from builder_ui.pages.trigger_form_state import TriggerForm
from builder_ui.pages.trigger_page_state import TriggerPage
from graph_runtime.bootstrap import Services
from graph_runtime.contract.chains import CrmStep
from graph_runtime.contract.triggers import WriteCrm
from graph_runtime.services.agents import AgentRow
from graph_runtime.services.principal import Principal
from graph_runtime.storage import agents
from tests.builder_ui.tab import Tab, redirected_to
from tests.fakes.kommo import LONG_TOKEN, Kommo, kommo

TIMING = {"amount": "2", "unit": "days", "since": "previous", "at": "11:00"}


@pytest.fixture
async def account(services: Services, who: Principal, agent: AgentRow) -> AsyncIterator[Kommo]:
    """An account behind the agent's slot “crm”."""
    with kommo() as fake:
        values = {"base_url": fake.url, "long_token": LONG_TOKEN, "allow_private_host": True}
        row = await services.credentials.create(who, "kommo", "Shop", values)
        async with services.database.workspace(who.workspace_id) as connection:
            binding = {"credential_id": str(row.id), "connector": "kommo", "model": ""}
            await agents.bind(connection, agent.id, "crm", binding)
        yield fake


async def test_a_step_of_a_chain_chooses_fields_and_their_values(
    tab: Tab, services: Services, who: Principal, agent: AgentRow, account: Kommo
) -> None:
    tab.go(redirected_to(await tab.call(FollowUps, "create", {"name": "Quote", "zone": "Europe/Kyiv"})))
    await tab.call(ChainPage, "load")
    await tab.call(ChainPage, "add_step", "crm")
    page = tab.state(ChainPage)
    assert (page.form.target, page.crm.problem, len(page.crm.rows)) == (f"{agent.id}/crm", "", 3)
    assert CrmFieldItem("stage", "Етап") in page.crm.fields
    assert CrmFieldItem("cf_501", "Source") in page.crm.fields
    await tab.call(ChainPage, "pick_crm_field", 0, "stage")
    assert page.crm.rows[0].choices == ["New", "Offer sent", "Won"]
    await tab.call(ChainPage, "pick_crm_field", 9, "stage")
    form = {
        **TIMING, "target": page.form.target, "entity": "lead", "by": "phone", "creates": True, "task_hours": "24",
        "name_0": "stage", "value_0": "offer sent", "name_1": "price", "value_1": "{{ contact.offer }}", "name_2": "", "value_2": "x",
    }  # fmt: skip
    await tab.call(ChainPage, "save_step", form)
    (step,) = (await services.chain_drafts.get(who, page.item.id)).chain.steps
    assert isinstance(step, CrmStep)
    assert [(f.name, f.value) for f in step.fields] == [("stage", "1:12"), ("price", "{{ contact.offer }}")]
    assert page.steps[0].text == "Етап = Offer sent, Бюджет = {{ contact.offer }}"
    del account.stages[12]
    services.remote_options._kept.clear()
    account.fields["leads"].clear()
    await tab.call(ChainPage, "edit_step", page.steps[0].id)
    assert [(r.name, r.value) for r in page.crm.rows][:2] == [("stage", "1:12"), ("price", "{{ contact.offer }}")]
    await tab.call(ChainPage, "choose_crm_entity", "contact")
    assert {f.id for f in page.crm.fields} >= {"first_name", "phone"}
    assert [r.name for r in page.crm.rows] == ["", "", ""]


async def test_an_account_that_is_away_is_said_and_nothing_is_lost(
    tab: Tab, services: Services, who: Principal, agent: AgentRow, account: Kommo
) -> None:
    account.fail("server_error", times=99)
    tab.go(redirected_to(await tab.call(FollowUps, "create", {"name": "Quote", "zone": "Europe/Kyiv"})))
    await tab.call(ChainPage, "load")
    await tab.call(ChainPage, "add_step", "crm")
    page = tab.state(ChainPage)
    assert page.is_step_open
    assert page.crm.problem == "У Kommo негаразди. Повторіть пізніше."
    form = {
        **TIMING,
        "target": page.form.target,
        "name_0": "cf_501",
        "value_0": "Site",
        "text": "Note",
        "task_hours": "24",
    }
    await tab.call(ChainPage, "save_step", form)
    await tab.call(ChainPage, "edit_step", page.steps[0].id)
    assert (page.crm.rows[0].name, page.crm.rows[0].value) == ("cf_501", "Site")
    assert CrmFieldItem("cf_501", "cf_501") in page.crm.fields


async def test_a_trigger_writes_what_was_chosen(
    tab: Tab, services: Services, who: Principal, agent: AgentRow, account: Kommo
) -> None:
    tab.go(f"/agents/{agent.id}")
    await tab.call(AgentTriggers, "load")
    await tab.call(AgentTriggers, "begin", "manual")
    page = tab.state(AgentTriggers)
    await tab.call(TriggerForm, "put", "name", "Won back")
    await tab.call(TriggerForm, "put_action", 0, "do", "write_crm")
    assert page.actions[0].slot == "crm"
    assert CrmFieldItem("cf_502", "Guests") in page.actions[0].crm.fields
    assert [p.code for p in page.problems] == ["crm_nothing"]
    await tab.call(TriggerForm, "put_action", 0, "crm", "anything")
    for place, row, name, value in (
        (0, 0, "name", "stage"), (0, 0, "value", "Won"), (0, 1, "name", "cf_502"), (0, 1, "value", "{{ contact.guests }}"),
        (0, 7, "name", "x"), (3, 0, "name", "x"),
    ):  # fmt: skip
        await tab.call(TriggerForm, "put_crm", place, row, name, value)
    assert page.actions[0].crm.rows[0].choices == ["New", "Offer sent", "Won"]
    assert page.problems == []
    await tab.call(AgentTriggers, "save")
    (made,) = await services.triggers.list(who, agent.id)
    (action,) = made.trigger.actions
    assert isinstance(action, WriteCrm)
    assert [(f.name, f.value) for f in action.fields] == [("stage", "1:142"), ("cf_502", "{{ contact.guests }}")]
    tab.go(page.triggers[0].path)
    await tab.call(TriggerPage, "load")
    await tab.call(TriggerPage, "begin")
    shown = tab.state(TriggerPage).actions[0]
    assert (shown.crm.rows[0].name, shown.crm.rows[0].value) == ("stage", "Won")
