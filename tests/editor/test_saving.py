"""Edits reach the server once, whatever happens to the connection, the tab or the other editor."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext, Page

from tests.editor.conftest import state, wait_saved
from tests.editor.fake_server import FakeServer

Open = Callable[..., Page]
TYPE = "[data-testid=inspector] [data-path=text], [data-testid=field-text] textarea"


def dispatch(page: Page, *edits: dict[str, Any]) -> None:
    """Change the document as the screen does."""
    page.evaluate("(edits) => patchcordEditor.dispatch(edits)", list(edits))


def rename(node: str, name: str) -> dict[str, Any]:
    return {"kind": "change_node", "id": node, "name": name}


def text_of(server: FakeServer, node: str = "n_hello") -> Any:
    return server.world.drafts["flow-lead"].flow.nodes[node].settings.get("text")


def name_of(server: FakeServer, node: str = "n_hello") -> str:
    return server.world.drafts["flow-lead"].flow.nodes[node].name


def test_typing_is_saved_within_a_second_and_says_so(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    dispatch(page, {"kind": "change_settings", "id": "n_hello", "set": {"text": "Good day"}})
    page.wait_for_selector("[data-testid=saved][data-state=saved] >> text=Saved")
    assert text_of(server) == "Good day"


def test_edits_made_quickly_leave_as_one_batch(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    for word in ("G", "Go", "Goo", "Good"):
        dispatch(page, {"kind": "change_settings", "id": "n_hello", "set": {"text": word}})
    wait_saved(page)
    assert server.world.drafts["flow-lead"].revision == 2
    assert len(server.world.drafts["flow-lead"].log[0][4]) == 1


def test_a_lost_acknowledgement_is_asked_for_again_and_applied_once(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    server.world.faults.add("lose_ack")
    dispatch(page, rename("n_hello", "Once"))
    page.wait_for_timeout(400)
    assert state(page, "s.pending") == 1
    server.cut_sockets()
    wait_saved(page)
    assert name_of(server) == "Once"
    assert server.world.drafts["flow-lead"].revision == 2


def test_a_tab_closed_at_once_still_saves(server: FakeServer, open_editor: Open, context: BrowserContext) -> None:
    page = open_editor()
    dispatch(page, rename("n_hello", "Just in time"))
    page.goto("about:blank")
    page.close()
    again = open_editor()
    assert state(again, "s.doc.nodes.n_hello.name") == "Just in time"
    assert name_of(server) == "Just in time"


def test_work_done_offline_survives_the_end_of_the_tab(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    server.world.faults |= {"refuse_socket", "refuse_http"}
    server.cut_sockets()
    page.wait_for_selector("[data-testid=offline]")
    dispatch(page, rename("n_hello", "Kept here"))
    assert "kept on this computer" in page.inner_text("[data-testid=saved]")
    page.reload(wait_until="commit")
    server.world.faults.clear()
    page.goto(server.address("flow-lead"))
    page.wait_for_function("globalThis.patchcordEditor?.store.getState().phase === 'ready'")
    assert state(page, "s.doc.nodes.n_hello.name") == "Kept here"
    assert name_of(server) == "Kept here"


def test_a_change_by_somebody_else_appears_and_mine_stays(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    dispatch(page, rename("n_need", "Mine"))
    server.world.edit_as_somebody("flow-lead", [rename("n_hello", "Theirs")])
    page.wait_for_function("patchcordEditor.store.getState().doc.nodes.n_hello.name === 'Theirs'")
    wait_saved(page)
    assert (name_of(server), name_of(server, "n_need")) == ("Theirs", "Mine")


def clash(server: FakeServer, page: Page) -> None:
    """The server has another name for the same step before ours arrives."""
    page.evaluate("patchcordEditor.hold(true)")
    dispatch(page, rename("n_hello", "Mine"), rename("n_need", "No clash"))
    draft = server.world.drafts["flow-lead"]
    tabs, draft.tabs = draft.tabs, {}
    server.world.edit_as_somebody("flow-lead", [rename("n_hello", "Theirs")])
    draft.tabs = tabs
    page.evaluate("patchcordEditor.hold(false)")
    page.wait_for_selector("[data-testid=clash]")


def test_a_clash_asks_and_keeps_mine(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    clash(server, page)
    page.click("[data-testid=keep-mine]")
    wait_saved(page)
    assert (name_of(server), name_of(server, "n_need")) == ("Mine", "No clash")


def test_a_clash_asks_and_keeps_theirs(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    clash(server, page)
    page.click("[data-testid=keep-theirs]")
    wait_saved(page)
    assert state(page, "s.doc.nodes.n_hello.name") == "Theirs"
    assert (name_of(server), name_of(server, "n_need")) == ("Theirs", "No clash")


def test_a_step_deleted_elsewhere_takes_my_change_with_it_and_says_so(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    page.evaluate("patchcordEditor.hold(true)")
    dispatch(page, rename("n_hello", "Mine"), rename("n_need", "No clash"))
    draft = server.world.drafts["flow-lead"]
    tabs, draft.tabs = draft.tabs, {}
    server.world.edit_as_somebody("flow-lead", [{"kind": "remove_node", "id": "n_hello"}])
    draft.tabs = tabs
    page.evaluate("patchcordEditor.hold(false)")
    page.wait_for_selector("text=Somebody else has deleted a step")
    wait_saved(page)
    assert "n_hello" not in state(page, "s.doc.nodes")
    assert name_of(server, "n_need") == "No clash"


def test_undo_never_takes_back_what_somebody_else_did(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    dispatch(page, rename("n_hello", "Mine"))
    wait_saved(page)
    server.world.edit_as_somebody("flow-lead", [rename("n_hello", "Theirs")])
    page.wait_for_function("patchcordEditor.store.getState().doc.nodes.n_hello.name === 'Theirs'")
    page.focus("[data-testid=board]")
    page.keyboard.press("Control+z")
    page.wait_for_selector("text=Not undone")
    assert state(page, "s.doc.nodes.n_hello.name") == "Theirs"


def test_undo_and_redo_walk_through_the_entries_and_survive_a_reload(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    dispatch(page, rename("n_hello", "One"))
    dispatch(page, {"kind": "remove_node", "id": "n_need"})
    wait_saved(page)
    page.focus("[data-testid=board]")
    page.keyboard.press("Control+z")
    assert state(page, "Object.keys(s.doc.nodes).length") == 10
    assert state(page, "s.doc.edges['n_hello.next']") == "n_need"
    page.keyboard.press("Control+y")
    assert state(page, "Object.keys(s.doc.nodes).length") == 9
    wait_saved(page)
    page.reload()
    page.wait_for_function("globalThis.patchcordEditor?.store.getState().link === 'online'")
    page.focus("[data-testid=board]")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert state(page, "s.doc.nodes.n_hello.name") == "Greeting"
    wait_saved(page)
    assert name_of(server) == "Greeting"


def test_the_page_works_without_sockets(server: FakeServer, open_editor: Open, context: BrowserContext) -> None:
    page = open_editor()
    server.world.faults.add("refuse_socket")
    server.cut_sockets()
    dispatch(page, rename("n_hello", "Over HTTP"))
    wait_saved(page)
    assert name_of(server) == "Over HTTP"
