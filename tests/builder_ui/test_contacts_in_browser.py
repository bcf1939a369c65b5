"""The pages of contacts in a real browser: adding, fields, tags, segments, a file, opting out, merging, erasing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from builder_ui.build import ensure_screens
from builder_ui.serve import screens_app
from graph_runtime.api.app import create_app
from graph_runtime.bootstrap import Services
from graph_runtime.cli.chromium import ensure_chromium
from graph_runtime.places import default_screens_dir
from graph_runtime.services.principal import Principal
from graph_runtime.worker.imports import Importer
from tests.api.conftest import Address, serving
from tests.axe import serious
from tests.builder_ui.tab import Tab
from tests.builder_ui.test_in_browser import FLAGS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120, func_only=True)]
SHOTS = os.environ.get("PATCHCORD_SHOTS", "")


@pytest.fixture(scope="module")
def screens() -> Any:
    """The screens, built first when their sources changed."""
    folder = default_screens_dir()
    ensure_screens(folder)
    kept = dict(os.environ)
    yield screens_app(folder)
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture
async def address(services: Services, screens: Any) -> AsyncIterator[Address]:
    async with serving(create_app(services, screens), services) as here:
        yield here


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=ensure_chromium(), args=FLAGS)
        yield launched
        await launched.close()


async def shot(page: Page, name: str) -> None:
    if SHOTS:
        await page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


@pytest.mark.usefixtures("talk")
async def test_a_walk_through_contacts(
    services: Services, tab: Tab, who: Principal, browser: Browser, address: Address, tmp_path: Path
) -> None:
    context = await browser.new_context(
        base_url=address.http, locale="en", bypass_csp=True, viewport={"width": 1280, "height": 800}
    )
    context.set_default_timeout(15_000)
    await services.accounts.update_me(who, language="en")
    await context.add_cookies(
        [{"name": "patchcord_session", "value": tab.cookie.rpartition("=")[2], "url": address.http}]
    )
    importer = asyncio.create_task(Importer(services.contact_imports, seconds=0.2).run())
    page = await context.new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    try:
        await _walk(services, who, page, tmp_path)
    finally:
        importer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await importer
        await context.close()
    assert not broken


async def _walk(services: Services, who: Principal, page: Page, tmp_path: Path) -> None:
    await page.goto("/contacts")
    await expect(page.get_by_role("link", name="Marta")).to_be_visible()
    # A file: its columns are guessed, its broken rows are told.
    file = tmp_path / "people.csv"
    lines = [f"Person {n};+38067{n:07d};p{n}@example.com;{'vip' if n % 2 else 'new'}" for n in range(24)]
    file.write_text("Name;Phone;E-mail;Tags\n" + "\n".join(lines) + "\nNobody;12;;\n", "utf-8")
    await page.get_by_test_id("import").click()
    await page.get_by_test_id("csv-file").set_input_files(file)
    await expect(page.get_by_role("dialog").get_by_text("25 rows")).to_be_visible()
    await shot(page, "contacts-import")
    await page.get_by_test_id("do").click()
    await expect(page.get_by_text("Added 24, updated 0, not taken 1")).to_be_visible()
    await expect(page.get_by_text("Row 26:")).to_be_visible()
    await shot(page, "contacts-imported")
    await page.keyboard.press("Escape")
    await expect(page.get_by_text("25 contacts")).to_be_visible()
    await _segment(page)
    # Searching, marking, tagging.
    await page.get_by_role("searchbox").fill("Person 1")
    await expect(page.get_by_text("11 contacts")).to_be_visible()
    await page.get_by_role("checkbox").first.click()
    await page.get_by_test_id("tag").click()
    await page.locator("#new-add").fill("hot, lead")
    await page.get_by_test_id("do").click()
    await expect(page.locator(".ps-tag-cell").first.get_by_text("hot")).to_be_visible()
    await shot(page, "contacts-list")
    assert await serious(page) == []
    assert await services.contacts.count(who) == 25
    # One of them.
    await page.get_by_role("link", name="Person 19").click()
    await expect(page.locator("h1")).to_have_text("Person 19")
    await page.locator("#f-country").fill("UKR")
    await page.get_by_test_id("save").click()
    await expect(page.get_by_text("two letters")).to_be_visible()
    await page.locator("#f-country").fill("ua")
    await page.get_by_test_id("save").click()
    await expect(page.get_by_text("Changed", exact=True)).to_be_visible()
    await page.get_by_test_id("may-write").click()
    await expect(page.get_by_text("Opted out: we do not write first")).to_be_visible()
    await shot(page, "contact")
    assert await serious(page) == []
    # It becomes part of Marta's, and then she is erased.
    contacts = await services.contacts.listed(who, limit=200)
    marta = next(c["id"] for c in contacts.contacts if c["name"] == "Marta")
    await page.goto(f"/contacts/{marta}")
    await expect(page.locator("h1")).to_have_text("Marta")
    await page.get_by_test_id("more").click()
    await page.get_by_role("menuitem", name="Merge with another contact").click()
    await page.get_by_test_id("find").fill("Person 19")
    await page.get_by_role("dialog").get_by_role("button", name="Person 19").click()
    await expect(page.get_by_text("Not kept")).to_be_visible()
    await shot(page, "contact-merge")
    await page.get_by_test_id("merge").click()
    await expect(page.get_by_text("Merged with another contact").first).to_be_visible()
    await expect(page.locator("#f-phone")).to_have_value("+380670000019")
    await page.set_viewport_size({"width": 400, "height": 800})
    await page.emulate_media(color_scheme="dark")
    await page.reload()
    await expect(page.locator("h1")).to_have_text("Marta")
    await shot(page, "contact-narrow-dark")
    await page.goto("/contacts")
    await page.get_by_role("searchbox").fill("")
    await expect(page.get_by_role("link", name="Person 23")).to_be_visible()
    await shot(page, "contacts-narrow-dark")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 400
    await page.goto("/settings")
    await page.get_by_role("tab").nth(1).click()
    await page.locator("#w-mon").fill("10:00–14:00, 15:00-19:00")
    await page.get_by_test_id("save-hours").click()
    await expect(page.locator("#w-mon")).to_be_visible()
    await shot(page, "settings-hours")
    await expect(page.get_by_text("Saved").first).to_be_visible()
    kept = (await services.workspace_settings.get(who)).working_hours
    assert kept["mon"] == [["10:00", "14:00"], ["15:00", "19:00"]]
    await page.goto(f"/contacts/{marta}")
    await page.get_by_test_id("more").click()
    await page.get_by_role("menuitem").last.click()
    await page.get_by_test_id("confirm").click()
    await expect(page).to_have_url(re.compile("/contacts$"))
    await expect(page.get_by_role("link", name="Marta")).to_have_count(0)
    assert await services.contacts.count(who) == 23


async def _segment(page: Page) -> None:
    """Made of a comparison and a group, changed, and deleted."""
    await page.get_by_test_id("new-segment").click()
    form = page.get_by_role("dialog")
    await form.locator("#segment-name").fill("Vips of the first ten")
    await form.get_by_test_id("part-value").fill("Person")
    await form.get_by_test_id("add-group").click()
    await form.get_by_test_id("add-part").nth(1).click()
    await form.get_by_test_id("join-group").click()
    await page.get_by_role("option", name="At least one of these").click()
    for place, value in ((1, "Person 1"), (2, "Person 23")):
        await form.get_by_test_id("part-value").nth(place).fill(value)
        await form.get_by_test_id("part-value").nth(place).blur()
    await shot(page, "segment-form")
    await form.get_by_test_id("do").click()
    await expect(page.get_by_text("12 contacts")).to_be_visible()
    await page.get_by_test_id("edit-segment").click()
    await expect(form.get_by_test_id("part-value").nth(2)).to_have_value("Person 23")
    await form.get_by_role("button", name="Remove the condition").nth(2).click()
    await expect(form.get_by_test_id("part-value")).to_have_count(2)
    await form.get_by_test_id("do").click()
    await expect(page.get_by_text("11 contacts")).to_be_visible()
    await page.get_by_role("button", name="Delete the segment").click()
    await expect(page.get_by_text("25 contacts")).to_be_visible()
