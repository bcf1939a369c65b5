"""The test drawer: the conversation, its links to the canvas, and nothing typed is ever lost."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.editor.conftest import state
from tests.editor.talk_server import TalkServer, server

__all__ = ["server"]
Open = Callable[..., Page]


def talking(open_editor: Open) -> Page:
    page = open_editor()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_test_id("bubble-agent")).to_have_count(2)
    return page


def test_a_conversation_lights_its_path_and_shows_what_changed(open_editor: Open, server: TalkServer) -> None:
    page = talking(open_editor)
    expect(page.get_by_test_id("test-say")).to_be_focused()
    page.get_by_role("button", name="I want to buy", exact=True).click()
    expect(page.get_by_test_id("bubble-contact")).to_have_text("I want to buy")
    expect(page.get_by_role("button", name="I need help", exact=True)).to_be_disabled()
    page.keyboard.type("600000")
    page.get_by_test_id("test-say").press("Enter")
    expect(page.get_by_test_id("bubble-agent").last).to_contain_text("Your personal manager will call.")
    expect(page.get_by_test_id("test-log")).to_contain_text("The conversation is over: won")
    assert [s.get("option_id") for s in server.said] == ["c_buy", ""]
    assert state(page, "s.run.path['n_big.c_big'] && s.run.steps.n_vip") == "done"
    page.get_by_test_id("tab-variables").click()
    expect(page.locator("[data-testid=test-variables] tr[data-changed]")).to_contain_text("600000")
    page.get_by_test_id("tab-steps").click()
    expect(page.locator("[data-testid=test-steps] li").first).to_contain_text("Start")


def test_a_bubble_shows_its_step_and_the_test_stays_in_front(open_editor: Open) -> None:
    page = talking(open_editor)
    page.get_by_test_id("test-log").get_by_role("button", name="Greeting").click()
    assert state(page, "s.selection") == ["n_hello"]
    expect(page.get_by_test_id("test-drawer")).to_be_visible()
    expect(page.get_by_test_id("inspector")).to_be_hidden()
    page.get_by_test_id("card-n_need").click()
    expect(page.get_by_test_id("inspector")).to_be_visible()
    expect(page.get_by_test_id("test-drawer")).to_be_hidden()
    page.get_by_role("button", name="Back to the test").click()
    expect(page.get_by_test_id("bubble-agent").first).to_be_visible()


def test_words_typed_without_a_connection_stay(open_editor: Open, server: TalkServer) -> None:
    page = talking(open_editor)
    server.world.faults.add("refuse_socket")
    server.cut_sockets()
    page.wait_for_function("patchcordEditor.store.getState().link === 'offline'")
    page.get_by_test_id("test-say").fill("About 600 thousand")
    page.get_by_test_id("test-say").press("Enter")
    expect(page.get_by_test_id("test-say")).to_have_value("About 600 thousand")
    expect(page.get_by_test_id("test-drawer").get_by_role("alert")).to_contain_text("No connection")
    page.keyboard.press("Escape")
    page.get_by_test_id("test-button").click()
    expect(page.get_by_test_id("test-say")).to_have_value("About 600 thousand")
    server.world.faults.clear()
    page.wait_for_function("patchcordEditor.store.getState().link === 'online'", timeout=20_000)
    page.get_by_test_id("test-say").press("Enter")
    expect(page.get_by_test_id("test-say")).to_have_value("")
    assert server.said[-1]["text"] == "About 600 thousand"


def test_a_flow_that_cannot_start_says_why_and_offers_a_way_out(open_editor: Open, server: TalkServer) -> None:
    server.is_silent = True
    page = open_editor()
    page.get_by_test_id("test-button").click()
    expect(page.get_by_test_id("test-log").get_by_role("alert")).to_contain_text("The flow has no start.")
    server.is_silent = False
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_test_id("bubble-agent")).to_have_count(2)


def test_last_values_are_shown_on_chips_after_a_test(open_editor: Open, server: TalkServer) -> None:
    page = talking(open_editor)
    page.evaluate(
        "patchcordEditor.dispatch([{kind: 'change_settings', id: 'n_vip', set: {text: 'You have {{ var.budget }}'}}])"
    )
    page.get_by_test_id("test-say").fill("600000")
    page.get_by_test_id("test-say").press("Enter")
    expect(page.locator(".pp-outdated")).to_contain_text("The flow was changed since.")
    page.keyboard.press("Escape")
    page.evaluate("patchcordEditor.store.setState({selection: ['n_vip']})")
    expect(page.locator("[data-testid=field-text] .pp-chip")).to_have_attribute("title", "Last value: 600000")


def test_the_client_s_language_is_chosen_for_the_test(open_editor: Open, server: TalkServer) -> None:
    page = open_editor()
    page.evaluate("patchcordEditor.dispatch([{kind: 'set_text', language: 'ru', key: 'n_hello.text', text: 'Привет'}])")
    page.get_by_test_id("test-button").click()
    expect(page.get_by_test_id("bubble-agent")).to_have_count(2)
    page.get_by_label("Language of the client").select_option("ru")
    page.wait_for_function("patchcordEditor.store.getState().run.conversationId === 'test-2'")
    expect(page.get_by_test_id("bubble-agent")).to_have_count(2)
    assert [s["language"] for s in server.started] == ["en", "ru"]


def test_the_drawer_is_resized_by_keyboard_and_remembers(open_editor: Open) -> None:
    page = talking(open_editor)
    page.get_by_role("separator", name="Width of the test drawer").press("ArrowLeft")
    box = page.get_by_test_id("test-drawer").bounding_box()
    assert box
    assert round(box["width"]) == 444
    page.get_by_role("button", name="Close").last.click()
    page.get_by_test_id("test-button").click()
    box = page.get_by_test_id("test-drawer").bounding_box()
    assert box
    assert round(box["width"]) == 444
