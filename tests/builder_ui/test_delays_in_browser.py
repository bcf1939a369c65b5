"""A flow that waits, tried in the editor with the real product: the wait is skipped, its event happens; what begins the flow."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from playwright.async_api import Page, expect

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from graph_runtime.worker.timers import Timers
from tests.api.conftest import Address
from tests.builder_ui.tab import Tab
from tests.builder_ui.test_contacts_in_browser import address, browser, screens, shot  # noqa: F401 (fixtures)
from tests.engine.small_nodes import flow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120, func_only=True)]
REMINDER = flow(
    {
        "n_start": ("start", {}),
        "n_sent": ("send_message", {"text": "Here is the quote."}),
        "n_wait": ("delay", {"duration": "P26W", "event": "contact.tag_added", "event_value": "paid"}),
        "n_late": ("send_message", {"text": "Half a year has passed."}),
        "n_paid": ("send_message", {"text": "Thank you for paying."}),
        "n_end": ("end", {"result": "done"}),
    },
    {
        "n_start.next": "n_sent", "n_sent.next": "n_wait", "n_wait.elapsed": "n_late", "n_wait.happened": "n_paid",
        "n_late.next": "n_end", "n_paid.next": "n_end",
    },
    entry={"message": "n_start"},
)  # fmt: skip


async def test_a_wait_is_skipped_and_its_event_happens_in_the_drawer(
    services: Services, tab: Tab, who: Principal, browser: Any, address: Address  # noqa: F811 (fixtures)
) -> None:  # fmt: skip
    agent = await services.agents.create(who, name="Reminder", language="en")
    await services.drafts.replace(who, agent.main_flow_id, REMINDER.to_json())
    document = {"name": "Every Monday", "when": {"kind": "schedule"}, "actions": [{"do": "start_flow", "flow_id": ""}]}
    await services.triggers.create(who, agent.id, document)
    await services.accounts.update_me(who, language="en")
    side = services.conversation_side
    timers = asyncio.create_task(Timers(side.sweep, side.runner, side.database.listen).run())
    context = await browser.new_context(
        base_url=address.http, locale="en", bypass_csp=True, viewport={"width": 1280, "height": 900}
    )
    context.set_default_timeout(15_000)
    await context.add_cookies(
        [{"name": "patchcord_session", "value": tab.cookie.rpartition("=")[2], "url": address.http}]
    )
    page = await context.new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    try:
        await _walk(page, f"/agents/{agent.id}/flow/{agent.main_flow_id}")
    finally:
        timers.cancel()
        await asyncio.gather(timers, return_exceptions=True)
        await context.close()
    assert not broken


async def _walk(page: Page, path: str) -> None:
    await page.goto(path)
    await page.get_by_test_id("board").wait_for()
    await expect(page.get_by_test_id("card-begun-by")).to_have_text("1")
    await page.get_by_test_id("card-n_start").click()
    begun = page.get_by_test_id("begun-by").get_by_role("link", name="Every Monday")
    assert (await begun.get_attribute("href") or "").startswith("/triggers/")
    await shot(page, "start-begun-by")
    await page.keyboard.press("Escape")
    await page.keyboard.press("Control+Enter")
    said = page.get_by_test_id("bubble-agent")
    await expect(said.last).to_contain_text("Here is the quote.")
    await page.get_by_test_id("test-skip-time").click()
    await expect(said.last).to_contain_text("Half a year has passed.")
    await expect(page.get_by_test_id("test-log")).to_contain_text("The conversation is over")
    await page.get_by_test_id("test-restart").click()
    await expect(page.get_by_test_id("test-let-happen")).to_be_visible()
    await shot(page, "test-let-happen")
    await page.get_by_test_id("test-let-happen").click()
    await expect(said.last).to_contain_text("Thank you for paying.")
