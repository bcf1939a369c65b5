"""One agent's page."""

import pytest

from builder_ui.pages.agent_state import AgentPage
from graph_runtime.bootstrap import Services
from graph_runtime.services.agents import AgentRow
from graph_runtime.services.principal import Principal
from tests.builder_ui.tab import Tab


@pytest.fixture
async def agent(services: Services, tab: Tab, who: Principal) -> AgentRow:
    made = await services.agents.create(who, name="Reception", language="uk")
    tab.go(f"/agents/{made.id}/")
    return made


async def test_the_page_shows_where_people_reach_the_agent(tab: Tab, agent: AgentRow) -> None:
    await tab.call(AgentPage, "load")
    page = tab.state(AgentPage)
    assert page.is_loaded
    assert page.canvas == f"/agents/{agent.id}/flow/{agent.main_flow_id}"
    assert agent.public_id in page.widget
    assert f"/api/v1/agents/{agent.id}/conversations" in page.curl
    assert [f.kind for f in page.flows] == ["main"]
    compile(page.python.replace("{origin}", "https://bot.example"), "quickstart", "exec")


async def test_settings_are_kept(services: Services, tab: Tab, who: Principal, agent: AgentRow) -> None:
    await tab.call(AgentPage, "load")
    await tab.call(AgentPage, "paint", "#E5484D")
    await tab.call(AgentPage, "paint", "url(evil)")
    await tab.call(AgentPage, "speak", "ru")
    await tab.call(AgentPage, "save", {"name": "Front desk", "description": "Visits", "subtitle": "Answers at once"})
    kept = await services.agents.get(who, agent.id)
    assert (kept.name, kept.description, kept.language) == ("Front desk", "Visits", "ru")
    assert kept.settings["theme"] == {"accent": "#e5484d"}
    assert kept.settings["subtitle"] == "Answers at once"


async def test_an_agent_needs_a_name(services: Services, tab: Tab, who: Principal, agent: AgentRow) -> None:
    await tab.call(AgentPage, "load")
    await tab.call(AgentPage, "save", {"name": "   "})
    assert tab.notice == ("error", "error.input_invalid")
    assert (await services.agents.get(who, agent.id)).name == "Reception"


async def test_a_subflow_is_added_once(services: Services, tab: Tab, who: Principal, agent: AgentRow) -> None:
    await tab.call(AgentPage, "load")
    await tab.call(AgentPage, "begin_adding")
    for _ in range(2):
        await tab.call(AgentPage, "add_flow", {"flow_name": "Phone number"})
    assert [f.kind for f in tab.state(AgentPage).flows] == ["main", "sub"]


async def test_a_missing_or_foreign_agent_is_said_to_be_missing(
    services: Services, tab: Tab, other_workspace: Principal
) -> None:
    foreign = await services.agents.create(other_workspace, name="Globex bot", language="en")
    for agent_id in (foreign.id, "nonsense"):
        tab.go(f"/agents/{agent_id}")
        await tab.call(AgentPage, "load")
        page = tab.state(AgentPage)
        assert page.is_missing
        assert not page.is_loaded
        assert page.name == ""


async def test_an_address_opens_its_part_of_the_page(tab: Tab, agent: AgentRow) -> None:
    for address, shown in (("", "channels"), ("?tab=nonsense", "channels"), ("?tab=phone", "phone")):
        tab.go(f"/agents/{agent.id}/{address}")
        await tab.call(AgentPage, "load")
        assert tab.state(AgentPage).tab == shown
    # Chosen before the page has loaded, as on a slow line: loading does not take it back.
    await tab.call(AgentPage, "show_tab", "models")
    tab.go(f"/agents/{agent.id}/")
    await tab.call(AgentPage, "load")
    assert tab.state(AgentPage).tab == "models"
