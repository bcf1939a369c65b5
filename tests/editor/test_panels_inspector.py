"""The side panel: every widget writes the document, nothing typed is lost, problems lead to their fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.editor.conftest import state, wait_saved
from tests.editor.talk_server import TalkServer, server

__all__ = ["server"]
Open = Callable[..., Page]


PASTE = """text => {
  const clipboardData = new DataTransfer();
  clipboardData.setData('text/plain', text);
  document.activeElement.dispatchEvent(new ClipboardEvent('paste', {clipboardData, bubbles: true, cancelable: true}));
}"""
UNNAMED = """[...document.querySelectorAll('[data-testid=inspector] :is(button, input, select, textarea, [role=textbox])')]
  .filter((e) => !e.ariaLabel && !e.getAttribute('aria-labelledby') && !e.labels?.length && !e.innerText?.trim())
  .map((e) => e.outerHTML.slice(0, 200))"""


def opened(open_editor: Open, node: str) -> Page:
    page = open_editor()
    choose(page, node)
    return page


def choose(page: Page, *nodes: str) -> None:
    page.evaluate("ids => patchcordEditor.store.setState({selection: ids, wire: null})", list(nodes))


def field(page: Page, path: str) -> Locator:
    return page.locator(f"[data-testid='field-{path}']")


def text_of(page: Page, path: str) -> Locator:
    return field(page, path).locator("[role=textbox]").first


def settings(page: Page, node: str) -> dict[str, Any]:
    found: dict[str, Any] = state(page, f"s.doc.nodes['{node}'].settings")
    return found


def test_what_is_typed_is_saved_and_one_second_of_typing_is_one_undo(open_editor: Open, server: TalkServer) -> None:
    page = opened(open_editor, "n_hello")
    text_of(page, "text").click()
    page.keyboard.press("Control+End")
    page.keyboard.type(" Really.", delay=5)
    wait_saved(page)
    said = "Hello! I help to choose a plan. It takes two minutes."
    assert server.world.drafts["flow-lead"].flow.nodes["n_hello"].settings["text"] == f"{said} Really."
    page.keyboard.press("Control+z")
    expect(text_of(page, "text")).to_have_text(said)
    assert settings(page, "n_hello")["text"] == said


def test_a_brace_opens_the_data_and_the_choice_becomes_a_chip(open_editor: Open) -> None:
    page = opened(open_editor, "n_hello")
    text_of(page, "text").fill("")
    text_of(page, "text").press_sequentially("You have {budg")
    expect(page.get_by_test_id("data-menu").get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    page.keyboard.type(" to spend")
    assert settings(page, "n_hello")["text"] == "You have {{ var.budget }} to spend"
    expect(text_of(page, "text").locator(".pp-chip")).to_have_text("Budget")


@pytest.mark.parametrize(
    "liquid",
    [
        "a {{ var.budget }} b", "{{var.budget}}{{ now }}", "{% if var.budget > 3 %}yes{% endif %}", "{{ contact.first_name | default: 'friend' }}!",
        "two\n\nlines {{ and half", "{{ unknown.thing }} }} {", "  spaces  {{ step.n_need.label }}", "",
    ],
)  # fmt: skip
def test_pasted_liquid_comes_back_character_for_character(open_editor: Open, liquid: str) -> None:
    page = opened(open_editor, "n_hello")
    text_of(page, "text").fill("")
    page.evaluate(PASTE, liquid)
    assert settings(page, "n_hello")["text"] == liquid
    page.keyboard.press("Control+Home")
    page.keyboard.type("X")
    assert settings(page, "n_hello")["text"] == f"X{liquid}"
    choose(page, "n_std")
    choose(page, "n_hello")
    text_of(page, "text").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("Y")
    assert settings(page, "n_hello")["text"] == f"X{liquid}Y"


def test_a_remote_change_shows_in_the_field_unless_somebody_types_there(open_editor: Open, server: TalkServer) -> None:
    page = opened(open_editor, "n_hello")
    server.world.edit_as_somebody(
        "flow-lead", [{"kind": "change_settings", "id": "n_hello", "set": {"text": "From afar"}}]
    )
    expect(text_of(page, "text")).to_have_text("From afar")
    page.get_by_test_id("step-name").fill("Mine")
    wait_saved(page)
    server.world.edit_as_somebody("flow-lead", [{"kind": "change_node", "id": "n_hello", "name": "Theirs"}])
    page.wait_for_function("patchcordEditor.store.getState().doc.nodes.n_hello.name === 'Theirs'")
    expect(page.get_by_test_id("step-name")).to_have_value("Mine")
    page.get_by_test_id("step-name").blur()
    expect(page.get_by_test_id("step-name")).to_have_value("Theirs")


def test_options_are_added_ordered_by_keyboard_and_keep_their_ids(open_editor: Open) -> None:
    page = opened(open_editor, "n_need")
    page.get_by_test_id("add-options").click()
    page.keyboard.type("Just looking")
    rows = settings(page, "n_need")["options"]
    assert [r["label"] for r in rows] == ["I want to buy", "I need help", "Just looking"]
    assert rows[2]["id"]
    grip = field(page, "options").locator(".pp-grip").nth(2)
    grip.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert [r["id"] for r in settings(page, "n_need")["options"]] == [rows[2]["id"], "c_buy", "c_help"]
    expect(page.locator("[data-testid=card-n_need] >> text=Just looking").first).to_be_attached()


def test_a_row_is_dragged_by_its_handle(open_editor: Open) -> None:
    page = opened(open_editor, "n_need")
    grips = field(page, "options").locator(".pp-grip")
    start, end = grips.nth(0).bounding_box(), grips.nth(1).bounding_box()
    assert start
    assert end
    page.mouse.move(start["x"] + 6, start["y"] + 8)
    page.mouse.down()
    page.mouse.move(end["x"] + 6, end["y"] + 60, steps=8)
    page.mouse.up()
    assert [r["id"] for r in settings(page, "n_need")["options"]] == ["c_help", "c_buy"]


def test_fields_appear_by_what_is_chosen(open_editor: Open) -> None:
    page = opened(open_editor, "n_budget")
    expect(field(page, "minimum")).to_be_visible()
    field(page, "kind").locator("select").select_option("date")
    expect(field(page, "minimum")).to_have_count(0)
    expect(field(page, "future_only")).to_be_visible()
    field(page, "no_reply_after").locator("input").fill("90")
    field(page, "no_reply_after").locator("select").select_option("M")
    assert settings(page, "n_budget")["no_reply_after"] == "PT90M"


def test_a_number_that_is_none_says_so_and_is_not_written(open_editor: Open) -> None:
    page = opened(open_editor, "n_budget")
    box = field(page, "minimum").locator("input")
    box.fill("1 000,5")
    assert settings(page, "n_budget")["minimum"] == 1000.5
    box.fill("many")
    expect(field(page, "minimum").get_by_role("alert")).to_have_text("A number is needed here")
    assert settings(page, "n_budget")["minimum"] == 1000.5


def test_a_variable_is_created_where_it_is_needed(open_editor: Open, server: TalkServer) -> None:
    page = opened(open_editor, "n_need")
    field(page, "save_to").locator("select").select_option("__new__")
    page.keyboard.type("Что нужно")
    page.get_by_test_id("new-variable-make").click()
    wait_saved(page)
    flow = server.world.drafts["flow-lead"].flow
    assert flow.nodes["n_need"].settings["save_to"] == "chto_nuzhno"
    assert flow.variables["chto_nuzhno"].label == "Что нужно"
    page.keyboard.press("Control+z")
    assert "chto_nuzhno" not in state(page, "Object.keys(s.doc.variables)")


def test_a_condition_is_built_without_writing_code(open_editor: Open, server: TalkServer) -> None:
    page = opened(open_editor, "n_big")
    when = field(page, "cases.c_big.when")
    when.get_by_test_id("add-condition").click()
    row = when.locator(".pp-comparison").nth(1)
    row.locator("select").nth(0).select_option("message.text")
    row.locator("select").nth(1).select_option("in")
    row.locator("input").fill("vip, Gold")
    when.get_by_role("button", name="not").nth(1).click()
    when.locator(".pp-condition > select").select_option("any")
    wait_saved(page)
    saved = server.world.drafts["flow-lead"].flow.nodes["n_big"].settings["cases"][0]["when"]
    first = {"left": {"ref": "var.budget"}, "op": "gte", "right": {"value": 500000}}
    assert saved == {
        "any": [first, {"not": {"left": {"ref": "message.text"}, "op": "in", "right": {"value": ["vip", "Gold"]}}}]
    }


def test_a_translation_is_kept_under_the_row_s_id(open_editor: Open, server: TalkServer) -> None:
    page = open_editor()
    page.get_by_test_id("add-language").click()
    page.get_by_role("menuitem", name="Українська").click()
    choose(page, "n_need")
    page.get_by_test_id("language-uk").click()
    expect(page.locator(".pp-untranslated")).to_have_count(3)
    page.get_by_test_id("translation-options.c_help.label").press_sequentially("Потрібна допомога")
    expect(page.locator(".pp-untranslated")).to_have_count(2)
    wait_saved(page)
    assert server.world.drafts["flow-lead"].flow.i18n == {"uk": {"n_need.options.c_help.label": "Потрібна допомога"}}


def test_exits_are_connected_by_keyboard(open_editor: Open) -> None:
    page = opened(open_editor, "n_need")
    page.get_by_test_id("exit-other").select_option("n_ai")
    assert state(page, "s.doc.edges['n_need.other']") == "n_ai"
    page.get_by_test_id("exit-other").select_option("")
    assert state(page, "s.doc.edges['n_need.other']") is None
    assert state(page, "s.selection") == ["n_need"]


def test_a_problem_leads_into_a_folded_row_and_fix_mends(open_editor: Open) -> None:
    page = open_editor()
    options = [{"id": f"c_{i}", "label": "" if i == 4 else f"Option {i}"} for i in range(6)]
    page.evaluate(
        "o => patchcordEditor.dispatch([{kind: 'change_settings', id: 'n_need', set: {options: o}}])", options
    )
    page.get_by_test_id("check-button").click()
    row = page.locator("[data-testid=problems] li", has_text="Button")
    row.locator(".pp-problem").click()
    expect(text_of(page, "options.c_4.label")).to_be_focused()
    page.locator("[data-testid=problems] li", has_text="Not understood").locator(".pp-fix").click()
    page.wait_for_function("!patchcordEditor.store.getState().problems.some((p) => p.port === 'invalid')")
    assert state(page, "s.doc.nodes[s.doc.edges['n_budget.invalid']].type") == "end"


def test_deleting_a_used_variable_asks_first(open_editor: Open) -> None:
    page = open_editor()
    row = page.get_by_test_id("variable-budget")
    row.get_by_role("button", name="Delete “Budget”").click()
    expect(row.get_by_role("alert")).to_contain_text("2 places")
    row.get_by_role("button", name="Delete anyway").click()
    assert state(page, "Object.keys(s.doc.variables).length") == 0


def test_the_pace_of_answers_is_a_setting_of_the_flow(open_editor: Open) -> None:
    page = open_editor()
    pace = page.get_by_test_id("pace")
    assert state(page, "s.doc.pace") == {"gather_ms": 800, "while_busy": "queue"}
    pace.get_by_label("Before answering, wait for further messages").select_option("1.5 s")
    pace.get_by_role("radio", name="Begin anew with it").click()
    expect(pace).to_contain_text("The unfinished answer is dropped")
    assert state(page, "s.doc.pace") == {"gather_ms": 1500, "while_busy": "interrupt"}
    page.keyboard.press("Control+z")
    assert state(page, "s.doc.pace") == {"gather_ms": 800, "while_busy": "queue"}


@pytest.mark.parametrize("language", ["en", "ru", "uk"])
def test_every_step_type_opens_with_every_field_shown(open_editor: Open, server: TalkServer, language: str) -> None:
    server.world.language = language
    page = open_editor()
    types = state(page, "s.catalog.node_types.map((t) => ({type: t.type, form: t.form}))")
    for i, kind in enumerate(types):
        filled = {f["key"]: [{"id": "r_1"}] for f in kind["form"] if f["widget"] == "list"}
        for f in kind["form"]:
            if f["widget"] == "select":
                filled[f["key"]] = f["options"][-1][0]
        node = {"type": kind["type"], "v": 1, "name": "", "note": "note", "enabled": False, "settings": filled}
        page.evaluate(
            "([id, node]) => patchcordEditor.dispatch([{kind: 'add_node', id, node, at: [0, 900]}])", [f"n_x{i}", node]
        )
        choose(page, f"n_x{i}")
        more = page.get_by_test_id("more-options")
        if more.count():
            more.click()
        help_button = page.get_by_test_id("step-help")
        help_button.click()
        expect(page.locator(".pp-help-text").first).to_be_visible()
        assert page.evaluate(UNNAMED) == [], kind["type"]
