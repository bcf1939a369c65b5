"""A customer system is connected by OAuth, a request is tried and its answer mapped, and its fields are there to choose."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.axe import serious_now
from tests.end_to_end.whole.conftest import PICTURES
from tests.end_to_end.whole.designer import Designer, open_dialog
from tests.fakes.kommo import CLIENT, Kommo, kommo

pytestmark = pytest.mark.timeout(150, func_only=True)
ROOT = Path(os.environ.get("PATCHCORD_PICTURES") or PICTURES / "looks")


@pytest.fixture
def fake() -> Iterator[Kommo]:
    with kommo() as account:
        yield account


def connect(designer: Designer, fake: Kommo) -> None:
    """From the empty page to a connection that works."""
    page = designer.page
    page.goto(f"{designer.url}/connections")
    page.locator("main h1").wait_for()
    expect(page.get_by_text("Nothing is connected yet")).to_be_visible()
    page.screenshot(path=ROOT / "connections-empty.png")
    open_dialog(page, "add-link", "#link-base_url")
    page.locator("#link-label").fill("Flower shop")
    page.locator("#link-base_url").fill(fake.url)
    page.locator("#link-way_in").select_option("oauth")
    page.locator("#link-client_id").fill(CLIENT["client_id"])
    page.locator("#link-client_secret").fill(CLIENT["client_secret"])
    page.get_by_text("More options").click()
    page.locator("#link-authorize_url").fill(f"{fake.url}/oauth")
    page.locator("#link-allow_private_host").check()
    page.screenshot(path=ROOT / "connections-form.png", full_page=True)
    assert serious_now(page) == []
    page.get_by_test_id("save-link").click()
    page.get_by_test_id("connect-link").click()
    page.locator("#allow").click()
    expect(page.locator("main").get_by_text("Works", exact=True)).to_be_visible(timeout=15_000)
    assert "code=" not in page.url
    assert "state=" not in page.url
    assert CLIENT["client_secret"] not in page.content()


def test_connect_try_map_and_choose(designer: Designer, fake: Kommo) -> None:
    ROOT.mkdir(parents=True, exist_ok=True)
    page = designer.page
    connect(designer, fake)
    page.screenshot(path=ROOT / "connections.png")
    assert serious_now(page) == []
    page.set_viewport_size({"width": 400, "height": 800})
    page.screenshot(path=ROOT / "connections-400.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.set_viewport_size({"width": 1440, "height": 900})

    designer.create_agent("Reception")
    step = designer.drag_in("http_request", 620, 320)
    designer.select(step)
    designer.write("url", "/api/v4/leads/pipelines")
    designer.field("connection").locator("select").select_option(label="Flower shop")
    page.wait_for_function("Object.values(patchcordEditor.store.getState().connections).some((c) => c.credential_id)")
    # What was wrong until now goes away and moves the button up.
    expect(page.get_by_test_id("inspector").get_by_text("Nothing is chosen behind")).to_have_count(0)
    page.get_by_test_id("trial-send").click()
    expect(page.get_by_test_id("trial-status")).to_contain_text("200", timeout=15_000)
    sent = fake.calls("GET", "/api/v4/leads/pipelines")
    assert len(sent) == 1
    assert sent[0].token.startswith("access-")
    value = page.locator("[data-pointer='_embedded.pipelines[0].name']")
    value.scroll_into_view_if_needed()
    value.click()
    page.get_by_test_id("trial-keep").scroll_into_view_if_needed()
    page.screenshot(path=ROOT / "http-trial.png")
    page.get_by_test_id("new-variable-make").click()
    designer.wait_saved()
    (part,) = designer.state(f"s.doc.nodes['{step}'].settings.parts")
    assert part["pointer"] == "_embedded.pipelines[0].name"
    assert designer.state(f"s.doc.variables['{part['save_to']}'].label") == "name"
    expect(page.locator(".pp-tree-kept")).to_be_visible()
    page.screenshot(path=ROOT / "http-mapped.png")
    assert "access-" not in page.content()
    # The canvas itself is judged in tests/editor; here it is the side panel.
    assert [fault for fault in serious_now(page) if "pp-" in fault or "pc-inspector" in fault] == []

    other = designer.drag_in("crm_update", 620, 560)
    designer.select(other)
    designer.field("connection").locator("select").select_option(label="Flower shop")
    page.get_by_test_id("add-values").click()
    field = page.get_by_test_id("inspector").locator("[data-widget=remote] select").last
    expect(field.locator("option", has_text="Source")).to_have_count(1, timeout=15_000)
    field.select_option(label="Guests")
    designer.wait_saved()
    page.screenshot(path=ROOT / "crm-update.png")
    assert designer.state(f"s.doc.nodes['{other}'].settings.values[0].field") == "cf_502"
