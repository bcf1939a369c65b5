"""One installation for all tests of this folder, its owner, and Chromium; a failed test leaves screenshots."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.canaries import found_below, found_in
from tests.end_to_end.whole.designer import Designer
from tests.end_to_end.whole.stack import REPOSITORY, Stack

CHROMIUM = os.environ.get("PATCHCORD_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
OWNER = {
    "workspace": "Koval Flowers",
    "name": "Olena Koval",
    "email": "olena@example.com",
    "password": "a tram that flies home",
}
PICTURES = Path(os.environ.get("PATCHCORD_TEST_RESULTS") or REPOSITORY / "test-results")

Open = Callable[..., Page]
failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Remember for the fixtures that the test failed."""
    report = yield
    if report.when == "call" and report.failed:
        item.stash[failed] = True
    return report


@pytest.fixture(scope="package")
def screens() -> None:
    """The screens of these sources; built here, before anybody counts seconds, when they are not there yet."""
    subprocess.run([sys.executable, "-P", "-m", "builder_ui.build"], cwd=REPOSITORY, env=_with_path(), check=True)


def _with_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


@pytest.fixture(scope="package")
def stack(screens: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The product, started on an empty folder. It stops cleanly, or the tests fail."""
    folder = tmp_path_factory.mktemp("installation") / "data"
    running = Stack(folder)
    try:
        yield running.start()
    finally:
        code = running.stop()
    assert code == 0, "".join(running.said)
    assert found_below(folder) == [], "a credential stands in clear in the installation's folder: database, logs, files"
    assert found_in("".join(running.said)) == []


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium; closed with this folder, because Playwright's loop would disturb asynchronous tests after it."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def owner(stack: Stack, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first run, in the browser: the file with the owner's cookies."""
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    page.goto(stack.url)
    page.wait_for_selector("[data-testid=create-owner]", timeout=30_000)
    assert page.url == f"{stack.url}/setup"
    for name, value in OWNER.items():
        page.fill(f"input[name={name}]", value)
    page.click("[data-testid=create-owner]")
    page.wait_for_selector("text=Create your first agent", timeout=30_000)
    kept = tmp_path_factory.mktemp("owner") / "cookies.json"
    context.storage_state(path=kept)
    context.close()
    return kept


@pytest.fixture
def new_context(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., BrowserContext]]:
    """Browser profiles of this test; pictures of all their pages are kept when it fails."""
    opened: list[BrowserContext] = []
    troubles: list[str] = []

    def new(**options: Any) -> BrowserContext:
        settings = {
            "viewport": {"width": 1440, "height": 900},
            "reduced_motion": "reduce",
            "locale": "en-US",
            **options,
        }
        context = browser.new_context(**settings)
        context.set_default_timeout(15_000)
        context.on("weberror", lambda error: troubles.append(str(error.error)))
        opened.append(context)
        return context

    yield new
    has_failed = request.node.stash.get(failed, False)
    for context in opened:
        for number, page in enumerate(context.pages):
            if has_failed:
                PICTURES.mkdir(parents=True, exist_ok=True)
                page.screenshot(path=PICTURES / f"{request.node.name}-{opened.index(context)}-{number}.png")
        context.close()
    assert not troubles or has_failed, troubles


@pytest.fixture
def designer(stack: Stack, owner: Path, new_context: Callable[..., BrowserContext]) -> Designer:
    """The owner in a browser tab."""
    return Designer(stack.url, new_context(storage_state=json.loads(owner.read_text())).new_page())


@pytest.fixture
def client(new_context: Callable[..., BrowserContext]) -> Page:
    """Somebody else's browser, without any cookie."""
    return new_context().new_page()
