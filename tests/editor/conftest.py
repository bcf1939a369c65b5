"""The editor page, built once, served by the fake server, in Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests import patience as _patience  # noqa: F401  # Playwright's own five seconds are too few
from tests.editor.browser import CHROMIUM, FLAGS
from tests.editor.fake_server import FakeServer
from tests.editor.flows import empty_flow, lead_flow
from tests.editor.screens import built_screens
from tests.editor.world import World


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for this folder. It keeps an event loop running, so it ends before other folders begin."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A fresh world with one real flow and an empty one."""
    world = World()
    world.put(lead_flow())
    world.put(empty_flow())
    with FakeServer(built_screens(), world) as server:
        yield server


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser profile of its own."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    yield context
    context.close()


@pytest.fixture
def open_editor(server: FakeServer, context: BrowserContext) -> Iterator[Callable[..., Page]]:
    """Open a flow in a new tab and wait until it can be used; page errors fail the test."""
    errors: list[str] = []

    def open_(flow_id: str = "flow-lead", inside: BrowserContext | None = None) -> Page:
        page = (inside or context).new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(server.address(flow_id))
        page.wait_for_selector("[data-testid=board]")
        page.wait_for_function("patchcordEditor.store.getState().link === 'online'")
        return page

    yield open_
    assert not errors


def state(page: Page, expression: str) -> Any:
    """A value of the editor's store; `s` is the state."""
    return page.evaluate(f"(() => {{ const s = patchcordEditor.store.getState(); return {expression}; }})()")


def wait_saved(page: Page) -> None:
    """Wait until nothing is on its way to the server."""
    page.wait_for_function("patchcordEditor.store.getState().pending === 0")
