"""The built pages in a real browser over the real application: signing in, live news, languages, accessibility, weight."""

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from builder_ui.build import ensure_screens
from builder_ui.serve import screens_app
from graph_runtime.api.app import create_app
from graph_runtime.bootstrap import Services
from graph_runtime.cli.chromium import ensure_chromium
from graph_runtime.places import default_screens_dir
from graph_runtime.services.principal import Principal
from tests.api.conftest import Address, serving
from tests.axe import serious
from tests.builder_ui.conftest import PASSWORD, Talk
from tests.builder_ui.tab import Tab

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
FIRST_PAGE_BYTES = 500_000
PAGES = ("/", "/models", "/api-keys", "/conversations", "/undelivered", "/settings")

pytestmark = pytest.mark.slow


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


@pytest.fixture
async def context(browser: Browser, address: Address) -> AsyncIterator[BrowserContext]:
    made = await browser.new_context(base_url=address.http, locale="uk", bypass_csp=True)
    made.set_default_timeout(15_000)
    yield made
    await made.close()


async def sign_in(page: Page) -> None:
    await page.locator("input[name=email]").fill("olena@example.com")
    await page.locator("input[name=password]").fill(PASSWORD)
    await page.get_by_test_id("sign-in").click()


async def test_first_run_then_signing_out_and_back_in(services: Services, context: BrowserContext) -> None:
    page = await context.new_page()
    await page.goto("/conversations")
    await expect(page.locator("h1")).to_have_text("Налаштування Patchcord")
    await page.get_by_test_id("create-owner").click()
    assert await page.get_by_role("alert").count() == 4
    for name, value in (
        ("workspace", "Koval"),
        ("name", "Olena"),
        ("email", "olena@example.com"),
        ("password", PASSWORD),
    ):
        await page.locator(f"input[name={name}]").fill(value)
    await page.get_by_test_id("create-owner").click()
    await expect(page.locator("h1")).to_have_text("Агенти")
    await page.locator(".ps-account").click()
    await page.get_by_role("menuitem").last.click()
    await expect(page.get_by_test_id("sign-in")).to_be_visible()
    await page.goto("/conversations?id=1")
    await expect(page.get_by_test_id("sign-in")).to_be_visible()
    await sign_in(page)
    await expect(page.locator("h1")).to_have_text("Діалоги")
    assert "id=1" in page.url


async def test_a_wrong_password_is_said_in_words(tab: Tab, context: BrowserContext) -> None:
    page = await context.new_page()
    await page.goto("/login")
    await page.locator("input[name=email]").fill("olena@example.com")
    await page.locator("input[name=password]").fill("wrong")
    await page.get_by_test_id("sign-in").click()
    await expect(page.get_by_role("alert")).to_contain_text("Неправильна пошта або пароль")


async def test_a_stranger_cannot_be_led_to_another_site(tab: Tab, context: BrowserContext, address: Address) -> None:
    page = await context.new_page()
    await page.goto("/login?next=//evil.example/x")
    await sign_in(page)
    await expect(page.locator("h1")).to_have_text("Агенти")
    assert page.url.startswith(address.http)


async def test_news_reach_the_list_and_the_transcript(talk: Talk, context: BrowserContext) -> None:
    page = await context.new_page()
    await page.goto(f"/login?next=/conversations?id={talk.id}")
    await sign_in(page)
    transcript = page.get_by_role("log")
    await expect(transcript).to_contain_text("Hello Marta, which day?")
    await talk.say("Monday")
    await expect(transcript).to_contain_text("See you then.")
    await expect(page.locator(".ps-talks .ps-row").first).to_contain_text("Завершено")


async def test_language_and_theme_change_at_once_and_stay(tab: Tab, context: BrowserContext) -> None:
    page = await context.new_page()
    await page.goto("/login?next=/settings")
    await sign_in(page)
    await page.locator("#language").click()
    await page.get_by_role("option", name="Русский").click()
    await expect(page.locator("h1")).to_have_text("Настройки")
    await page.get_by_role("radio", name="Тёмная").click()
    await expect(page.locator("html")).to_have_class("dark")
    await page.reload()
    await expect(page.locator("h1")).to_have_text("Настройки")
    await expect(page.locator("html")).to_have_attribute("lang", "ru")
    await expect(page.locator("html")).to_have_class("dark")


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_serious(
    services: Services, talk: Talk, who: Principal, context: BrowserContext, theme: str
) -> None:
    await services.accounts.update_me(who, theme=theme)
    (agent,) = await services.agents.list(who)
    page = await context.new_page()
    await page.goto("/login")
    await expect(page.get_by_test_id("sign-in")).to_be_visible()
    assert await serious(page) == []
    await sign_in(page)
    await expect(page.locator("h1")).to_have_text("Агенти")
    for path in (*PAGES, f"/agents/{agent.id}", "/nowhere/at/all"):
        await page.goto(path)
        await expect(page.locator("h1")).to_be_visible()
        await expect(page.locator(".ps-skeleton")).to_have_count(0)
        assert await serious(page) == [], path
    await page.goto("/")
    await page.get_by_test_id("create-agent").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await serious(page) == []


@pytest.mark.parametrize("width", [400, 1280])
async def test_nothing_is_wider_than_the_window(
    talk: Talk, context: BrowserContext, services: Services, who: Principal, width: int
) -> None:
    (agent,) = await services.agents.list(who)
    page = await context.new_page()
    await page.set_viewport_size({"width": width, "height": 800})
    await page.goto("/login")
    await sign_in(page)
    await expect(page.locator("h1")).to_have_text("Агенти")
    for path in (*PAGES, f"/agents/{agent.id}", f"/conversations?id={talk.id}"):
        await page.goto(path)
        await expect(page.locator(".ps-skeleton")).to_have_count(0)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, path


async def test_the_first_page_is_light(tab: Tab, context: BrowserContext) -> None:
    page = await context.new_page()
    session = await context.new_cdp_session(page)
    await session.send("Network.enable")
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    await page.goto("/login", wait_until="networkidle")
    await expect(page.get_by_test_id("sign-in")).to_be_visible()
    assert 100_000 < sum(sizes) <= FIRST_PAGE_BYTES
