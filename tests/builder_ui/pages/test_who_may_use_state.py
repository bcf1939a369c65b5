"""The form that says which agents a key or a connection serves, on both pages that show them."""

from __future__ import annotations

from builder_ui.pages.connections_state import Connections
from builder_ui.pages.models_state import Models
from builder_ui.pages.who_may_use_state import WhoMayUse
from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.builder_ui.tab import Tab


async def test_agents_are_chosen_and_shown_in_the_list(services: Services, tab: Tab, who: Principal) -> None:
    shop = await services.agents.create(who, name="Shop")
    school = await services.agents.create(who, name="School")
    key = await services.credentials.create(who, "openai", "Key", {"key": "sk-canary-0123456789"})
    await tab.call(Models, "load")
    form = tab.state(WhoMayUse)
    await tab.call(WhoMayUse, "begin", key.id, "models")
    assert (form.name, form.is_limited) == ("Key", False)
    assert {(a.name, a.is_in) for a in form.agents} == {("Shop", False), ("School", False)}
    await tab.call(WhoMayUse, "limit", "some")
    await tab.call(WhoMayUse, "save", {f"agent:{shop.id}": "on", "agent:of-nobody": "on"})
    assert (form.key_id, tab.notice) == ("", ("success", "serving.saved"))
    await tab.call(Models, "load")
    (shown,) = tab.state(Models).keys
    assert (shown.is_limited, shown.only_for) == (True, "Shop")
    assert tab.state(Models).answering == [], "it cannot be everybody's default"
    await tab.call(Connections, "load")
    (link,) = tab.state(Connections).links
    assert (link.is_limited, link.only_for) == (True, "Shop")
    await tab.call(WhoMayUse, "begin", key.id, "links")
    assert (form.is_limited, {(a.name, a.is_in) for a in form.agents}) == (True, {("Shop", True), ("School", False)})
    await tab.call(WhoMayUse, "limit", "all")
    await tab.call(WhoMayUse, "save", {f"agent:{school.id}": "on"})
    assert (await services.credentials.get(who, key.id)).only_agents is None


async def test_while_others_use_it_the_form_stays_and_says_who(services: Services, tab: Tab, who: Principal) -> None:
    school = await services.agents.create(who, name="School")
    key = await services.credentials.create(who, "openai", "Key", {"key": "sk-canary-0123456789"})
    await services.agents.bind(who, str(school.id), "llm", credential_id=key.id, connector="openai", model="m")
    await tab.call(WhoMayUse, "begin", key.id, "models")
    await tab.call(WhoMayUse, "limit", "some")
    await tab.call(WhoMayUse, "save", {})
    assert tab.notice == ("error", "error.still_used")
    assert tab.state(WhoMayUse).key_id == key.id
    await tab.call(WhoMayUse, "close", False)
    assert tab.state(WhoMayUse).key_id == ""
