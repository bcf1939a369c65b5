"""How long a test waits for what must come. A machine that does other work is no fault of the product's; tests of speed count
seconds themselves."""

from __future__ import annotations

from playwright.async_api import expect as expect_later
from playwright.sync_api import expect as expect_now

MILLISECONDS = 20_000

for expect in (expect_later, expect_now):
    expect.set_options(timeout=MILLISECONDS)
