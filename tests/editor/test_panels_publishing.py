"""Publishing: what changes in words, what blocks it, one version per double click, and the way back."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.editor.conftest import state, wait_saved
from tests.editor.talk_server import TalkServer, server

__all__ = ["server"]
Open = Callable[..., Page]

MENDED = """patchcordEditor.dispatch([
  {kind: 'connect', port: 'n_need.other', target: 'n_lost'}, {kind: 'connect', port: 'n_budget.invalid', target: 'n_lost'},
  {kind: 'change_settings', id: 'n_ai', set: {system: 'You answer questions about plans.'}}])"""


def mended(open_editor: Open) -> Page:
    page = open_editor()
    page.evaluate(MENDED)
    wait_saved(page)
    return page


def test_problems_block_and_lead_to_their_field(open_editor: Open) -> None:
    page = open_editor()
    page.get_by_test_id("publish-button").click()
    expect(page.get_by_test_id("publish-now")).to_be_disabled()
    page.get_by_test_id("publish").locator(".pp-problem", has_text="Instructions").click()
    expect(page.get_by_test_id("publish")).to_have_count(0)
    expect(page.locator("[data-testid=field-system] [role=textbox]")).to_be_focused()


def test_a_double_click_publishes_once_and_shows_where_it_lives(open_editor: Open, server: TalkServer) -> None:
    page = mended(open_editor)
    page.get_by_test_id("publish-button").click()
    expect(page.get_by_test_id("changes")).to_contain_text("First version: 10 steps")
    page.get_by_label("What is new (optional)").fill("First of all")
    page.get_by_test_id("publish-now").dblclick()
    expect(page.get_by_test_id("published")).to_contain_text("New conversations start with version 1.")
    assert [comment for _, comment in server.published] == ["First of all"]
    expect(page.get_by_role("link", name="Open the chat page")).to_have_attribute("href", "/chat/northwind")
    back = page.get_by_role("button", name="Back to the flow")
    back.dispatch_event("click", {"detail": 2})  # where the server is quick, the second click meets this button
    expect(back).to_be_visible()
    back.click()
    expect(back).to_have_count(0)
    assert state(page, "[s.liveVersion, s.changedSincePublish]") == [1, False]


def test_the_second_version_says_what_changed(open_editor: Open, server: TalkServer) -> None:
    page = mended(open_editor)
    server.published.append((server.world.drafts["flow-lead"].flow, "Before"))
    page.evaluate("patchcordEditor.dispatch([{kind: 'change_settings', id: 'n_hello', set: {text: 'Good day!'}}])")
    page.get_by_test_id("publish-button").click()
    expect(page.get_by_test_id("changes").get_by_role("button")).to_have_text("“Greeting”: “Text” changed")
    expect(page.get_by_test_id("changes").locator("ins")).to_have_text("Good day!")
    server.world.edit_as_somebody("flow-lead", [{"kind": "move_node", "id": "n_end", "at": [0, 0]}])
    page.get_by_test_id("publish-now").click()
    expect(page.get_by_test_id("publish").get_by_role("alert")).to_contain_text("changed meanwhile")
    page.get_by_test_id("publish-now").click()
    expect(page.get_by_test_id("published")).to_be_visible()


def test_nothing_new_is_nothing_to_publish(open_editor: Open, server: TalkServer) -> None:
    page = mended(open_editor)
    page.get_by_test_id("publish-button").click()
    page.get_by_test_id("publish-now").click()
    page.get_by_role("button", name="Back to the flow").click()
    page.get_by_test_id("publish-button").click()
    expect(page.get_by_test_id("publish")).to_contain_text("Nothing has changed since the live version.")
    expect(page.get_by_test_id("publish-now")).to_have_count(0)


def test_an_earlier_version_is_restored_after_a_question(open_editor: Open, server: TalkServer) -> None:
    page = mended(open_editor)
    flow = server.world.drafts["flow-lead"].flow
    server.published.extend([(flow, "Shorter greeting"), (flow, "")])
    page.get_by_test_id("publish-button").click()
    page.get_by_test_id("publish-tab-versions").click()
    rows = page.get_by_test_id("versions").locator("li")
    expect(rows.nth(0)).to_contain_text("Version 2")
    expect(rows.nth(0)).to_contain_text("live")
    rows.nth(1).get_by_role("button", name="Restore").click()
    assert server.restored == []
    page.get_by_test_id("restore-now").click()
    expect(page.get_by_test_id("publish")).to_have_count(0)
    assert server.restored == [1]


def test_a_model_is_bound_from_the_step(open_editor: Open, server: TalkServer) -> None:
    opened = server.world.opened
    keys, models = [{"id": "key-1", "label": "Main key"}], [{"name": "gpt-5", "label": "GPT-5"}]
    offer = {"connector": "openai", "label": "OpenAI", "needs_credential": True, "credentials": keys, "models": models}
    server.world.opened = lambda flow_id: opened(flow_id) | {"models": [offer]}  # type: ignore[method-assign]
    page = open_editor()
    page.evaluate("patchcordEditor.store.setState({selection: ['n_ai']})")
    with page.expect_response(lambda answer: "/connections/llm" in answer.url):
        page.get_by_test_id("inspector").get_by_label("Model", exact=True).select_option(label="GPT-5 · Main key")
    assert server.bound == [("llm", {"connector": "openai", "model": "gpt-5", "credential_id": "key-1"})]


def test_what_was_mended_a_moment_ago_offers_no_fix_that_would_undo_it(open_editor: Open) -> None:
    page = open_editor()
    wrong = "patchcordEditor.store.getState().problems.filter((p) => p.node_id === 'n_budget' && p.port === 'invalid').length"
    assert page.evaluate(wrong) == 1
    connect = "patchcordEditor.dispatch([{kind: 'connect', port: 'n_budget.invalid', target: 'n_lost'}])"
    # At once, before the server has said anything: its fix would lead the exit to an End instead.
    assert page.evaluate(f"(() => {{ {connect}; return {wrong}; }})()") == 0
    wait_saved(page)
    assert state(page, "s.doc.edges['n_budget.invalid']") == "n_lost"
