"""The webhooks on an agent's page, and what a transcript says about a delivery."""

from typing import Any

import pytest

from builder_ui.pages.agent_webhooks_state import SECRET_FIELD, Webhooks
from builder_ui.pages.conversations_state import Talks
from graph_runtime.bootstrap import Services
from graph_runtime.services.agents import AgentRow
from graph_runtime.services.principal import Principal
from tests.builder_ui.tab import Tab

URL = "https://example.com/patchcord"


@pytest.fixture
async def page(services: Services, tab: Tab, agent: AgentRow) -> Webhooks:
    tab.go(f"/agents/{agent.id}/")
    await tab.call(Webhooks, "load")
    return tab.state(Webhooks)


async def add(tab: Tab, **form: Any) -> list[Any]:
    await tab.call(Webhooks, "set_adding", True)
    return await tab.call(Webhooks, "add", {"url": URL, **form})


async def test_the_secret_is_shown_once_and_never_part_of_the_state(tab: Tab, page: Webhooks) -> None:
    shown = str(await add(tab))
    assert SECRET_FIELD in shown
    assert "whsec_" in shown
    (hook,) = page.hooks
    assert (hook.name, hook.url, hook.is_on, hook.is_private) == ("example.com", URL, True, False)
    assert hook.path.startswith("/hooks/webhook/")
    assert page.is_fresh_shown
    assert not page.is_adding
    assert "whsec_" not in str(tab.root.dict())
    await tab.call(Webhooks, "forget")
    assert not page.is_fresh_shown


async def test_an_address_that_cannot_be_called_is_said_so(tab: Tab, page: Webhooks) -> None:
    await add(tab, url="ftp://nowhere")
    assert tab.notice == ("error", "error.input_invalid_url")
    assert page.is_adding
    assert not page.is_saving


async def test_switching_renewing_and_deleting(
    services: Services, tab: Tab, who: Principal, agent: AgentRow, page: Webhooks
) -> None:
    await add(tab, label="Shop")
    hook = page.hooks[0]
    assert hook.name == "Shop"
    await tab.call(Webhooks, "switch", hook.id, False)
    assert not page.hooks[0].is_on
    assert "whsec_" in str(await tab.call(Webhooks, "renew", hook.id))
    assert page.hooks[0].previous_until
    await tab.call(Webhooks, "delete")
    assert len(page.hooks) == 1, "nobody was asked"
    await tab.call(Webhooks, "ask_delete", hook.id)
    assert page.doomed_name == "Shop"
    await tab.call(Webhooks, "keep", False)
    await tab.call(Webhooks, "delete")
    assert len(page.hooks) == 1
    await tab.call(Webhooks, "ask_delete", hook.id)
    await tab.call(Webhooks, "delete")
    assert page.hooks == []
    assert await services.channel_setup.list(who, agent.id) == []


async def test_an_address_that_is_none_is_said(tab: Tab, page: Webhooks) -> None:
    for url in ("", "ftp://example.com", "not an address"):
        await add(tab, url=url)
        assert page.notice.level == "error"
    assert page.hooks == []


async def test_a_channel_of_another_agent_is_not_found_here(
    services: Services, tab: Tab, who: Principal, page: Webhooks
) -> None:
    other = await services.agents.create(who, name="Other")
    row, _ = await services.channel_setup.create(who, other.id, "webhook", settings={"url": URL})
    for name, more in (("switch", (False,)), ("renew", ()), ("ask_delete", ())):
        await tab.call(Webhooks, name, row.id, *more)
        assert page.notice.key == "error.not_found"
    assert (await services.channel_setup.list(who, other.id))[0].is_on


async def test_a_transcript_shows_what_arrived_twice_or_not_at_all(tab: Tab, talk: Any, admin: Any) -> None:
    await talk.say("Ann")
    admin.execute(
        "UPDATE message SET flags = '{\"possibly_duplicate\": true}' WHERE conversation_id = %s AND seq = 1", (talk.id,)
    )
    admin.execute(
        'UPDATE message SET flags = \'{"undelivered": "expired"}\' WHERE conversation_id = %s AND seq = 3', (talk.id,)
    )
    tab.go(f"/conversations?id={talk.id}")
    await tab.call(Talks, "load")
    shown = {m.key: (m.is_twice, m.undelivered) for m in tab.state(Talks).messages}
    assert (shown["1"], shown["2"], shown["3"]) == ((True, ""), (False, ""), (False, "expired"))


def test_the_pages_can_be_built() -> None:
    from builder_ui.pages.agent import agent_page
    from builder_ui.pages.conversations import conversations_page

    for built in (str(agent_page()), str(conversations_page())):
        assert built
