"""Talking to an agent in a real browser: a microphone that plays a recording, the voice pipeline, and what the screen shows of it."""

from __future__ import annotations

import dataclasses
import os
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from connectors.offline_speech.speech import EspeakSynthesizer, SphinxTranscriber, missing
from graph_runtime.api.app import create_app
from graph_runtime.bootstrap import Services
from graph_runtime.cli.chromium import ensure_chromium
from graph_runtime.contract.calls import Voice
from graph_runtime.services.principal import Principal
from tests.api.conftest import Address, serving
from tests.axe import serious
from tests.builder_ui.tab import Tab
from tests.builder_ui.test_in_browser import FLAGS, screens, sign_in  # noqa: F401 (a fixture)
from tests.phone_world import phone_flow
from tests.voice.voice_world import voice_process
from voice.house import SpeechParts
from voice.speaker import speech_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120, func_only=True),
    pytest.mark.skipif(bool(missing()), reason="the extra offline-voice is not installed"),
]
RATE = 8000
SHOP = phone_flow(
    {
        "n_day": (
            "ask_choice",
            {
                "text": "Which day suits you?",
                "options": [{"id": "mon", "label": "Monday"}, {"id": "tue", "label": "Tuesday"}],
            },
        ),
        "n_end": ("end", {"text": "Good, see you on Tuesday.", "result": "booked"}),
        "n_sorry": ("end", {"text": "Then on Monday.", "result": "monday"}),
    },
    {"n_start.next": "n_day", "n_day.mon": "n_sorry", "n_day.tue": "n_end", "n_day.other": "n_day"},
    layout={"nodes": {"n_start": [0, 0], "n_day": [360, 0], "n_end": [720, 160], "n_sorry": [720, -120]}},
)


@dataclasses.dataclass
class Place:
    """The application, and a recording of somebody who says “Tuesday” every few seconds."""

    address: Address
    microphone: Path
    path: str


@pytest.fixture
async def place(
    services: Services, who: Principal, tab: Tab, screens: Any, tmp_path: Path  # noqa: F811 (a fixture)
) -> AsyncIterator[Place]:  # fmt: skip
    hears, talks = SphinxTranscriber(), EspeakSynthesizer()
    spoken = [
        audio
        async for audio in speech_of("Tuesday", Voice("en", "gmw/en-US", 0.9), RATE, SpeechParts(hears, talks), None)
    ]
    with wave.open(str(tmp_path / "caller.wav"), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(RATE)
        recording.writeframes(bytes(2 * RATE * 4) + b"".join(spoken) + bytes(2 * RATE))
    agent = await services.agents.create(who, name="Reception", language="en")
    await services.drafts.replace(who, agent.main_flow_id, SHOP)
    async with voice_process(services, hears, talks) as process:
        settings = services.settings.model_copy(update={"voice_port": process.port})
        knowing = dataclasses.replace(services, settings=settings)
        async with serving(create_app(knowing, screens), knowing) as address:
            yield Place(address, tmp_path / "caller.wav", f"/agents/{agent.id}/flow/{agent.main_flow_id}")
    await hears.aclose()
    await talks.aclose()


async def test_an_agent_is_talked_to(place: Place) -> None:
    flags = [
        *FLAGS, "--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={place.microphone}",
        "--autoplay-policy=no-user-gesture-required",
    ]  # fmt: skip
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=ensure_chromium(), args=flags)
        # With the policies that the server sends: the microphone and the sound of the page have to pass them.
        context = await browser.new_context(
            base_url=place.address.http, locale="en", viewport={"width": 1280, "height": 900}
        )
        context.set_default_timeout(15_000)
        page = await context.new_page()
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        await page.goto(f"/login?next={place.path}")
        await sign_in(page)
        await page.get_by_test_id("board").wait_for()
        await page.keyboard.press("Control+Enter")
        await page.get_by_test_id("test-call").click()

        await page.get_by_test_id("voice-talk").click()  # nobody has allowed it
        problem = page.get_by_test_id("voice-problem")
        await expect(problem).to_have_attribute("data-problem", "refused")
        await _picture(page, "talk-refused")

        await context.grant_permissions(["microphone"], origin=place.address.http)
        await problem.locator(".pp-button").first.click()
        await expect(page.get_by_test_id("voice-bar")).to_have_attribute("data-phase", "live")
        await expect(page.get_by_test_id("voice-now")).to_have_attribute("data-kind", "agent")
        await _picture(page, "talk-live")
        # The microphone said it, the recognizer understood it, the flow went the right way.
        said = page.get_by_test_id("bubble-contact")
        await expect(said).to_have_text("Tuesday", timeout=20_000)
        await expect(page.get_by_test_id("bubble-agent").last).to_contain_text(
            "Good, see you on Tuesday.", timeout=15_000
        )
        fall = page.get_by_test_id("waterfall").last
        await expect(fall).to_be_visible(timeout=15_000)
        await expect(page.get_by_test_id("card-n_end").get_by_test_id("card-wait")).to_be_visible()
        await expect(page.get_by_test_id("voice-over")).to_be_visible(timeout=15_000)
        # Now nothing follows that would be the last one instead.
        await fall.locator("summary").click()
        await expect(fall.locator("[data-kind=pause]")).to_be_visible()
        await expect(fall.locator("[data-kind=ear]")).to_be_visible()
        await _picture(page, "talk-over")
        assert await serious(page) == []
        assert not troubles
        await browser.close()


async def _picture(page: Page, name: str) -> None:
    if folder := os.environ.get("PATCHCORD_PICTURES"):
        await page.screenshot(path=f"{folder}/{name}.png")
