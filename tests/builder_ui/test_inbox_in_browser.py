"""Two members and a visitor in three tabs: who takes it, what each sees, what the visitor gets, and the flow goes on."""

import asyncio
import contextlib
import os
import re
from typing import Any

import psycopg
import pytest
from playwright.async_api import Browser, Page, expect
from playwright.async_api import TimeoutError as PlaywrightTimeout

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.api.conftest import Address
from tests.axe import serious
from tests.builder_ui.conftest import PASSWORD
from tests.builder_ui.tab import Tab
from tests.builder_ui.test_in_browser import address, browser, screens  # noqa: F401  (fixtures)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120, func_only=True)]
SHOTS = os.environ.get("PATCHCORD_SHOTS", "")
FLOW = {
    "format": "flow/1",
    "nodes": {
        "n_start": {"type": "start", "settings": {}, "pos": [0, 0]},
        "n_q": {"type": "ask", "settings": {"text": "What is it about?", "save_to": "topic"}, "pos": [0, 1]},
        "n_h": {
            "type": "hand_off",
            "settings": {"text": "One moment.", "summary": "About {{ var.topic }}", "priority": "high"},
            "pos": [0, 2],
        },
        "n_r": {"type": "ask", "settings": {"text": "Back with me ({{ step.n_h.outcome }}). Anything else?"}, "pos": [0, 3]},
        "n_b": {"type": "end", "settings": {"text": "Good bye."}, "pos": [0, 4]},
    },
    "edges": {
        "n_start.next": "n_q", "n_q.answered": "n_h", "n_h.returned": "n_r", "n_h.timeout": "n_r", "n_r.answered": "n_b",
    },
    "variables": {"topic": {"type": "text"}},
}  # fmt: skip


async def shot(page: Page, name: str) -> None:
    if SHOTS:
        await page.screenshot(path=f"{SHOTS}/{name}.png")


async def signed_in(browser: Browser, at: Address, token: str, **more: Any) -> Page:  # noqa: F811
    made = await browser.new_context(
        base_url=at.http, locale="en", bypass_csp=True, viewport={"width": 1280, "height": 800}, **more
    )
    made.set_default_timeout(15_000)
    await made.add_cookies([{"name": "patchcord_session", "value": token, "url": at.http}])
    return await made.new_page()


