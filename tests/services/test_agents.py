"""Agents: made, changed, copied, switched and deleted with what belongs to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import Conflict, InputInvalid, NotFound
from graph_runtime.contract.flow import load_flow
from graph_runtime.services.principal import Principal
from graph_runtime.services.templates import FOLDER, localize
from tests.services.test_publishing import ready

TEMPLATES = sorted(p.parent.name for p in Path(FOLDER).glob("*/flow.json"))


async def test_a_new_agent_has_a_start_and_its_channels(services: Services, owner: Principal) -> None:
    agent = await services.agents.create(owner, name="  Front   desk ", language="uk")
    assert (agent.name, agent.language, agent.is_on, agent.flows, agent.live_version) == (
        "Front desk",
        "uk",
        True,
        1,
        None,
    )
    assert list((await services.drafts.open(owner, agent.main_flow_id)).flow.nodes) == ["n_start"]
    assert (await services.channels.web_chat(agent.public_id)).name == "Front desk"
    assert [a.id for a in await services.agents.list(owner)] == [agent.id]


@pytest.mark.parametrize("language", ["en", "ru", "uk"])
@pytest.mark.parametrize("template", TEMPLATES)
async def test_every_template_makes_an_agent_that_can_be_published(
    services: Services, owner: Principal, template: str, language: str
) -> None:
    agent = await services.agents.create(owner, name="Bot", template=template, language=language)
    opened = await services.drafts.open(owner, agent.main_flow_id)
    assert opened.flow.locale == language
    assert [p for p in opened.problems if p.level == "error"] == []
    assert (await services.publishing.publish(owner, agent.main_flow_id, revision=1)).number == 1


async def test_the_gallery_speaks_the_person_s_language(services: Services, owner: Principal) -> None:
    names = {lang: [t.name for t in await services.agents.templates(owner, lang)] for lang in ("en", "ru", "uk")}
    assert len(names["en"]) == len(TEMPLATES)
    assert not set(names["en"]) & set(names["ru"])


@pytest.mark.parametrize("language", ["en", "ru", "uk"])
async def test_the_preview_is_a_dialogue_the_engine_has_played(
    services: Services, owner: Principal, language: str
) -> None:
    for template in await services.agents.templates(owner, language):
        roles = [line["role"] for line in template.preview]
        assert roles[0] == "agent", template.id
        assert "contact" in roles, template.id
        assert all("{{" not in line["text"] for line in template.preview)


def test_localizing_swaps_the_main_language_and_loses_no_text() -> None:
    flow = load_flow(
        {
            "format": "flow/1",
            "id": "t",
            "locale": "en",
            "nodes": {
                "n_a": {
                    "type": "ask_choice",
                    "name": "City",
                    "settings": {"text": "Where?", "options": [{"id": "o_1", "label": "Kyiv"}], "words": ["a", "b"]},
                }
            },
            "i18n": {
                "ru": {"n_a.text": "Где?", "n_a.options.o_1.label": "Киев", "n_a.words.1": "б", "n_a.name": "Город"}
            },
        }
    )
    russian = localize(flow, "ru")
    node = russian.nodes["n_a"]
    assert (russian.locale, node.name) == ("ru", "Город")
    assert node.settings == {"text": "Где?", "options": [{"id": "o_1", "label": "Киев"}], "words": ["a", "б"]}
    assert russian.i18n["en"]["n_a.text"] == "Where?"
    assert localize(russian, "en").nodes == flow.nodes


async def test_changing_and_switching(services: Services, owner: Principal) -> None:
    agent = await services.agents.create(owner, name="Bot")
    await services.agents.update(owner, agent.id, settings={"accent": "#123456"})
    changed = await services.agents.update(owner, agent.id, name="Desk", settings={"greeting": "Hi"})
    assert (changed.name, changed.settings) == ("Desk", {"accent": "#123456", "greeting": "Hi"})
    assert (await services.agents.set_on(owner, agent.id, False)).is_on is False
    for bad in ({"name": " "}, {"name": "x" * 200}, {"language": "fr"}, {"is_on": True}):
        with pytest.raises(InputInvalid):
            await services.agents.update(owner, agent.id, **bad)


async def test_a_copy_has_its_own_flows_and_is_not_published(services: Services, owner: Principal) -> None:
    agent = await ready(services, owner)
    await services.publishing.publish(owner, agent.main_flow_id, revision=2)
    await services.agents.bind(owner, agent.id, "llm", credential_id=None, connector="demo_model")
    copy = await services.agents.duplicate(owner, agent.id)
    assert (copy.name, copy.live_version) == ("Bot (2)", None)
    assert copy.main_flow_id != agent.main_flow_id
    opened = await services.drafts.open(owner, copy.main_flow_id)
    assert set(opened.flow.nodes) == {"n_start", "n_hi", "n_end"}
    assert [(b.slot, b.connector) for b in await services.agents.connections(owner, copy.id)] == [("llm", "demo_model")]


async def test_deleting_says_what_goes_and_takes_it_along(services: Services, owner: Principal) -> None:
    agent = await ready(services, owner)
    await services.publishing.publish(owner, agent.main_flow_id, revision=2)
    affected = await services.agents.what_delete_affects(owner, agent.id)
    assert (affected.flows, affected.versions, affected.conversations) == (1, 1, 0)
    await services.agents.delete(owner, agent.id)
    assert await services.agents.list(owner) == []
    with pytest.raises(NotFound):
        await services.drafts.open(owner, agent.main_flow_id)


async def test_the_main_flow_cannot_be_deleted_alone(services: Services, owner: Principal) -> None:
    agent = await services.agents.create(owner, name="Bot")
    with pytest.raises(Conflict):
        await services.agents.delete_flow(owner, agent.main_flow_id)
    sub = await services.agents.add_flow(owner, agent.id, "Sub")
    await services.agents.delete_flow(owner, sub.id)
    assert [f.kind for f in await services.agents.flows(owner, agent.id)] == ["main"]


async def test_binding_needs_a_key_where_the_connector_does(services: Services, owner: Principal) -> None:
    agent = await services.agents.create(owner, name="Bot")
    with pytest.raises(InputInvalid):
        await services.agents.bind(owner, agent.id, "llm", credential_id=None, connector="openai")
    with pytest.raises(InputInvalid):
        await services.agents.bind(owner, agent.id, "llm", credential_id=None, connector="os")
    with pytest.raises(NotFound):
        await services.agents.bind(owner, agent.id, "llm", credential_id="nothing", connector="openai")


async def test_walls(services: Services, owner: Principal, other_workspace: Principal) -> None:
    agent = await services.agents.create(owner, name="Bot")
    assert await services.agents.list(other_workspace) == []
    for act in (
        services.agents.get(other_workspace, agent.id),
        services.agents.update(other_workspace, agent.id, name="Mine"),
        services.agents.set_on(other_workspace, agent.id, False),
        services.agents.duplicate(other_workspace, agent.id),
        services.agents.delete(other_workspace, agent.id),
        services.agents.what_delete_affects(other_workspace, agent.id),
        services.agents.flows(other_workspace, agent.id),
        services.agents.add_flow(other_workspace, agent.id, "Mine"),
        services.agents.connections(other_workspace, agent.id),
        services.agents.bind(other_workspace, agent.id, "llm", credential_id=None, connector="demo_model"),
    ):
        with pytest.raises(NotFound):
            await act
    assert (await services.agents.get(owner, agent.id)).name == "Bot"
