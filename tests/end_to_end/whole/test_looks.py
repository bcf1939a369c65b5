"""Every page in three languages and two themes: no serious fault of accessibility, and a picture of each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.axe import serious_now
from tests.end_to_end.whole.conftest import PICTURES
from tests.end_to_end.whole.stack import Stack

pytestmark = pytest.mark.timeout(150, func_only=True)
ROOT = Path(os.environ.get("PATCHCORD_PICTURES") or PICTURES / "looks")
WORDS = {"en": "Agents", "ru": "Агенты", "uk": "Агенти"}
PAGES = {
    "agents": "/",
    "models": "/models",
    "connections": "/connections",
    "conversations": "/conversations",
    "keys": "/api-keys",
    "undelivered": "/undelivered",
    "follow-ups": "/follow-ups",
    "work": "/work",
    "settings": "/settings",
}


@pytest.fixture
def speaks(stack: Stack) -> Iterator[Callable[[str, str], None]]:
    """Set the owner's language and theme; the next tests meet the owner as before."""

    def set_to(language: str, theme: str) -> None:
        with stack.database() as rows:
            rows.execute("UPDATE member SET language = %s, theme = %s", (language, theme))

    yield set_to
    set_to("en", "system")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ru", "uk"])
def test_pages_are_accessible_and_translated(
    stack: Stack,
    owner: Path,
    new_context: Callable[..., BrowserContext],
    speaks: Callable[[str, str], None],
    language: str,
    theme: str,
) -> None:
    context = new_context(storage_state=json.loads(owner.read_text()), color_scheme=theme)
    page = context.new_page()
    speaks(language, theme)
    faults: dict[str, list[str]] = {}
    ROOT.mkdir(parents=True, exist_ok=True)
    for name, path in PAGES.items():
        page.goto(stack.url + path)
        page.locator("main h1").wait_for()
        expect(page.locator("nav")).to_contain_text(WORDS[language])
        page.screenshot(path=ROOT / f"{name}-{language}-{theme}.png")
        faults[name] = serious_now(page)
    assert {name: found for name, found in faults.items() if found} == {}


def test_texts_that_come_after_the_page_do_not_make_react_start_over(
    stack: Stack, owner: Path, new_context: Callable[..., BrowserContext]
) -> None:
    page = new_context(storage_state=json.loads(owner.read_text())).new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    for _ in range(3):  # from the cache they come while the page is still compared with the prerendered one
        for path in ("/follow-ups", "/work"):
            page.goto(stack.url + path)
            expect(page.locator("main h1")).not_to_be_empty()
            mark = page.locator(".ps-brand svg rect").first
            assert mark.evaluate("e => getComputedStyle(e).fill") != "rgb(0, 0, 0)", "styles of the page are lost"
    assert troubles == []
