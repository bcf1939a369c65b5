"""What goes wrong around an editor: two tabs, a double click, a session that ended, a hand without a mouse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, WebSocketRoute, expect

from tests.end_to_end.whole.conftest import OWNER
from tests.end_to_end.whole.designer import Designer
from tests.end_to_end.whole.stack import Stack

pytestmark = pytest.mark.timeout(120, func_only=True)


def text_of(me: Designer, node: str) -> str:
    return str(me.state(f"s.doc.nodes['{node}'].settings.text"))


class Line:
    """The socket of one tab; while it is held, frames of both directions wait."""

    def __init__(self, page: Page) -> None:
        self.is_held = False
        self._waiting: list[Callable[[], None]] = []
        self._tab: WebSocketRoute | None = None
        page.route_web_socket("**/ws/editor/**", self._opened)

    def _opened(self, tab: WebSocketRoute) -> None:
        self._tab = tab
        server = tab.connect_to_server()
        tab.on_message(lambda frame: self._pass(lambda: server.send(frame)))
        server.on_message(lambda frame: self._pass(lambda: tab.send(frame)))

    def _pass(self, send: Callable[[], None]) -> None:
        if self.is_held:
            self._waiting.append(send)
        else:
            send()

    def release(self) -> None:
        self.is_held = False
        waiting, self._waiting = self._waiting, []
        for send in waiting:
            send()

    def break_off(self) -> None:
        """What waits is lost; the tab may connect again."""
        assert self._tab is not None
        self.is_held = False
        self._waiting.clear()
        self._tab.close(code=4000)


def test_two_tabs_see_each_other_and_a_clash_is_asked_about(designer: Designer) -> None:
    designer.create_agent("Two tabs")
    hello = designer.add_after("n_start", "next", "send_message")
    designer.write("text", "From the first tab")
    designer.wait_saved()
    other = Designer(designer.url, designer.page.context.new_page())
    line = Line(other.page)
    other.page.goto(designer.page.url)
    other.wait_for_canvas()
    designer.page.bring_to_front()
    designer.write("text", "Changed in the first tab")
    wait_for_text(other, hello, "Changed in the first tab")

    other.page.bring_to_front()
    other.select(hello)
    line.is_held = True
    other.write("text", "Mine, typed meanwhile")
    designer.page.bring_to_front()
    designer.write("text", "Theirs, saved first")
    designer.wait_saved()
    other.page.bring_to_front()
    line.release()
    clash = other.page.get_by_test_id("clash")
    expect(clash).to_contain_text("Mine, typed meanwhile")
    expect(clash).to_contain_text("Theirs, saved first")
    other.page.get_by_test_id("keep-mine").click()
    other.wait_saved()
    wait_for_text(designer, hello, "Mine, typed meanwhile")
    assert text_of(other, hello) == "Mine, typed meanwhile"


def wait_for_text(me: Designer, node: str, text: str) -> None:
    """The tab shows that text in the step."""
    me.page.wait_for_function(
        "([node, text]) => patchcordEditor.store.getState().doc.nodes[node].settings.text === text", arg=[node, text]
    )


def test_a_double_click_on_publish_makes_one_version(designer: Designer) -> None:
    designer.create_agent("Double click")
    designer.add_after("n_start", "next", "end")
    designer.wait_saved()
    page = designer.page
    page.get_by_test_id("publish-button").click()
    page.get_by_test_id("publish-now").dblclick()
    expect(page.get_by_test_id("published")).to_be_visible()
    again = page.evaluate(
        """async (flow) => Promise.all([1, 2].map(() => fetch(`/api/builder/flows/${flow}/publish`, {method: 'POST',
             headers: {'Content-Type': 'application/json'},
             body: JSON.stringify({revision: patchcordEditor.store.getState().revision, comment: ''})})
             .then((answer) => answer.json())))""",
        designer.flow_id,
    )
    assert [answer["number"] for answer in again] == [1, 1]
    versions = page.evaluate(
        "(flow) => fetch(`/api/builder/flows/${flow}/versions`).then((a) => a.json())", designer.flow_id
    )
    listed = versions if isinstance(versions, list) else versions["versions"]
    assert [version["number"] for version in listed if version["number"]] == [1]


def test_an_ended_session_leads_to_signing_in_and_back_with_everything_typed(
    stack: Stack, owner: Path, new_context: Callable[..., BrowserContext]
) -> None:
    context = new_context()
    page = context.new_page()
    line = Line(page)
    page.goto(f"{stack.url}/login")
    me = Designer(stack.url, page)
    sign_in(me)
    page.wait_for_url(f"{stack.url}/")
    me.create_agent("Ended session")
    hello = me.add_after("n_start", "next", "send_message")
    me.wait_saved()
    where = page.url
    line.is_held = True
    assert page.evaluate("() => fetch('/api/session', {method: 'DELETE'}).then((a) => a.status)") in (200, 204)
    me.write("text", "Typed after the session ended")
    page.wait_for_function("patchcordEditor.store.getState().pending > 0")
    line.break_off()
    page.wait_for_url("**/login**")
    sign_in(me)
    page.wait_for_url(where, timeout=30_000)
    me.wait_for_canvas()
    wait_for_text(me, hello, "Typed after the session ended")
    me.wait_saved()
    page.reload()
    me.wait_for_canvas()
    assert text_of(me, hello) == "Typed after the session ended"


def sign_in(me: Designer) -> None:
    """At the door."""
    for name in ("email", "password"):
        me.page.fill(f"input[name={name}]", OWNER[name])
    me.page.get_by_test_id("sign-in").click()


def test_a_step_is_added_and_connected_with_the_keyboard_alone(designer: Designer) -> None:
    designer.create_agent("Keyboard")
    page = designer.page
    page.get_by_test_id("board").focus()
    page.keyboard.press("ArrowRight")
    assert designer.selected() == "n_start"
    page.keyboard.press("Tab")
    page.keyboard.type("message")
    page.keyboard.press("Enter")
    page.wait_for_function("!!patchcordEditor.store.getState().doc.edges['n_start.next']")
    hello = str(designer.state("s.doc.edges['n_start.next']"))
    assert designer.state(f"s.doc.nodes['{hello}'].type") == "send_message"
    exit_ = page.get_by_test_id("inspector").get_by_test_id("exit-next")
    exit_.focus()
    page.keyboard.press("ArrowDown")  # the first step of the list: the message itself
    page.wait_for_function(f"patchcordEditor.store.getState().doc.edges['{hello}.next'] === '{hello}'")
    designer.wait_saved()
    kept = page.evaluate("(flow) => fetch(`/api/builder/flows/${flow}`).then((a) => a.json())", designer.flow_id)
    assert kept["flow"]["edges"] == {"n_start.next": hello, f"{hello}.next": hello}, json.dumps(kept["flow"]["edges"])
