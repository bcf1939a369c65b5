"""Keys of models and of the API: secrets go in, and never come out in the state."""

from typing import Any

from builder_ui.pages.agent_state import DEMO
from builder_ui.pages.api_keys_state import FRESH_FIELD, ApiKeys
from builder_ui.pages.models_state import Models
from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.builder_ui.tab import Tab

SECRET = "sk-canary-4711-never-shown"
NOWHERE = "http://127.0.0.1:9/v1"


def whole_state(tab: Tab) -> str:
    """Everything that Reflex would send to the browser."""
    return str(tab.root.dict())


async def add_key(tab: Tab) -> list[Any]:
    await tab.call(Models, "load")
    await tab.call(Models, "begin_adding")
    await tab.call(Models, "choose", "openai")
    return await tab.call(Models, "add", {"label": "Office", "key": SECRET, "base_url": NOWHERE})


async def test_a_key_is_stored_checked_and_never_shown(services: Services, tab: Tab, who: Principal) -> None:
    await add_key(tab)
    page = tab.state(Models)
    assert [(k.label, k.details, k.state) for k in page.keys] == [("Office", NOWHERE, "fails")]
    assert tab.notice == ("error", "models.fails")
    assert not page.is_adding
    assert not page.is_saving
    assert SECRET not in whole_state(tab)
    assert [f.kind for f in page.fields].count("password") == 1


async def test_the_form_of_a_vendor_is_in_the_members_language(tab: Tab) -> None:
    await tab.call(Models, "load")
    await tab.call(Models, "begin_adding")
    await tab.call(Models, "choose", "anthropic")
    ukrainian = [f.label for f in tab.state(Models).fields]
    assert ukrainian == ["Ключ"]
    assert DEMO not in {v.id for v in tab.state(Models).vendors}


async def test_replacing_asks_only_for_the_secret(services: Services, tab: Tab, who: Principal) -> None:
    await add_key(tab)
    (key,) = tab.state(Models).keys
    await tab.call(Models, "begin_replacing", key.id)
    assert [f.key for f in tab.state(Models).fields] == ["key"]
    await tab.call(Models, "replace", {"key": SECRET + "-2"})
    assert tab.state(Models).replacing_id == ""
    assert SECRET not in whole_state(tab)
    (row,) = await services.credentials.list(who)
    assert row.settings["base_url"] == NOWHERE


async def test_deleting_a_key_names_the_agents_that_lose_it(services: Services, tab: Tab, who: Principal) -> None:
    await add_key(tab)
    (key,) = tab.state(Models).keys
    agent = await services.agents.create(who, name="Reception", language="en")
    await services.agents.bind(who, agent.id, "main", credential_id=key.id, connector="openai", model="gpt-5-mini")
    await tab.call(Models, "ask_delete", key.id)
    assert tab.state(Models).doomed_agents == ["Reception"]
    await tab.call(Models, "delete")
    assert tab.state(Models).keys == []


async def test_the_default_model_answers_where_nothing_is_chosen(services: Services, tab: Tab, who: Principal) -> None:
    await add_key(tab)
    (key,) = tab.state(Models).keys
    assert tab.state(Models).default_choice == DEMO
    await tab.call(Models, "choose_default", key.id)
    await tab.call(Models, "name_default", "gpt-5-mini")
    assert (tab.state(Models).default_choice, tab.state(Models).default_model) == (key.id, "gpt-5-mini")
    agent = await services.agents.create(who, name="Reception", language="en")
    (model,) = await services.models.chat_model(who.workspace_id, agent.id, "main")
    assert "gpt-5-mini" in str(vars(model) if hasattr(model, "__dict__") else model)
    await tab.call(Models, "ask_delete", key.id)
    await tab.call(Models, "delete")
    assert tab.state(Models).default_choice == DEMO


async def test_an_api_key_goes_into_its_field_and_not_into_the_state(
    services: Services, tab: Tab, who: Principal
) -> None:
    await tab.call(ApiKeys, "load")
    await tab.call(ApiKeys, "set_creating", True)
    *_, event = await tab.call(ApiKeys, "create", {"name": "Shop", "conversations:write": "on", "nonsense": "on"})
    payload = {str(k): v._var_value for k, v in event.args}
    assert FRESH_FIELD in str(event.args)
    secret = str(payload["value"])
    assert (await services.api_keys.principal(secret)).scopes >= {"conversations:write"}
    assert secret not in whole_state(tab)
    (row,) = tab.state(ApiKeys).keys
    assert (row.name, row.scopes) == ("Shop", ["conversations:write"])
    await tab.call(ApiKeys, "ask_revoke", row.id)
    await tab.call(ApiKeys, "revoke")
    assert tab.state(ApiKeys).keys == []


async def test_an_api_key_without_rights_is_refused(tab: Tab) -> None:
    await tab.call(ApiKeys, "load")
    await tab.call(ApiKeys, "set_creating", True)
    await tab.call(ApiKeys, "create", {"name": "Shop"})
    assert tab.notice == ("error", "error.input_invalid")
    assert not tab.state(ApiKeys).is_saving
