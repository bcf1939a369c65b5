"""A real browser before the real application."""

import os
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

from tests import patience as _patience  # noqa: F401  # Playwright's own five seconds are too few
from tests.api.conftest import address, ann, anonymous

__all__ = ["address", "ann", "anonymous"]

CHROMIUM = os.environ.get("PATCHCORD_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--force-color-profile=srgb",
]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Chromium without a window; no profile is kept."""
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        await opened.close()