async def test_two_members_and_a_visitor(
    services: Services,
    tab: Tab,
    who: Principal,
    admin: "psycopg.Connection[tuple[object, ...]]",
    browser: Browser,  # noqa: F811
    address: Address,  # noqa: F811
) -> None:
    admin.execute("UPDATE member SET language = 'en'")
    admin.execute(
        "INSERT INTO member (workspace_id, email, name, role, password_hash, language)"
        " SELECT workspace_id, 'ivan@example.com', 'Ivan Bondar', 'operator', password_hash, 'uk' FROM member"
    )
    ivan = await services.accounts.sign_in("ivan@example.com", PASSWORD, address="127.0.0.1")
    agent = await services.agents.create(who, name="Reception", language="en")
    await services.drafts.replace(who, agent.main_flow_id, FLOW)
    draft = await services.drafts.open(who, agent.main_flow_id)
    await services.publishing.publish(who, agent.main_flow_id, revision=draft.revision, comment="First")
    await services.queues.save_reply(who, None, "hi", {"en": "Good day, Olena here.", "uk": "Вітаю, це Олена."})
    agent = await services.agents.get(who, agent.id)

    olena_page = await signed_in(browser, address, tab.cookie.rpartition("=")[2])
    ivan_page = await signed_in(browser, address, ivan.token)
    for page in (olena_page, ivan_page):
        await page.goto("/inbox")
        await expect(page.locator(".ps-empty")).to_be_visible()
    await shot(olena_page, "empty")
    assert not await serious(olena_page)

    guest = await browser.new_page(locale="en")
    await guest.goto(f"{address.http}/chat/{agent.public_id}")
    await expect(guest.locator("#log .bubble").first).to_have_text("What is it about?")
    await say(guest, "a refund")
    for page in (olena_page, ivan_page):
        await page.locator("#inbox-list .ps-talk").click()
        await expect(page.locator(".ps-badge")).to_have_text("1")
        await expect(page.locator(".ps-inbox-side")).to_contain_text("About a refund")
    assert (await olena_page.title()).startswith("(1) ")
    await shot(olena_page, "waiting")

    await asyncio.gather(*(press(page, "accept") for page in (olena_page, ivan_page)))
    for page in (olena_page, ivan_page):
        await expect(
            page.get_by_test_id("reply").or_(page.locator(".ps-lock", has_text=re.compile("Olena|Ivan")))
        ).to_be_visible()
    is_ivan = bool(await ivan_page.get_by_test_id("reply").count())
    winner, loser = (ivan_page, olena_page) if is_ivan else (olena_page, ivan_page)
    await expect(winner.get_by_test_id("reply")).to_be_visible()
    await expect(loser.get_by_test_id("reply")).to_have_count(0)
    await expect(loser.locator(".ps-lock")).to_contain_text("Olena" if winner is olena_page else "Ivan")
    await shot(loser, "loser")

    await say(guest, "are you there?")
    await expect(winner.locator(".ps-bubble").last).to_have_text("are you there?")
    box = winner.get_by_test_id("reply")
    await box.fill("/hi")
    await expect(winner.locator(".ps-ready button")).to_have_count(1)
    await shot(winner, "ready")
    await box.press("Enter")
    await expect(box).to_have_value("Good day, Olena here.")
    await winner.reload()  # the draft is kept in this browser
    await winner.get_by_role("radio").nth(2).click()
    await winner.locator("#inbox-list .ps-talk").click()
    await expect(box).to_have_value("Good day, Olena here.")
    await box.press("Control+Enter")
    await expect(guest.locator("#log .bubble").last).to_have_text("Good day, Olena here.")
    await expect(box).to_have_value("")
    await winner.get_by_test_id("attach").set_input_files(
        {"name": "terms.txt", "mimeType": "text/plain", "buffer": b"Fourteen days."}
    )
    await expect(winner.locator(".ps-attached li")).to_have_text("terms.txt")
    await shot(winner, "attached")
    await winner.get_by_test_id("send").click()
    await expect(guest.locator("#log .file").last).to_be_visible()
    await winner.locator("textarea[name=note]").fill("Wants the money back")
    await winner.locator(".ps-inbox-side button[type=submit]").click()
    await expect(winner.locator(".ps-note")).to_contain_text("Wants the money back")
    await expect(guest.locator("body")).to_contain_text("Olena" if winner is olena_page else "Ivan")
    await shot(winner, "mine")
    await shot(guest, "guest")
    assert not await serious(winner)
    await winner.set_viewport_size({"width": 400, "height": 800})
    await shot(winner, "narrow")
    await winner.set_viewport_size({"width": 1280, "height": 800})

    await winner.get_by_test_id("give-back").click()
    await shot(winner, "give-back")
    await winner.get_by_test_id("give-back-do").click()
    await expect(guest.locator("#log .bubble").last).to_have_text("Back with me (solved). Anything else?")
    await expect(winner.get_by_test_id("reply")).to_have_count(0)
    await services.agent_answering.change(who, agent.id, approval={"approves": "all", "wait_minutes": 10})
    await say(guest, "no, thanks")
    for page in (winner, loser):
        await page.get_by_role("radio").nth(1).click()
        await page.locator("#inbox-list .ps-talk").click()
        await expect(page.get_by_test_id("approval")).to_be_visible()
        await expect(page.locator('[data-approval="waiting"]')).to_contain_text("Good bye.")
    await shot(winner, "approve")
    await expect(guest.locator("#log .bubble", has_text="Good bye.")).to_have_count(0)
    await loser.keyboard.press("r")
    await loser.locator("#approval-words").fill("Good bye, and all the best.")
    await shot(loser, "approve-change")
    assert not await serious(loser)
    await winner.get_by_test_id("approve").click()
    await expect(guest.locator("#log .bubble").last).to_have_text("Good bye.")
    await expect(winner.get_by_test_id("approval")).to_have_count(0)
    await expect(winner.locator('[data-approval="sent"]')).to_contain_text("Olena" if winner is olena_page else "Ivan")
    # Whoever was slower is told so, and sees what went out.
    await expect(loser.get_by_test_id("approval")).to_have_count(0)
    await shot(loser, "approved")
    await winner.goto("/inbox/queues")
    await winner.get_by_test_id("add-reply").click()
    await expect(winner.get_by_role("dialog")).to_be_visible()
    await shot(winner, "setup")


async def press(page: Page, test_id: str) -> None:
    """At once; a colleague who is quicker takes the button away."""
    with contextlib.suppress(TimeoutError, PlaywrightTimeout):
        await page.get_by_test_id(test_id).evaluate("button => button.click()", timeout=1000)


async def say(guest: Page, words: str) -> None:
    await guest.locator("textarea").fill(words)
    await guest.locator("textarea").press("Enter")
