"""The Telegram bots on an agent's page, against a Bot API on a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from builder_ui.pages.agent_telegram_state import TelegramBots
from graph_runtime.bootstrap import Services
from graph_runtime.services.agents import AgentRow
from graph_runtime.services.principal import Principal
from tests.builder_ui.tab import Tab
from tests.fakes.telegram import Bot, TelegramFake, telegram


@pytest.fixture(scope="module")
def fake() -> Iterator[TelegramFake]:
    with telegram() as running:
        yield running


@pytest.fixture
async def page(services: Services, tab: Tab, agent: AgentRow) -> TelegramBots:
    tab.go(f"/agents/{agent.id}/")
    await tab.call(TelegramBots, "load")
    return tab.state(TelegramBots)


async def connect(tab: Tab, bot: Bot, **form: Any) -> None:
    await tab.call(TelegramBots, "set_adding", True)
    given = {"bot_token": bot.token, "base_url": bot.fake.url, "allow_private_host": "on", **form}
    await tab.call(TelegramBots, "connect", given)


async def test_a_token_becomes_a_bot_and_stays_secret(tab: Tab, page: TelegramBots, fake: TelegramFake) -> None:
    bot = fake.bot("Clinic")
    await connect(tab, bot, groups="all")
    (item,) = page.bots
    assert (item.name, item.username, item.link) == ("Clinic", bot.username, f"https://t.me/{bot.username}")
    assert (item.is_on, item.is_troubled, item.groups) == (True, False, "all")
    assert tab.notice == ("success", "telegram.connected")
    assert not page.is_adding
    assert bot.token not in str(tab.root.dict())


async def test_what_is_wrong_with_a_token_is_said_at_once(tab: Tab, page: TelegramBots, fake: TelegramFake) -> None:
    bot = fake.bot()
    for token in ("", "no token", "123456789:AAthisTokenWasNeverGivenToAnybody00"):
        await connect(tab, bot, bot_token=token)
        assert tab.notice == ("error", "error.input_invalid_bot_token")
    assert page.is_adding
    assert not page.is_saving
    await connect(tab, bot)
    await connect(tab, bot)
    assert tab.notice == ("error", "error.input_invalid_bot_taken")
    assert len(page.bots) == 1


async def test_trouble_switching_and_disconnecting(
    tab: Tab, page: TelegramBots, fake: TelegramFake, admin: Any
) -> None:
    bot = fake.bot()
    await connect(tab, bot)
    bot_id = page.bots[0].id
    admin.execute("UPDATE channel_link SET error_code = 'polled_elsewhere', error_at = now()")
    await tab.call(TelegramBots, "refresh")
    assert (page.bots[0].is_troubled, page.bots[0].error) == (True, "polled_elsewhere")
    admin.execute("UPDATE channel_link SET error_code = 'something_new'")
    await tab.call(TelegramBots, "retry", bot_id)
    assert (page.bots[0].is_troubled, page.bots[0].error) == (True, "")
    await tab.call(TelegramBots, "switch", bot_id, False)
    assert not page.bots[0].is_on
    await tab.call(TelegramBots, "disconnect")
    assert len(page.bots) == 1, "nobody was asked"
    await tab.call(TelegramBots, "ask_disconnect", bot_id)
    assert page.doomed_name == bot.name
    await tab.call(TelegramBots, "disconnect")
    assert page.bots == []
    assert bot.calls("deleteWebhook")
    assert admin.execute("SELECT count(*) FROM channel WHERE connector = 'telegram'").fetchone() == (0,)


async def test_a_bot_of_another_agent_is_not_found_here(
    services: Services, tab: Tab, who: Principal, page: TelegramBots, fake: TelegramFake
) -> None:
    bot = fake.bot()
    other = await services.agents.create(who, name="Other")
    given = {"bot_token": bot.token, "base_url": fake.url, "allow_private_host": True}
    row, _ = await services.channel_setup.create(who, other.id, "telegram", settings=given)
    for name, more in (("switch", (False,)), ("retry", ()), ("ask_disconnect", ())):
        await tab.call(TelegramBots, name, row.id, *more)
        assert page.notice.key == "error.not_found"


async def test_how_a_bot_behaves_is_changed_without_its_token(
    tab: Tab, page: TelegramBots, fake: TelegramFake, services: Services, who: Principal
) -> None:
    bot = fake.bot("Clinic")
    await connect(tab, bot, commands="prices What it costs", buttons="keyboard")
    (item,) = page.bots
    assert (item.buttons, item.commands) == ("keyboard", "prices What it costs")
    await tab.call(TelegramBots, "begin_changing", item.id)
    assert (page.changing_groups, page.changing_buttons) == ("mentioned", "keyboard")
    await tab.call(TelegramBots, "change", {"groups": "never", "buttons": "everywhere", "commands": "NOT A COMMAND"})
    assert tab.notice == ("error", "error.input_invalid_commands")
    assert page.changing_id == item.id
    await tab.call(TelegramBots, "change", {"groups": "never", "buttons": "everywhere", "commands": "help Who we are"})
    (item,) = page.bots
    assert (item.groups, item.buttons, item.commands) == ("never", "inline", "help Who we are")
    assert (page.changing_id, tab.notice[1]) == ("", "telegram.changed")
    assert bot.token not in str(tab.root.dict())
