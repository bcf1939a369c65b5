"""The built pages in a real browser over the real application: signing in, live news, languages, accessibility, weight."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from builder_ui import i18n
from builder_ui.build import ensure_screens
from builder_ui.pages.snippets import EVENT_VERIFICATION
from builder_ui.serve import screens_app
from graph_runtime.api.app import create_app
from graph_runtime.bootstrap import Services
from graph_runtime.cli.chromium import ensure_chromium
from graph_runtime.places import default_screens_dir
from graph_runtime.services.principal import Principal
from graph_runtime.storage.event_subscriptions import EVENTS_CHANNEL
from graph_runtime.worker.sender import EVENT_PLACES, Sender
from tests.api.conftest import Address, serving
from tests.axe import serious
from tests.builder_ui.conftest import PASSWORD, Talk
from tests.builder_ui.tab import Tab
from tests.fakes.webhook_receiver import receiving

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
FIRST_PAGE_BYTES = 500_000
PAGES = (
    "/", "/models", "/connections", "/api-keys", "/conversations", "/calls", "/undelivered", "/follow-ups", "/knowledge", "/contacts",
    "/events", "/settings",
)  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120, func_only=True)]


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


@pytest.mark.parametrize(("width", "language"), [(400, "uk"), (400, "en"), (1280, "uk")])
async def test_nothing_is_wider_than_the_window(
    talk: Talk, context: BrowserContext, services: Services, who: Principal, width: int, language: str
) -> None:
    await services.accounts.update_me(who, language=language)
    (agent,) = await services.agents.list(who)
    page = await context.new_page()
    await page.set_viewport_size({"width": width, "height": 800})
    await page.goto("/login")
    await sign_in(page)
    await expect(page.locator("h1")).to_have_text(i18n.text(language, "agents.title"))
    for path in (*PAGES, f"/agents/{agent.id}", f"/conversations?id={talk.id}"):
        await page.goto(path)
        await expect(page.locator("h1")).to_be_visible()
        await expect(page.locator(".ps-skeleton")).to_have_count(0)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, path


@pytest.fixture
async def sender(services: Services) -> AsyncIterator[None]:
    """What the worker process does about events."""
    made = Sender(services.event_sending, services.database.listen, EVENT_PLACES, seconds=0.1, channel=EVENTS_CHANNEL)
    running = asyncio.create_task(made.run())
    yield
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await made.close(1.0)


async def picture(page: Page, name: str) -> None:
    """Kept when somebody asks for it: PATCHCORD_PICTURES names a folder."""
    if folder := os.environ.get("PATCHCORD_PICTURES"):
        await page.wait_for_timeout(300)
        await page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@pytest.mark.parametrize(
    "look", [("light", 1280, "en"), ("dark", 400, "uk"), ("light", 400, "ru"), ("dark", 1280, "en")]
)
async def test_an_address_is_subscribed_tried_and_taken_care_of(
    services: Services, talk: Talk, who: Principal, context: BrowserContext, sender: None, look: tuple[str, int, str]
) -> None:
    theme, width, language = look
    await services.accounts.update_me(who, theme=theme, language=language)

    def said(key: str, **params: Any) -> str:
        return i18n.text(language, key, **params)

    async def check(name: str) -> None:
        await picture(page, f"{name}-{theme}-{width}-{language}")
        assert await serious(page) == [], name
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, name

    with receiving() as fake:
        lane = fake.lane()
        page = await context.new_page()
        await page.set_viewport_size({"width": width, "height": 900})
        await page.goto("/login?next=/events")
        await sign_in(page)
        await expect(page.locator("h1")).to_have_text(said("events.title"))
        await expect(page.get_by_text(said("events.empty_title"))).to_be_visible()
        await check("empty")
        # By keyboard alone: the button, the fields, a type, sending the form.
        await page.get_by_test_id("add-events").first.focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.locator("#event-url").focus()
        await page.keyboard.type(fake.url(lane))
        await page.keyboard.press("Tab")
        await page.keyboard.type("Our CRM")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Space")  # conversation.started
        await check("form")
        await page.get_by_label(said("webhook.allow_private")).check()
        await page.locator("#event-url").press("Enter")
        secret = page.locator("#fresh_event_secret")
        await expect(secret).to_be_visible()
        await expect(secret).to_have_value(re.compile("^whsec_"))
        value = await secret.input_value()
        await check("secret")
        (row,) = await services.event_subscriptions.list(who)
        assert row.types == ("conversation.started", "turn.failed", "flow.finished", "message.undeliverable")
        await page.get_by_role("button", name=said("keys.fresh_done")).click()
        await expect(secret).to_be_hidden()
        await page.get_by_role("link", name="Our CRM").click()
        await expect(page.locator("h1")).to_have_text("Our CRM")
        lane.fail("bad_request")
        await page.get_by_test_id("test-event").click()
        await expect(page.locator(".ps-row").first).to_contain_text(said("letters.attempts", n=1))
        await expect(page.locator(".ps-row").first).to_contain_text("400")
        await check("failing")
        await page.get_by_role("button", name=said("events.type_test"), exact=True).click()
        await expect(page.get_by_role("dialog")).to_contain_text('"type": "test"')
        await check("event")
        await page.get_by_test_id("replay-event").click()
        await expect(page.locator(".ps-row").first).to_contain_text(said("events.filter_sent"))
        assert len(lane.journal) > 1
        assert len({a.key for a in lane.journal}) == 1
        scope: dict[str, Any] = {}
        exec(EVENT_VERIFICATION, scope)
        os.environ["PATCHCORD_EVENTS_SECRET"] = value
        assert scope["is_genuine"](lane.journal[1].headers, lane.journal[1].body)
        assert not scope["is_genuine"](lane.journal[1].headers, lane.journal[1].body + b" ")
        await page.get_by_role("switch").click()
        await expect(page.locator(".ps-head")).to_contain_text(said("events.state_off_member"))
        assert not (await services.event_subscriptions.get(who, row.id)).is_on
        await expect(page.get_by_test_id("test-event")).to_be_disabled()
        await page.get_by_test_id("event-more").click()
        await page.get_by_role("menuitem", name=said("events.edit")).click()
        await expect(page.locator("#event-description")).to_have_value("Our CRM")
        await page.locator("#event-description").fill("Their CRM")
        await page.get_by_test_id("save-events").click()
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(page.locator("h1")).to_have_text("Their CRM")
        assert (await services.event_subscriptions.get(who, row.id)).types == row.types
        await check("off")
        await page.get_by_test_id("event-more").click()
        await page.get_by_role("menuitem", name=said("common.delete")).click()
        await check("delete")
        await page.get_by_test_id("confirm").click()
        await expect(page.get_by_text(said("events.empty_title"))).to_be_visible()
        assert await services.event_subscriptions.list(who) == []


async def test_the_first_page_is_light(tab: Tab, context: BrowserContext) -> None:
    page = await context.new_page()
    session = await context.new_cdp_session(page)
    await session.send("Network.enable")
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    await page.goto("/login", wait_until="networkidle")
    await expect(page.get_by_test_id("sign-in")).to_be_visible()
    assert 100_000 < sum(sizes) <= FIRST_PAGE_BYTES
