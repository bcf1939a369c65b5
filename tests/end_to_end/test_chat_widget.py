"""The chat on another website, which has a strict content policy and hostile styles."""

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from graph_runtime.bootstrap import Services
from tests.api.conftest import Address, Member
from tests.axe import serious
from tests.end_to_end.chat_world import BOOKING, ECHO, Site, Visitor, context_of, errors_of, published

HOSTILE_STYLE = """
body * { font-size: 40px !important; color: red !important; margin: 30px !important; transform: rotate(3deg) !important; }
button, iframe, div { display: none !important; }
patchcord-chat { display: none; position: static; opacity: 0.1; }
#mine { display: block !important; transform: none !important; }
"""


def tag(address: Address, agent: Any, more: str = "") -> str:
    return f'<script src="{address.http}/widget.js" data-agent="{agent.public_id}" {more} async></script>'


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_conversation_in_the_panel(
    browser: Browser, address: Address, services: Services, ann: Member, host: str
) -> None:
    """On another host the browser forbids storage to the frame (as private windows do), on the same host it does not."""
    agent = await published(services, ann.who, BOOKING, theme={"accent": "#12a594"})
    async with Site(address.http, tag(address, agent), style=HOSTILE_STYLE, host=host).open() as site:
        context = await context_of(browser)
        page = await context.new_page()
        troubles = errors_of(page)
        await page.goto(site.http)
        launcher = page.get_by_role("button", name="Open the chat")
        await expect(launcher).to_be_visible()
        box = await launcher.bounding_box()
        assert box is not None
        assert (box["width"], box["height"]) == (56, 56)
        assert await page.evaluate("getComputedStyle(document.querySelector('#mine')).display") == "block"
        await launcher.click()
        frame = page.frame_locator("patchcord-chat iframe")
        visitor = Visitor(frame)
        await visitor.hears("What is your name?")
        await visitor.says("Olena")
        await visitor.presses("Tuesday")
        await visitor.hears("Anything we should know?")
        await frame.locator("#composer textarea").press("Escape")
        await expect(page.get_by_role("button", name="Open the chat")).to_be_focused()
        assert await page.evaluate("document.querySelector('patchcord-chat').shadowRoot.querySelector('.panel').inert")
        assert troubles == []
        await page.reload()
        await page.get_by_role("button", name="Open the chat").click()
        assert len(await visitor.settled(6)) == 6
        is_denied = await page.evaluate("Object.keys(localStorage).length > 0")
        assert is_denied == (host == "localhost")
        assert "Olena" not in await page.evaluate("JSON.stringify({...localStorage})")
        await frame.locator("#leave").click()
        await expect(page.get_by_role("button", name="Open the chat")).to_be_focused()
        await context.close()


async def test_nobody_is_counted_before_they_open_the_chat(
    browser: Browser, address: Address, services: Services, ann: Member
) -> None:
    agent = await published(services, ann.who, ECHO)
    async with Site(address.http, tag(address, agent)).open() as site:
        context = await context_of(browser)
        page = await context.new_page()
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url))
        await page.goto(site.http)
        await expect(page.get_by_role("button", name="Open the chat")).to_be_visible()
        assert sockets == []
        assert await context.cookies() == []
        await context.close()


async def test_an_answer_that_comes_while_the_panel_is_closed_puts_a_dot_on_the_button(
    browser: Browser, address: Address, services: Services, ann: Member
) -> None:
    agent = await published(services, ann.who, ECHO)
    async with Site(address.http, tag(address, agent, 'data-label="Ask us" data-position="left"')).open() as site:
        context = await context_of(browser, locale="ru-RU")
        page = await context.new_page()
        await page.goto(site.http)
        await page.get_by_role("button", name="Ask us").click()
        frame = page.frame_locator("patchcord-chat iframe")
        visitor = Visitor(frame)
        await visitor.hears("Say something.")
        await frame.locator("#composer textarea").fill("hello")
        await page.evaluate("window.patchcord.close()")
        inner = next(f for f in page.frames if "/widget/" in f.url)
        await inner.evaluate("document.querySelector('#composer').requestSubmit()")
        await expect(page.get_by_role("button", name="Ask us (new messages)")).to_be_visible()
        box = await page.get_by_role("button", name="Ask us").bounding_box()
        assert box is not None
        assert box["x"] == 20
        await page.get_by_role("button", name="Ask us").click()
        await visitor.hears("You said: hello")
        await page.evaluate("window.patchcord.close()")
        await expect(page.get_by_role("button", name="Ask us", exact=True)).to_be_visible()
        await context.close()


async def test_only_listed_websites_may_show_the_chat(
    browser: Browser, address: Address, services: Services, ann: Member
) -> None:
    agent = await published(services, ann.who, ECHO)
    async with (
        Site(address.http, tag(address, agent)).open() as site,
        Site(address.http, tag(address, agent)).open() as other,
    ):
        await services.agents.update(ann.who, agent.id, settings={"allowed_origins": [site.http]})
        context = await context_of(browser)
        page = await context.new_page()
        async with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
            await page.goto(other.http)
        await expect(page.get_by_role("button", name="Open the chat")).to_have_count(0)
        await page.goto(site.http)
        await expect(page.get_by_role("button", name="Open the chat")).to_be_visible()
        await context.close()


async def test_on_a_phone_the_panel_covers_the_page(
    browser: Browser, address: Address, services: Services, ann: Member
) -> None:
    agent = await published(services, ann.who, BOOKING)
    async with Site(address.http, tag(address, agent)).open() as site:
        context = await context_of(browser, viewport={"width": 390, "height": 720}, has_touch=True, is_mobile=True)
        page = await context.new_page()
        await page.goto(site.http)
        await page.get_by_role("button", name="Open the chat").tap()
        await Visitor(page.frame_locator("patchcord-chat iframe")).hears("What is your name?")
        box = await page.locator("patchcord-chat iframe").bounding_box()
        # The last millionths of its opening move are no fault.
        assert box is not None
        sides = {side: round(float(str(pixels))) for side, pixels in box.items()}
        assert sides == {"x": 0, "y": 0, "width": 390, "height": 720}
        assert await serious(page) == []
        await context.close()


async def test_messages_from_strangers_are_not_obeyed(
    browser: Browser, address: Address, services: Services, ann: Member
) -> None:
    agent = await published(services, ann.who, ECHO)
    async with Site(address.http, tag(address, agent)).open() as site:
        context = await context_of(browser)
        page = await context.new_page()
        await page.goto(site.http)
        await expect(page.get_by_role("button", name="Open the chat")).to_be_visible()
        await page.evaluate("postMessage({patchcord: 'ready', found: false}, '*')")
        await page.evaluate("postMessage({patchcord: 'unread', count: 5}, '*')")
        await page.evaluate("new Promise(requestAnimationFrame)")
        await expect(page.get_by_role("button", name="Open the chat", exact=True)).to_be_visible()
        await context.close()
