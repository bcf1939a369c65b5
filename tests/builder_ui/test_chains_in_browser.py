"""Follow-ups in a real browser: a chain is drawn up, published, filled and foreseen, wide and narrow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, expect

from graph_runtime.bootstrap import Services
from graph_runtime.services.agents import AgentRow
from graph_runtime.services.principal import Principal
from tests.axe import serious
from tests.builder_ui.tab import Tab
from tests.builder_ui.test_in_browser import address, browser, context, screens, sign_in

__all__ = ["address", "browser", "context", "screens"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120, func_only=True)]
SHOTS = os.environ.get("PATCHCORD_SHOTS", "")


async def shot(page: Page, name: str) -> None:
    """For whoever wants to look; nothing when nobody asked."""
    if SHOTS:
        await page.wait_for_timeout(500)
        await page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


async def test_a_follow_up_from_nothing_to_the_calendar(
    context: BrowserContext, tab: Tab, agent: AgentRow, services: Services, who: Principal, admin: Any
) -> None:
    admin.execute(
        "INSERT INTO contact (workspace_id, name, phone, time_zone) VALUES"
        " (%(w)s, 'Marta Shevchenko', '+380671112233', ''), (%(w)s, 'John Smith', '', 'America/New_York')",
        {"w": who.workspace_id},
    )
    page = await context.new_page()
    await page.goto("/follow-ups")
    await sign_in(page)
    await page.get_by_test_id("add-first-chain").wait_for()
    await shot(page, "chains-empty")
    await page.get_by_test_id("add-first-chain").click()
    await page.locator("input[name=name]").fill("Нагадування після кошторису")
    await page.get_by_test_id("create-chain").click()
    await page.get_by_test_id("add-first-step").click()
    await page.get_by_test_id("add-message").click()
    await page.locator("textarea[name=text]").fill("Добрий день, {{ contact.name }}! Чи отримали ви кошторис?")
    await shot(page, "chain-panel")
    await page.get_by_test_id("save-step").click()
    await expect(page.locator(".ps-chain > li")).to_have_count(1)
    await page.get_by_test_id("add-step").click()
    await page.get_by_test_id("add-notify").click()
    await page.locator("textarea[name=text]").fill("Зателефонувати {{ contact.name }}")
    await page.locator("input[name=amount]").fill("2")
    await page.locator("input[name=at]").fill("11:00")
    await page.get_by_test_id("save-step").click()
    await expect(page.locator(".ps-chain > li")).to_have_count(2)
    await expect(page.locator(".ps-chain > li").last).to_contain_text("Через 2 дні після попереднього кроку о 11:00")
    await page.get_by_role("tab", name="Репетиція").click()
    await page.locator("#play-name").fill("Оксана")
    await page.locator("#play-time_zone").fill("Europe/Kyiv")
    await shot(page, "chain-play-setup")
    await page.get_by_test_id("play-chain").click()
    lines = page.get_by_test_id("play-log").locator(".ps-agenda-line")
    await expect(lines.first).to_contain_text("Входить у ланцюжок")
    await page.get_by_test_id("play-end").click()
    await expect(lines.last).to_contain_text("Усі кроки пройдено")
    await shot(page, "chain-play")
    await page.get_by_test_id("play-restart").click()
    await page.get_by_test_id("play-chain").click()
    await page.locator("input[name=answer]").fill("Так, дякую")
    await page.get_by_test_id("play-answer").click()
    await expect(lines.last).to_contain_text("Завершується")
    await shot(page, "chain-play-answered")
    assert await serious(page) == []
    await page.get_by_role("tab", name="Кроки").click()
    await page.get_by_test_id("publish-chain").click()
    await page.get_by_test_id("enroll").click()
    await page.get_by_text("Marta Shevchenko").wait_for()
    await shot(page, "chain-enroll")
    await page.get_by_role("button", name="Додати", exact=True).first.click()
    await page.get_by_role("button", name="Додати", exact=True).first.wait_for(state="detached")
    await shot(page, "chain-steps")
    assert await serious(page) == []
    await page.get_by_role("tab", name="Люди").click()
    await expect(page.locator(".ps-list .ps-row")).to_have_count(1)
    await shot(page, "chain-people")
    await page.get_by_role("tab", name="Розклад").click()
    await expect(page.locator(".ps-agenda").first.locator(".ps-agenda-line")).to_have_count(2)
    await shot(page, "chain-schedule")
    assert await serious(page) == []
    await page.get_by_role("tab", name="Результати").click()
    await shot(page, "chain-figures")
    await page.set_viewport_size({"width": 400, "height": 800})
    await page.get_by_role("tab", name="Кроки").click()
    await expect(page.locator(".ps-chain > li")).to_have_count(2)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 400
    await shot(page, "chain-narrow")
    await page.goto("/follow-ups")
    await expect(page.locator(".ps-list .ps-row")).to_have_count(1)
    await shot(page, "chains-narrow")
    await page.set_viewport_size({"width": 1280, "height": 800})
    await page.goto("/work")
    lines = page.get_by_test_id("work-lines").locator(".ps-work")
    await expect(lines).to_have_count(8)
    await page.get_by_test_id("pause-timers").click()
    await expect(page.get_by_test_id("resume-timers")).to_be_visible()
    admin.execute("UPDATE enrollment SET due_at = now()")
    await expect(lines.nth(5).locator("dd").first).to_have_text("1")  # seen without a reload
    await shot(page, "work")
    assert await serious(page) == []
    await page.get_by_test_id("resume-timers").click()
    await expect(page.get_by_test_id("pause-timers")).to_be_visible()
    await page.set_viewport_size({"width": 400, "height": 800})
    assert await page.evaluate("document.documentElement.scrollWidth") <= 400
    await shot(page, "work-narrow")
