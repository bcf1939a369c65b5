"""From a bot's token to answers: the wizard in the browser, a template's flow, and a worker that is killed meanwhile."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.end_to_end.whole.conftest import PICTURES
from tests.end_to_end.whole.designer import Designer, open_dialog
from tests.end_to_end.whole.stack import Stack, wait_until
from tests.fakes.telegram import Bot, TelegramFake, telegram

pytestmark = pytest.mark.timeout(150, func_only=True)
ROOT = Path(os.environ.get("PATCHCORD_PICTURES") or PICTURES / "telegram")
PEOPLE = 12


@pytest.fixture(scope="module")
def fake() -> Iterator[TelegramFake]:
    with telegram() as running:
        yield running


def connect(me: Designer, bot: Bot, token: str) -> None:
    """Paste a token as a person does."""
    page = me.page
    open_dialog(page, "add-telegram", "#bot-token")
    page.fill("#bot-token", token)
    if not page.locator("#bot-server").is_visible():
        page.get_by_text("A Bot API server of your own").click()
    page.fill("#bot-server", bot.fake.url)
    page.get_by_role("checkbox", name="inside our own network").check()
    page.get_by_test_id("connect-telegram").click()


def test_a_token_becomes_a_bot_that_answers_whatever_dies(stack: Stack, designer: Designer, fake: TelegramFake) -> None:
    me, page = designer, designer.page
    bot = fake.bot("Flowers")
    me.create_agent("Flowers", "Appointment")
    agent = me.agent_id
    me.publish("First")

    page.goto(f"{stack.url}/agents/{agent}")
    connect(me, bot, "123456789:AAthisTokenWasNeverGivenToAnybody00")
    expect(page.get_by_text("Telegram does not know this token").first).to_be_visible()
    picture(me, "refused")
    began = time.monotonic()
    connect(me, bot, bot.token)
    row = page.get_by_test_id("telegram-bot")
    expect(row).to_contain_text("Flowers")
    wait_until(lambda: bool(bot.calls("getUpdates")), 20, "the bot is asked")
    page.get_by_test_id("refresh-telegram").click()
    expect(row).to_contain_text("Connected")
    expect(row).to_contain_text("Patchcord asks Telegram")
    assert bot.token not in page.content()

    survives(stack, bot, agent, began)
    behaves(me)
    page.get_by_test_id("refresh-telegram").click()
    expect(row).to_contain_text("Last message")
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            picture(me, f"connected-{width}-{theme}")
    page.set_viewport_size({"width": 1280, "height": 900})
    row.get_by_role("button", name="Disconnect Flowers").click()
    page.get_by_role("button", name="Disconnect", exact=True).click()
    expect(row).to_have_count(0)


def behaves(me: Designer) -> None:
    """How it behaves is changed without its token."""
    page = me.page
    page.get_by_role("button", name="Settings of Flowers").click()
    page.get_by_role("textbox", name="Commands in the menu").fill("prices What it costs\nhelp Who we are")
    page.locator("#saved-buttons").click()
    page.get_by_role("option", name="In place of the keyboard").click()
    picture(me, "behavior")
    page.get_by_test_id("save-telegram").click()
    expect(page.get_by_test_id("save-telegram")).to_have_count(0)


def survives(stack: Stack, bot: Bot, agent: str, began: float) -> None:
    """A minute after the form was opened it answers. Twelve people write, the worker is killed in the middle: each is answered
    once, or it is said that it was twice."""
    for person in range(1, PEOPLE // 2 + 1):
        bot.write("Hello", user=person)
    wait_until(lambda: bool(bot.sent()), 20, "the first is answered")
    assert time.monotonic() - began < 60, "from an empty form to a bot that answers takes less than a minute"
    pid = stack.kill("worker")
    for person in range(PEOPLE // 2 + 1, PEOPLE + 1):
        bot.write("Hello", user=person)
    stack.wait_until_replaced("worker", pid)
    with stack.database() as rows:

        def facts() -> tuple[int, int, int]:
            return rows.execute(
                "SELECT (SELECT count(*) FROM inbox i JOIN channel c ON c.id = i.source_id"
                " WHERE c.connector = 'telegram' AND c.agent_id = %(agent)s::uuid),"
                " (SELECT count(*) FROM inbox WHERE state = 'pending'),"
                " (SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending'))",
                {"agent": agent},
            ).fetchone()  # type: ignore[return-value]

        wait_until(lambda: facts() == (PEOPLE, 0, 0), 60, "everybody is answered")
        said: list[Any] = rows.execute(
            "SELECT x.external_user_id, m.text, m.flags ? 'possibly_duplicate' FROM message m"
            " JOIN conversation c ON c.id = m.conversation_id JOIN contact_identity x ON x.contact_id = c.contact_id"
            " WHERE m.role = 'agent' AND c.channel_kind = 'telegram' AND c.agent_id = %(agent)s::uuid",
            {"agent": agent},
        ).fetchall()
    assert {person for person, _, _ in said} == {str(n) for n in range(1, PEOPLE + 1)}
    arrived = Counter(str(call.fields["chat_id"]) for call in bot.sent())
    meant = Counter(person for person, _, _ in said)
    flagged = Counter(person for person, _, is_flagged in said if is_flagged)
    for person, count in meant.items():
        assert count <= arrived[person] <= count + flagged[person], (person, count, arrived[person], flagged[person])


def picture(me: Designer, name: str) -> None:
    """Kept for whoever looks at the screens."""
    ROOT.mkdir(parents=True, exist_ok=True)
    me.page.screenshot(path=ROOT / f"telegram-{name}.png", full_page=name.startswith("connected"))
