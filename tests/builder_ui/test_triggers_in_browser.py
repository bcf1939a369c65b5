"""A designer makes a trigger in the browser: the empty tab, the form, trying it, its page with times, sample and log."""

import os
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from graph_runtime.bootstrap import Services
from graph_runtime.services.agents import AgentRow
from graph_runtime.storage.trigger_runs import TriggerSweep
from graph_runtime.worker.triggers import TriggerTimers
from tests.api.conftest import Address
from tests.axe import serious
from tests.builder_ui.tab import Tab
from tests.builder_ui.test_in_browser import address, browser, screens  # noqa: F401  (fixtures)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120, func_only=True)]
SHOTS = os.environ.get("PATCHCORD_SHOTS", "")


async def shot(page: Page, name: str) -> None:
    if SHOTS:
        await page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


async def test_a_designer_makes_a_trigger(
    services: Services,
    tab: Tab,
    agent: AgentRow,
    admin: Any,
    browser: Browser,  # noqa: F811
    address: Address,  # noqa: F811
) -> None:
    who = await services.accounts.principal(tab.cookie.rpartition("=")[2])
    admin.execute("UPDATE member SET language = 'en'")
    admin.execute(
        "INSERT INTO contact (workspace_id, name, phone) VALUES (%s, 'Ann Lee', '+380501234567')", (who.workspace_id,)
    )
    context = await browser.new_context(
        base_url=address.http, locale="en", bypass_csp=True, viewport={"width": 1280, "height": 900}
    )
    context.set_default_timeout(15_000)
    await context.add_cookies(
        [{"name": "patchcord_session", "value": tab.cookie.rpartition("=")[2], "url": address.http}]
    )
    page = await context.new_page()
    await page.goto(f"/agents/{agent.id}")
    await page.get_by_role("tab", name="Triggers").click()
    await expect(page.get_by_text("Nothing starts by itself yet")).to_be_visible()
    await shot(page, "1-empty")
    await page.get_by_test_id("add-trigger").click()
    await page.get_by_test_id("add-schedule").click()
    dialog = page.get_by_role("dialog")
    await dialog.locator("#trigger-name").fill("Weekly reminder")
    await dialog.locator("#trigger-every").click()
    await page.get_by_role("option", name="Cron line").click()
    await dialog.locator("#trigger-cron").fill("0 9 31 2 *")
    await dialog.locator("#trigger-zone").fill("Europe/Kyiv")
    await dialog.locator("#trigger-zone").blur()
    await expect(dialog.get_by_text("no month has such a day")).to_be_visible()
    await dialog.locator("#trigger-every").click()
    await page.get_by_role("option", name="Monday to Friday").click()
    await expect(dialog.get_by_test_id("next-times").locator("li")).to_have_count(10)
    await expect(dialog.get_by_text("Next times in Europe/Kyiv")).to_be_visible()
    await dialog.get_by_role("combobox", name="Action").click()
    await page.get_by_role("option", name="Leave a note for people").click()
    await dialog.get_by_role("textbox", name="Text").fill("Call {{ contact.name }} back")
    await dialog.locator("input[name=trial_contact]").fill("Ann")
    await dialog.get_by_test_id("try-trigger").click()
    await expect(dialog.get_by_test_id("trial")).to_contain_text("It would fire")
    await shot(page, "2-form")
    assert await serious(page) == []
    await dialog.get_by_test_id("save-trigger").click()
    await expect(page.get_by_text("Monday to Friday at 09:00, Europe/Kyiv → leaves a note")).to_be_visible()
    await shot(page, "3-list")
    assert await serious(page) == []
    await page.get_by_role("link", name="Weekly reminder").click()
    await expect(page.locator("h1")).to_have_text("Weekly reminder")
    await page.get_by_test_id("trigger-more").click()
    await page.get_by_role("menuitem", name="Fire it now").click()
    await page.get_by_role("dialog").get_by_role("textbox").fill("Ann Lee")
    await page.get_by_test_id("fire-trigger").click()
    await expect(page.get_by_test_id("trigger-log")).to_contain_text("Waiting")
    timers = TriggerTimers(TriggerSweep(services.database), services.trigger_runner, services.database.listen)
    while await timers.once():
        pass
    await page.get_by_role("button", name="Refresh the log").click()
    await expect(page.get_by_test_id("trigger-log")).to_contain_text("Ann Lee")
    await expect(page.get_by_test_id("trigger-log")).to_contain_text("Fired")
    await shot(page, "4-page")
    assert await serious(page) == []
    # A program's request, on a narrow dark screen.
    uses = [{"pointer": "/lead/phone", "as": "phone"}, {"pointer": "/lead/budget", "as": "variable", "name": "budget"}]
    row, _ = await services.triggers.create(
        who,
        agent.id,
        {"name": "Leads of the form", "when": {"kind": "webhook", "uses": uses}, "actions": [{"do": "start_flow"}]},
    )
    admin.execute(
        'UPDATE agent_trigger SET sample = \'{"lead": {"phone": "+380501234567", "budget": 900, "utm": null}}\' WHERE id = %s',
        (row.id,),
    )
    await page.set_viewport_size({"width": 400, "height": 860})
    await page.emulate_media(color_scheme="dark")
    await page.evaluate("localStorage.setItem('theme', 'dark')")
    await page.goto(f"/triggers/{row.id}")
    await page.get_by_test_id("capture").click()
    await expect(page.get_by_text("Waiting: send one request now.")).to_be_visible()
    await page.get_by_test_id("edit-trigger").click()
    await expect(page.get_by_role("dialog").get_by_text("/lead/budget")).to_be_visible()
    await shot(page, "5-narrow-form")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 400
    await page.keyboard.press("Escape")
    await shot(page, "6-narrow-page")
    await page.goto(f"/agents/{agent.id}")
    await page.get_by_role("tab", name="Triggers").click()
    await expect(page.get_by_text("Call Ann Lee back")).to_be_visible()
    await shot(page, "7-narrow-list")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 400
    await context.close()
