"""The main story: somebody draws a flow, tries it, publishes it; somebody else talks to it by page and by API."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.end_to_end.whole.designer import Designer, open_dialog

pytestmark = pytest.mark.timeout(180, func_only=True)


def draw(me: Designer) -> dict[str, str]:
    """Eight steps with the mouse: a loop around a validation, a model, a choice."""
    me.create_agent("Flower shop")
    start = "n_start"
    hello = me.drag_in("send_message", 620, 250)
    me.connect(start, "next", hello)
    me.write("text", "Good day! This is Koval Flowers.")
    ask = me.add_after(hello, "next", "ask")
    me.write("text", "What would you like to order?")
    me.keep_in_new_variable("save_to", "Wish")
    me.see_everything()
    check = me.add_after(ask, "answered", "validate")
    me.field("variable").locator("select").select_option(label="Wish")
    me.page.get_by_test_id("add-rules").click()
    rule = me.field("rules")
    rule.locator("select").first.select_option("length")
    rule.locator("[data-testid$='.minimum'] input").fill("8")
    rule.locator("[data-testid$='.message'] [contenteditable=true]").click()
    me.page.keyboard.type("Please name the flowers, for example: eleven white roses.")
    me.see_everything()
    me.connect(check, "failed", ask)
    model = me.add_after(check, "ok", "prompt")
    me.write("system", "You take orders of a flower shop. Answer in one sentence.")
    me.see_everything()
    way = me.add_after(model, "next", "ask_choice")
    me.write("text", "Delivery or pick-up?")
    me.page.get_by_test_id("add-options").click()
    me.page.keyboard.type("Delivery")
    me.page.get_by_test_id("add-options").click()
    me.page.keyboard.type("Pick-up")
    options = me.state(f"s.doc.nodes['{way}'].settings.options.map((o) => o.id)")
    me.see_everything()
    there = me.add_after(way, options[0], "send_message")
    me.write("text", "We deliver today. You ordered: {{ var.wish }}.")
    me.see_everything()
    end = me.add_after(there, "next", "end")
    me.write("text", "Thank you and see you soon.")
    me.see_everything()
    me.connect(way, options[1], end)
    me.connect(way, "other", end)
    return {"hello": hello, "ask": ask, "check": check, "model": model, "way": way, "there": there, "end": end}


class Client:
    """Somebody on the web chat page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def hears(self, text: str) -> None:
        expect(self.page.locator("#log .agent .bubble", has_text=text).last).to_be_visible(timeout=20_000)

    def says(self, text: str) -> None:
        box = self.page.locator("#composer textarea")
        box.fill(text)
        box.press("Enter")

    def presses(self, label: str) -> None:
        self.page.get_by_role("button", name=label, exact=True).click()

    def lines(self) -> list[str]:
        """Everything in the log, in order, each message once."""
        return [" ".join(text.split()) for text in self.page.locator("#log .row .bubble").all_inner_texts()]


def test_draw_try_publish_answer(designer: Designer, client: Page) -> None:
    page = designer.page
    steps = draw(designer)
    designer.wait_saved()
    assert designer.state("Object.keys(s.doc.nodes).length") == 8

    undo_and_redo(designer, steps)
    fix_from_the_list(designer, steps)
    try_it(designer, steps)
    designer.publish("First version")
    expect(page.get_by_test_id("publish-button")).to_contain_text("1")

    talk_on_the_page(designer, client)
    talk_by_curl(designer)
    read_the_transcript(designer, steps)


def undo_and_redo(me: Designer, steps: dict[str, str]) -> None:
    me.select(steps["hello"])
    before = me.state(f"s.doc.nodes['{steps['hello']}'].settings.text")
    me.write("text", "Something else")
    me.wait_saved()
    me.page.get_by_test_id("board").focus()
    me.page.keyboard.press("Control+z")
    me.page.wait_for_function(
        f"patchcordEditor.store.getState().doc.nodes['{steps['hello']}'].settings.text === {json.dumps(before)}"
    )
    me.page.keyboard.press("Control+Shift+z")
    me.page.wait_for_function(
        f"patchcordEditor.store.getState().doc.nodes['{steps['hello']}'].settings.text === 'Something else'"
    )
    me.page.keyboard.press("Control+z")
    me.wait_saved()
    me.page.reload()
    me.wait_for_canvas()
    assert me.state(f"s.doc.nodes['{steps['hello']}'].settings.text") == before


def fix_from_the_list(me: Designer, steps: dict[str, str]) -> None:
    """The exit after too many attempts leads nowhere: the list says so and mends it."""
    page = me.page
    page.get_by_test_id("check-button").click()
    problems = page.get_by_test_id("problems")
    row = problems.get_by_role("listitem").filter(has_text="Too many attempts")
    expect(row).to_contain_text("leads nowhere")
    row.get_by_role("button", name="Add an End").click()
    expect(row).to_have_count(0)
    page.keyboard.press("Escape")
    assert me.state(f"s.doc.nodes[s.doc.edges['{steps['check']}.limit']].type") == "end"
    me.wait_saved()


