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
    # Their texts come after the page, which must not make React start over.
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
