"""The list of agents, as a person uses it."""

from builder_ui.pages.agents_state import Agents
from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.builder_ui.tab import Tab, redirected_to


async def test_creating_from_a_template_opens_its_flow(services: Services, tab: Tab, who: Principal) -> None:
    await tab.call(Agents, "begin_create")
    page = tab.state(Agents)
    assert page.is_creating
    assert page.speaks == "uk"
    events = await tab.call(Agents, "create", {"name": "  Reception "})
    (agent,) = await services.agents.list(who)
    assert agent.name == "Reception"
    assert agent.language == "uk"
    assert redirected_to(events) == f"/agents/{agent.id}/flow/{agent.main_flow_id}"


async def test_a_template_is_previewed_in_the_language_it_will_speak(tab: Tab) -> None:
    await tab.call(Agents, "begin_create")
    page = tab.state(Agents)
    if not page.templates:
        assert page.template == ""
        return
    await tab.call(Agents, "choose", page.templates[-1].id)
    ukrainian = [m.text for m in page.preview]
    await tab.call(Agents, "speak", "en")
    assert [m.text for m in page.preview] != ukrainian


async def test_an_unknown_template_is_the_empty_canvas(tab: Tab) -> None:
    await tab.call(Agents, "begin_create")
    await tab.call(Agents, "choose", "../../etc/passwd")
    assert tab.state(Agents).template == ""


async def test_a_second_click_on_create_makes_no_second_agent(services: Services, tab: Tab, who: Principal) -> None:
    await tab.call(Agents, "begin_create")
    await tab.call(Agents, "choose", "")
    await tab.call(Agents, "create", {"name": "One"})
    await tab.call(Agents, "create", {"name": "One"})
    assert len(await services.agents.list(who)) == 1


async def test_an_empty_agent_without_a_name_is_named_in_its_language(
    services: Services, tab: Tab, who: Principal
) -> None:
    await tab.call(Agents, "begin_create")
    await tab.call(Agents, "choose", "")
    await tab.call(Agents, "create", {"name": ""})
    assert [a.name for a in await services.agents.list(who)] == ["Новий агент"]


async def test_search_switch_and_duplicate(services: Services, tab: Tab, who: Principal) -> None:
    survey = await services.agents.create(who, name="Survey", language="en")
    await services.agents.create(who, name="Reception", language="en")
    await tab.call(Agents, "find", "surv")
    assert [a.name for a in tab.state(Agents).agents] == ["Survey"]
    await tab.call(Agents, "switch", survey.id, False)
    assert tab.notice == ("success", "agents.is_off_now")
    assert not (await services.agents.get(who, survey.id)).is_on
    await tab.call(Agents, "duplicate", survey.id)
    assert len(tab.state(Agents).agents) == 2


async def test_deleting_says_what_goes_and_happens_only_after_the_question(
    services: Services, tab: Tab, who: Principal
) -> None:
    agent = await services.agents.create(who, name="Survey", language="en")
    await tab.call(Agents, "delete")
    assert len(await services.agents.list(who)) == 1
    await tab.call(Agents, "ask_delete", agent.id)
    page = tab.state(Agents)
    assert (page.doomed_name, page.doomed_open, page.doomed_versions) == ("Survey", 0, 0)
    await tab.call(Agents, "keep", False)
    await tab.call(Agents, "delete")
    assert len(await services.agents.list(who)) == 1
    await tab.call(Agents, "ask_delete", agent.id)
    await tab.call(Agents, "delete")
    assert await services.agents.list(who) == []
    assert tab.notice == ("success", "agents.deleted")


async def test_agents_of_another_workspace_do_not_exist(
    services: Services, tab: Tab, other_workspace: Principal
) -> None:
    foreign = await services.agents.create(other_workspace, name="Globex bot", language="en")
    await tab.call(Agents, "load")
    assert tab.state(Agents).agents == []
    for name, arguments in (
        ("switch", (foreign.id, False)),
        ("duplicate", (foreign.id,)),
        ("ask_delete", (foreign.id,)),
    ):
        await tab.call(Agents, name, *arguments)
        assert tab.notice == ("error", "error.not_found"), name
    tab.state(Agents).doomed_id = foreign.id
    await tab.call(Agents, "delete")
    assert len(await services.agents.list(other_workspace)) == 1