def try_it(me: Designer, steps: dict[str, str]) -> None:
    """In the drawer: the loop turns once, the step that waits is lit, a button answers."""
    page = me.page
    page.get_by_test_id("test-button").click()
    me.hears("What would you like to order?")
    expect(me.card(steps["ask"])).to_have_attribute("data-run", "waiting")
    me.say("roses")
    me.hears("Please name the flowers")
    me.say("eleven white roses")
    me.hears("Delivery or pick-up?")
    expect(me.card(steps["way"])).to_have_attribute("data-run", "waiting")
    expect(me.card(steps["model"])).to_have_attribute("data-run", "done")
    page.get_by_test_id("test-log").get_by_role("button", name="Delivery", exact=True).click()
    me.hears("You ordered: eleven white roses.")
    me.hears("Thank you and see you soon.")


def talk_on_the_page(me: Designer, page: Page) -> None:
    """Somebody answers, reloads in the middle, goes on, and reads everything exactly once."""
    visitor = Client(page)
    page.goto(f"{me.url}/chat/{me.state('s.agent.public_id')}")
    visitor.hears("What would you like to order?")
    visitor.says("roses")
    visitor.hears("Please name the flowers")
    before = visitor.lines()
    page.reload()
    visitor.hears("Please name the flowers")
    assert visitor.lines()[: len(before)] == before
    visitor.says("a bunch of tulips")
    visitor.hears("Delivery or pick-up?")
    page.reload()
    visitor.hears("Delivery or pick-up?")
    visitor.presses("Delivery")
    visitor.hears("We deliver today. You ordered: a bunch of tulips.")
    visitor.hears("Thank you and see you soon.")
    expect(page.locator("#over")).to_be_visible()
    lines = visitor.lines()
    assert lines.count("Good day! This is Koval Flowers.") == 1
    assert lines.count("What would you like to order?") == 2  # the loop
    assert lines.count("a bunch of tulips") == 1
    assert len([line for line in lines if line.startswith("Thank you")]) == 1


def talk_by_curl(me: Designer) -> None:
    """The same flow over REST, with a key made on the page and the commands a programmer types."""
    page = me.page
    agent = me.agent_id
    page.goto(f"{me.url}/api-keys")
    open_dialog(page, "create-api-key", "#key-name")
    page.locator("#key-name").fill("Site back end")
    page.get_by_test_id("save-api-key").click()
    field = page.get_by_label("The new key")
    expect(field).to_have_value(re.compile("^pck_"))
    key = field.input_value()
    page.reload()
    expect(page.get_by_text("Site back end").first).to_be_visible()
    assert key not in page.content()

    begun = curl(me, key, "POST", f"/api/v1/agents/{agent}/conversations", {"external_user_id": "4711"})
    conversation = begun["conversation_id"]
    assert [m["text"] for m in begun["messages"]][-1] == "What would you like to order?"
    told = curl(me, key, "POST", f"/api/v1/conversations/{conversation}/messages", {"text": "seven red peonies"})
    assert told["messages"][-1]["text"] == "Delivery or pick-up?"
    option = told["messages"][-1]["parts"][0]["options"][1]
    over = curl(me, key, "POST", f"/api/v1/conversations/{conversation}/messages", {"option_id": option["id"]})
    assert over["messages"][-1]["text"] == "Thank you and see you soon."
    assert over["status"] == "ended"
    refused = curl(me, "pck_wrong", "GET", "/api/v1/agents")
    assert refused["status"] == 401


def curl(me: Designer, key: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The answer of the program `curl`."""
    command = ["curl", "-sS", "-X", method, "-H", f"Authorization: Bearer {key}", f"{me.url}{path}"]
    if body is not None:
        command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)


def read_the_transcript(me: Designer, steps: dict[str, str]) -> None:
    """Conversations shows what was said, and beside each message the step that said it."""
    page = me.page
    page.goto(f"{me.url}/conversations")
    page.locator(".ps-row", has_text="Web chat").locator(".ps-talk").first.click()
    transcript = page.locator(".ps-transcript")
    expect(transcript).to_contain_text("We deliver today. You ordered: a bunch of tulips.")
    said = transcript.locator(".ps-message", has_text="Please name the flowers").first
    link = said.locator("a.ps-step")
    expect(link).to_contain_text("Validate")
    link.click()
    me.wait_for_canvas()
    page.wait_for_function(f"patchcordEditor.store.getState().selection[0] === '{steps['check']}'")
