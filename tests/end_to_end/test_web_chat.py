"""The hosted chat page in a real browser, with networks that fail."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, FilePayload, Page, expect

from graph_runtime.bootstrap import Services
from tests.api.conftest import Address, Member
from tests.axe import serious
from tests.end_to_end.chat_world import BOOKING, ECHO, Visitor, Wire, context_of, errors_of, published

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ATTACKS = (
    "<script>window.stolen = 1</script>",
    "<img src=x onerror='window.stolen = 1'>",
    "<svg/onload=window.stolen=1>",
    "[click](javascript:window.stolen=1)",
    "[click](JaVaScRiPt&colon;window.stolen=1)",
    "[click](data:text/html,<script>window.stolen=1</script>)",
    '[x](https://example.org/"onmouseover="window.stolen=1)',
    "**<b onclick=window.stolen=1>bold</b>** *<i style=position:fixed>i</i>*",
    "![x](https://tracker.example/pixel.png)",
    "`<iframe srcdoc='<script>parent.stolen=1</script>'>`",
    "1. <a href=javascript:window.stolen=1>one</a>\n- </div></main><form action=//evil.example>",
    "https://example.org/<script>window.stolen=1</script>",
    "{{constructor.constructor('window.stolen=1')()}}",
    "\u202ertl \u0000 null \ud83d\ude00 " + "a" * 300,
)


@pytest.fixture
async def dentist(services: Services, ann: Member) -> Any:
    return await published(services, ann.who, BOOKING, theme={"accent": "#5b5bd6"}, subtitle="Reception and bookings")


@pytest.fixture
async def parrot(services: Services, ann: Member) -> Any:
    return await published(services, ann.who, ECHO)


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await context_of(browser)
    yield await context.new_page()
    await context.close()


async def test_a_dialogue_with_buttons_to_its_end(page: Page, address: Address, dentist: Any) -> None:
    troubles = errors_of(page)
    visitor = Visitor(page)
    await page.goto(f"{address.http}/chat/{dentist.public_id}")
    await visitor.hears("What is your name?")
    await visitor.says("Olena")
    await visitor.hears("Nice to meet you, Olena")
    await visitor.presses("Tuesday")
    await visitor.hears("Anything we should know?")
    await expect(page.locator(".option.chosen")).to_have_text("Tuesday")
    await expect(page.locator(".option.chosen")).to_have_attribute("aria-pressed", "true")
    await expect(page.locator(".option[aria-disabled=true]")).to_have_count(3)
    await visitor.says("No")
    await visitor.hears("You are booked")
    await expect(page.locator("#over")).to_be_visible()
    assert await page.context.cookies() == []
    await page.locator("#again").click()
    await expect(page.locator("#over")).to_be_hidden()
    assert len(await visitor.settled(2)) == 2
    assert troubles == []


async def test_a_reload_in_the_middle_goes_on_without_gap_or_repeat(page: Page, address: Address, dentist: Any) -> None:
    visitor = Visitor(page)
    await page.goto(f"{address.http}/chat/{dentist.public_id}")
    await visitor.hears("What is your name?")
    await visitor.says("Olena")
    await visitor.presses("Monday")
    await visitor.hears("Anything we should know?")
    await page.locator("#composer textarea").fill("half a sen")
    before = await visitor.settled(6)
    await page.reload()
    assert await visitor.settled(6) == before
    await expect(page.locator(".option.chosen")).to_have_text("Monday")
    await expect(page.locator("#composer textarea")).to_have_value("half a sen")
    await visitor.says("half a sentence")
    assert (await visitor.settled(8))[6:] == ["own: half a sentence", "agent: You are booked. See you then."]


async def test_what_is_written_while_the_wire_is_cut_arrives_once_and_in_order(
    page: Page, address: Address, parrot: Any
) -> None:
    async with Wire(address.http).laid() as wire:
        visitor = Visitor(page)
        await page.goto(f"{wire.http}/chat/{parrot.public_id}")
        await visitor.hears("Say something.")
        wire.cut(reset=True)
        await visitor.says("one")
        await expect(page.locator("#banner")).to_be_visible()
        await visitor.says("two")
        await expect(page.locator("#log .row.waiting")).to_have_count(2)
        wire.mend()
        lines = await visitor.settled(5)
    assert [line for line in lines if line.startswith("own")] == ["own: one", "own: two"]
    assert sorted(lines[1:]) == ["agent: You said: one", "agent: You said: two", "own: one", "own: two"]
    await expect(page.locator("#banner")).to_be_hidden()


async def test_a_message_whose_receipt_is_lost_is_not_said_twice(page: Page, address: Address, parrot: Any) -> None:
    async with Wire(address.http).laid() as wire:
        visitor = Visitor(page)
        await page.goto(f"{wire.http}/chat/{parrot.public_id}")
        await visitor.hears("Say something.")
        wire.deafen()
        await visitor.says("once")
        await expect(page.locator("#log .row.waiting")).to_have_count(1)
        await asyncio.sleep(1)  # the server answers into the void
        wire.mend()
        assert await visitor.settled(3) == ["agent: Say something.", "own: once", "agent: You said: once"]
        await visitor.says("more")
        assert (await visitor.settled(5))[3:] == ["own: more", "agent: You said: more"]


async def test_a_message_written_offline_survives_closing_the_tab(
    browser: Browser, address: Address, parrot: Any
) -> None:
    context = await context_of(browser)
    page = await context.new_page()
    visitor = Visitor(page)
    await page.goto(f"{address.http}/chat/{parrot.public_id}")
    await visitor.hears("Say something.")
    await context.set_offline(True)
    await expect(page.locator("#banner")).to_be_visible()
    await visitor.says("from the train")
    await page.close()
    await context.set_offline(False)
    page = await context.new_page()
    await page.goto(f"{address.http}/chat/{parrot.public_id}")
    assert await Visitor(page).settled(3) == [
        "agent: Say something.",
        "own: from the train",
        "agent: You said: from the train",
    ]
    await context.close()


async def test_hostile_text_stays_text(page: Page, address: Address, services: Services, ann: Member) -> None:
    agent = await published(services, ann.who, ECHO, subtitle="</p><img src=x onerror=window.stolen=1>")
    await services.agents.update(ann.who, agent.id, name="\"><script>window.stolen=1</script>'")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    visitor = Visitor(page)
    await page.goto(f"{address.http}/chat/{agent.public_id}")
    await visitor.hears("Say something.")
    for place, attack in enumerate(ATTACKS):
        if place % 8 == 7:
            await asyncio.sleep(10)  # the limit of ten messages in ten seconds
        await page.locator("#composer textarea").fill(attack)
        await page.locator(".send").click()
        await visitor.settled(3 + 2 * place)
    found = await page.evaluate(
        """() => ({
            stolen: window.stolen ?? null,
            tags: [...new Set([...document.querySelectorAll('#log *')].map(e => e.localName))],
            attributes: [...document.querySelectorAll('#log *')].flatMap(e => [...e.attributes].map(a => a.name)),
            links: [...document.querySelectorAll('#log a')].map(a => [new URL(a.href).protocol, a.rel]),
            title: document.title,
        })"""
    )
    assert found["stolen"] is None
    assert set(found["tags"]) <= {"div", "span", "p", "a", "strong", "em", "code", "ul", "ol", "li", "time"}
    assert not [name for name in found["attributes"] if name.startswith("on") or name in ("style", "srcdoc", "src")]
    assert found["links"]
    assert all(protocol == "https:" and "noopener" in rel for protocol, rel in found["links"])
    assert all(url.startswith((address.http, "blob:", "data:")) for url in asked)
    assert "<script>" in found["title"]


async def test_everything_works_with_the_keyboard_alone(page: Page, address: Address, dentist: Any) -> None:
    visitor = Visitor(page)
    await page.goto(f"{address.http}/chat/{dentist.public_id}")
    await visitor.hears("What is your name?")
    await expect(page.locator("#composer textarea")).to_be_focused()
    await page.keyboard.type("Olena")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("K.")
    assert await page.locator("#composer textarea").input_value() == "Olena\nK."
    await page.keyboard.press("Enter")
    await visitor.hears("Which day suits you?")
    for _ in range(8):
        if await page.evaluate("document.activeElement.textContent") == "Wednesday":
            break
        await page.keyboard.press("Shift+Tab")
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    await page.keyboard.press("Enter")
    await visitor.hears("Anything we should know?")
    assert (await visitor.lines())[-2] == "own: Wednesday"
    await page.locator("#composer textarea").focus()
    await page.keyboard.type("no")
    await page.keyboard.press("Enter")
    await expect(page.locator("#again")).to_be_focused()
    await page.keyboard.press("Enter")
    assert len(await visitor.settled(2)) == 2
    await expect(page.locator("#composer textarea")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_serious_barrier_is_found(browser: Browser, address: Address, dentist: Any, scheme: Any) -> None:
    context = await context_of(browser, color_scheme=scheme, reduced_motion="reduce")
    page = await context.new_page()
    visitor = Visitor(page)
    await page.goto(f"{address.http}/chat/{dentist.public_id}")
    await visitor.hears("What is your name?")
    await visitor.says("Olena")
    await visitor.presses("Tuesday")
    await visitor.hears("Anything we should know?")
    assert await serious(page) == []
    await visitor.says("no")
    await expect(page.locator("#over")).to_be_visible()
    assert await serious(page) == []
    await page.goto(f"{address.http}/chat/nothing")
    await expect(page.locator("#note")).to_be_visible()
    assert await serious(page) == []
    await context.close()


@pytest.mark.parametrize("width", [320, 360, 400])
async def test_a_phone_needs_no_sideways_scrolling_and_has_large_targets(
    browser: Browser, address: Address, dentist: Any, width: int
) -> None:
    context = await context_of(browser, viewport={"width": width, "height": 700}, has_touch=True, is_mobile=True)
    page = await context.new_page()
    visitor = Visitor(page)
    await page.goto(f"{address.http}/chat/{dentist.public_id}")
    await visitor.hears("What is your name?")
    await visitor.says("W" * 400)
    await visitor.hears("Which day suits you?")
    measured = await page.evaluate(
        """() => ({
            wide: document.documentElement.scrollWidth - innerWidth,
            inner: document.querySelector('#scroller').scrollWidth - document.querySelector('#scroller').clientWidth,
            small: [...document.querySelectorAll('button, select, .option')].filter(e => e.checkVisibility())
                .filter(e => { const r = e.getBoundingClientRect(); return r.width < 44 || r.height < 44; })
                .map(e => e.outerHTML.slice(0, 80)),
        })"""
    )
    assert measured == {"wide": 0, "inner": 0, "small": []}
    # An on-screen keyboard takes 300 px: the composer and the last message stay in sight.
    await page.set_viewport_size({"width": width, "height": 400})
    await expect(page.locator("#composer")).to_be_in_viewport(ratio=1)
    await expect(page.get_by_role("button", name="Wednesday")).to_be_in_viewport()
    await context.close()


async def test_a_russian_visitor_is_spoken_to_in_russian(browser: Browser, address: Address, dentist: Any) -> None:
    context = await context_of(browser, locale="ru-RU")
    page = await context.new_page()
    visitor = Visitor(page)
    await page.goto(f"{address.http}/chat/{dentist.public_id}")
    await visitor.hears("Как вас зовут?")
    await expect(page.locator("html")).to_have_attribute("lang", "ru")
    await expect(page.locator("#composer textarea")).to_have_attribute("placeholder", "Напишите сообщение")
    await page.locator("#language").select_option("en")
    await visitor.hears("What is your name?")
    await expect(page.locator("#log .row")).to_have_count(2)
    await page.reload()
    await visitor.hears("What is your name?")
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await context.close()


async def test_a_picture_is_sent_and_shown_again_after_a_reload(page: Page, address: Address, parrot: Any) -> None:
    troubles = errors_of(page)
    visitor = Visitor(page)
    await page.goto(f"{address.http}/chat/{parrot.public_id}")
    await visitor.hears("Say something.")
    await page.locator("input[type=file]").set_input_files(
        [
            FilePayload(name="tooth.png", mimeType="image/png", buffer=PIXEL),
            FilePayload(name="run.exe", mimeType="application/x-msdownload", buffer=b"MZ\x90\x00" + bytes(64)),
        ]
    )
    await expect(page.locator(".chip.bad small")).to_contain_text("not accepted")
    await expect(page.locator(".send")).to_have_attribute("aria-disabled", "true")
    await page.get_by_role("button", name="Remove: run.exe").click()
    await visitor.says("This one hurts")
    await visitor.hears("You said: This one hurts")
    await expect(page.locator("#log .own img")).to_have_count(1)
    await page.reload()
    await expect(page.locator("#log .own img")).to_have_count(1)
    await page.get_by_role("button", name="Open:").click()
    async with page.expect_download() as download:
        await page.locator("#viewer a").click()
    saved = await (await download.value).path()
    assert await asyncio.to_thread(saved.read_bytes) == PIXEL
    await page.keyboard.press("Escape")
    await expect(page.locator("#viewer")).to_be_hidden()
    assert [trouble for trouble in troubles if "422" not in trouble] == []


async def test_an_answer_in_the_making_is_seen_growing_and_then_stands_once(
    page: Page, address: Address, services: Services, ann: Member, parrot: Any
) -> None:
    visitor = Visitor(page)
    await page.goto(f"{address.http}/chat/{parrot.public_id}")
    await visitor.hears("Say something.")
    talk = (await services.conversations.list(ann.who, agent_id=parrot.id)).rows[0]
    growing = page.locator("#now .row:not(.typing) .bubble")
    services.live.publish(talk.id, {"type": "typing"})
    await expect(page.locator("#now .typing")).to_be_visible()
    for text in ("Let me **look", "** that up", " <b>for you"):
        services.live.publish(talk.id, {"type": "delta", "key": "k", "text": text})
    await expect(growing).to_have_text("Let me look that up <b>for you")
    await expect(page.locator("#now .typing")).to_be_hidden()
    services.live.publish(talk.id, {"type": "reset", "key": "k"})
    await expect(growing).to_have_count(0)
    services.live.publish(talk.id, {"type": "delta", "key": "k", "text": "Found"})
    await expect(growing).to_have_text("Found")
    await visitor.says("thanks")
    assert await visitor.settled(3) == ["agent: Say something.", "own: thanks", "agent: You said: thanks"]
    await expect(growing).to_have_count(0)
    await expect(page.locator("#now .typing")).to_be_hidden()


async def test_a_closed_agent_says_so_and_opens_by_itself(
    page: Page, address: Address, services: Services, ann: Member, dentist: Any
) -> None:
    await services.agents.set_on(ann.who, dentist.id, False)
    await page.goto(f"{address.http}/chat/{dentist.public_id}")
    await expect(page.get_by_role("heading", name="The chat is closed at the moment")).to_be_visible()
    await expect(page.locator("#composer")).to_be_hidden()
    await services.agents.set_on(ann.who, dentist.id, True)
    await page.get_by_role("button", name="Look again").click()
    await Visitor(page).hears("What is your name?")


async def test_the_first_load_is_small(page: Page, address: Address, dentist: Any) -> None:
    sizes: dict[str, int] = {}

    async def count(request: Any) -> None:
        found = await request.sizes()
        sizes[request.url] = found["responseBodySize"] + found["responseHeadersSize"]

    waiting: list[asyncio.Task[None]] = []
    page.on("requestfinished", lambda request: waiting.append(asyncio.ensure_future(count(request))))
    await page.goto(f"{address.http}/chat/{dentist.public_id}")
    await Visitor(page).hears("What is your name?")
    await asyncio.gather(*waiting)
    assert 5_000 < sum(sizes.values()) < 60_000, sizes
    assert len(sizes) < 20
