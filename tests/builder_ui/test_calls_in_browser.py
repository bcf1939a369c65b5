"""The calls page, “Call me” and the waterfall of an answer, in a real browser over real calls and a manager that is strict."""

from __future__ import annotations

import os
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, expect

from builder_ui import i18n
from graph_runtime.bootstrap import Services
from graph_runtime.contract.calls import Begin, TurnTimes
from graph_runtime.services.principal import Principal
from tests.axe import serious
from tests.builder_ui.tab import Tab
from tests.builder_ui.test_in_browser import address, browser, context, screens, sign_in  # noqa: F401 (fixtures)
from tests.fakes.asterisk_manager import SECRET, managing
from tests.phone_world import FROM, new_line
from tests.services.test_call_log import FLOW

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120, func_only=True)]
TIMES = TurnTimes(
    soft_end=210, hard_end=450, final_text=478, first_token=690, first_sentence=742, first_audio=751, first_frame=779
)
LENGTH = "a => new Promise(done => a.readyState ? done(a.duration) : a.onloadedmetadata = () => done(a.duration))"
QUIET = bytes([255]) * 48_000


@pytest.mark.parametrize("look", [("light", 1280, "en"), ("dark", 400, "uk")])
async def test_calls_are_seen_heard_and_placed(
    services: Services, tab: Tab, who: Principal, context: BrowserContext, look: tuple[str, int, str]  # noqa: F811 (fixtures)
) -> None:  # fmt: skip
    theme, width, language = look
    await services.accounts.update_me(who, theme=theme, language=language)

    def said(key: str, **params: Any) -> str:
        return i18n.text(language, key, **params)

    async with managing(ends="busy") as manager:
        line = await new_line(
            services, who, FLOW, manager_address=manager.address, manager_secret=SECRET, is_recorded=True
        )
        await services.channel_setup.update(who, line.channel_id, label="Front desk")
        page = await context.new_page()
        await page.set_viewport_size({"width": width, "height": 900})
        await page.goto("/login?next=/calls")
        await sign_in(page)
        await expect(page.get_by_text(said("calls.empty_title"))).to_be_visible()

        uuid = await line.ring()  # it appears by itself
        row = page.get_by_role("listitem").filter(has_text=FROM)
        await expect(row).to_contain_text(said("calls.outcome_ringing"))
        call = await services.phone_calls.attach(uuid)
        await line.turn(call, Begin())
        await line.turn(call, "Ann")
        await services.phone_calls.measured(call, TIMES)
        for part in range(4):
            await services.phone_calls.keep_part(call, part, QUIET)
        await expect(row).to_contain_text(said("calls.outcome_talking"))
        await _check(page, f"calls-live-{theme}-{width}", width)
        await services.phone_calls.hung_up(line.secret, uuid, 16)
        await expect(row).to_contain_text(said("calls.outcome_talked"))

        await row.get_by_role("button", name=said("calls.listen")).click()
        seconds = await row.locator("audio").evaluate(LENGTH)
        assert 11.5 < seconds < 12.5, "two sides of twelve seconds"
        await _check(page, f"calls-player-{theme}-{width}", width)
        await row.get_by_test_id("delete-recording").click()
        await expect(page.get_by_text(said("calls.delete_title"))).to_be_visible()
        await page.get_by_test_id("confirm").click()
        await expect(row.get_by_role("button", name=said("calls.listen"))).to_have_count(0)

        await row.get_by_role("link", name=said("calls.transcript")).click()
        fall = page.locator(".ps-fall-box").first
        await expect(fall).to_be_visible()
        await fall.locator("summary").click()
        await expect(fall).to_contain_text(said("talks.stage_thought"))
        await _check(page, f"waterfall-{theme}-{width}", width)

        await page.goto(f"/agents/{line.agent_id}")
        await page.get_by_role("tab", name=said("agent.tab_phone")).click()
        await page.get_by_test_id("call-me").click()
        await page.locator("#call-me-number").fill("PJSIP/100")
        await page.get_by_test_id("call-me-now").click()
        await expect(page.locator("[data-phase=busy]")).to_contain_text(said("callme.is_busy"))
        await _check(page, f"call-me-{theme}-{width}", width)
        assert len(manager.calls) == 1


async def _check(page: Page, name: str, width: int) -> None:
    if folder := os.environ.get("PATCHCORD_PICTURES"):
        await page.wait_for_timeout(300)
        await page.screenshot(path=f"{folder}/{name}.png", full_page=True)
    assert await serious(page) == [], name
    assert await page.evaluate("document.documentElement.scrollWidth") <= width, name
