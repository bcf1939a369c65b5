"""What people do on the canvas with a mouse and with a keyboard, and what of it reaches the server."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Locator, Page

from graph_runtime.contract.flow import Flow
from tests.editor.conftest import state, wait_saved
from tests.editor.fake_server import FakeServer

Open = Callable[..., Page]


def flow_of(server: FakeServer, page: Page, flow_id: str = "flow-lead") -> Flow:
    """The draft on the server once everything is saved."""
    wait_saved(page)
    return server.world.drafts[flow_id].flow


def middle(locator: Locator) -> tuple[float, float]:
    box = locator.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=6)
    page.mouse.move(*end, steps=6)
    page.mouse.up()


def card(page: Page, node: str) -> Locator:
    return page.locator(f"[data-testid=card-{node}]")


def port(page: Page, node: str, name: str) -> Locator:
    return card(page, node).locator(f".pc-out[data-handleid={name}]")


def wire(page: Page, port: str) -> Locator:
    return page.locator(f".react-flow__edge[data-id='{port}'] .react-flow__edge-interaction")


def test_a_drag_is_one_small_message(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    server.world.received.clear()
    x, y = middle(card(page, "n_hello").locator("header"))
    drag(page, (x, y), (x + 40, y + 120))
    at = flow_of(server, page).layout.nodes["n_hello"]
    assert at[0] > 360
    assert at[1] > 80
    assert all(c % 8 == 0 for c in at)
    sizes = [size for _, size in server.world.received]
    assert sum(sizes) <= 1024
    assert server.world.drafts["flow-lead"].revision == 2


def test_a_wire_is_drawn_from_an_exit_to_a_card(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    drag(page, middle(port(page, "n_need", "other")), middle(card(page, "n_hello").locator(".pc-card-story")))
    assert flow_of(server, page).edges["n_need.other"] == "n_hello"


def test_a_wire_dropped_on_empty_canvas_asks_what_comes_next(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    x, y = middle(port(page, "n_need", "other"))
    drag(page, (x, y), (x - 200, y + 150))
    page.wait_for_selector("[data-testid=picker]")
    page.keyboard.type("mess")
    page.keyboard.press("Enter")
    flow = flow_of(server, page)
    added = flow.edges["n_need.other"]
    assert flow.nodes[added].type == "send_message"
    assert state(page, "s.selection[0]") == added


def test_escape_leaves_the_picker_and_nothing_changes(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    x, y = middle(port(page, "n_need", "other"))
    drag(page, (x, y), (x - 200, y + 150))
    page.wait_for_selector("[data-testid=picker]")
    page.keyboard.press("Escape")
    assert page.locator("[data-testid=picker]").count() == 0
    assert server.world.drafts["flow-lead"].revision == 1


def test_plus_on_an_open_exit_and_on_a_wire(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    card(page, "n_need").hover()
    card(page, "n_need").locator("[data-add-after='n_need.other']").click()
    page.click("[data-testid=pick-end]")
    x, y = middle(wire(page, "n_hello.next"))
    page.mouse.move(x, y)
    page.wait_for_selector(".pc-wire-add")
    page.mouse.click(x, y)
    page.click("[data-testid=pick-ask]")
    flow = flow_of(server, page)
    between = flow.edges["n_hello.next"]
    assert flow.nodes[flow.edges["n_need.other"]].type == "end"
    assert flow.nodes[between].type == "ask"
    assert flow.edges[f"{between}.answered"] == "n_need"
    assert flow.layout.nodes["n_need"][0] > flow.layout.nodes[between][0] >= 360 + 264
    page.focus("[data-testid=board]")
    page.keyboard.press("Control+z")
    assert flow_of(server, page).edges["n_hello.next"] == "n_need"
    assert flow_of(server, page).layout.nodes["n_need"] == (720, 80)


def test_a_step_dragged_from_the_palette_onto_a_wire_is_inserted(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    page.click("[data-testid=palette-toggle]")
    source = page.locator("[data-testid=palette] [data-testid=add-set_variable]")
    source.scroll_into_view_if_needed()
    drag(page, middle(source), middle(wire(page, "n_hello.next")))
    flow = flow_of(server, page)
    between = flow.edges["n_hello.next"]
    assert flow.nodes[between].type == "set_variable"
    assert flow.edges[f"{between}.next"] == "n_need"


def test_a_step_deleted_in_the_middle_leaves_the_line_closed(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    card(page, "n_hello").click()
    page.focus("[data-testid=board]")
    page.keyboard.press("Delete")
    flow = flow_of(server, page)
    assert "n_hello" not in flow.nodes
    assert flow.edges["n_start.next"] == "n_need"
    page.click(".pc-toast >> text=Undo")
    restored = flow_of(server, page)
    assert (restored.edges["n_start.next"], restored.edges["n_hello.next"]) == ("n_hello", "n_need")


def test_copies_get_new_ids_and_point_to_each_other_in_another_flow(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    page.focus("[data-testid=board]")
    page.evaluate("patchcordEditor.store.setState({selection: ['n_budget', 'n_big']})")
    text = page.evaluate("""() => { const d = new DataTransfer();
        document.body.dispatchEvent(new ClipboardEvent('copy', {clipboardData: d, bubbles: true, cancelable: true}));
        return d.getData('text/plain'); }""")
    other = open_editor("flow-empty")
    other.evaluate(
        """(text) => { const d = new DataTransfer(); d.setData('text/plain', text);
        document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData: d, bubbles: true, cancelable: true})); }""",
        text,
    )
    flow = flow_of(server, other, "flow-empty")
    assert sorted(n.type for n in flow.nodes.values()) == ["ask", "branch"]
    assert not {"n_budget", "n_big"} & set(flow.nodes)
    ask = next(i for i, n in flow.nodes.items() if n.type == "ask")
    branch = next(i for i, n in flow.nodes.items() if n.type == "branch")
    assert flow.edges == {f"{ask}.answered": branch}
    assert flow.variables["budget"].label == "Budget"


def test_steps_chosen_with_a_frame_are_copied_and_cover_nobody(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    board = page.get_by_test_id("board").bounding_box()
    assert board is not None
    page.keyboard.down("Shift")
    drag(page, (board["x"] + 8, board["y"] + 8), (board["x"] + board["width"] - 8, board["y"] + board["height"] - 70))
    page.keyboard.up("Shift")
    chosen = state(page, "s.selection.length")
    assert chosen > 1
    assert page.evaluate("String(getSelection())") == "", "the frame marks the words of the screen"
    before = set(flow_of(server, page).nodes)
    page.keyboard.press("Control+c")
    page.keyboard.press("Control+v")
    page.wait_for_function(f"Object.keys(patchcordEditor.store.getState().doc.nodes).length === {len(before) + chosen}")
    places = flow_of(server, page).layout.nodes
    for new in set(places) - before:
        (x, y) = places[new]
        assert not [i for i in before if abs(places[i][0] - x) < 264 and abs(places[i][1] - y) < 50], new


def test_redo_survives_a_reload(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    page.evaluate("patchcordEditor.dispatch([{kind: 'change_node', id: 'n_hello', name: 'Welcome'}])")
    page.focus("[data-testid=board]")
    page.keyboard.press("Control+z")
    assert flow_of(server, page).nodes["n_hello"].name != "Welcome"
    page.reload()
    page.wait_for_selector("[data-testid=board]")
    page.wait_for_function("patchcordEditor.store.getState().canRedo")
    page.focus("[data-testid=board]")
    page.keyboard.press("Control+Shift+z")
    assert flow_of(server, page).nodes["n_hello"].name == "Welcome"


CROSSED = """() => {
    const cards = [...document.querySelectorAll('.react-flow__node')].map((n) => [n.dataset.id, n.getBoundingClientRect()]);
    return [...document.querySelectorAll('.react-flow__edge')].flatMap((edge) => {
        const line = edge.querySelector('.pc-wire-line'), matrix = line.getScreenCTM(), length = line.getTotalLength();
        const points = [...Array(200).keys()].map((i) => line.getPointAtLength((length * i) / 199).matrixTransform(matrix));
        return cards.filter(([id, box]) => points.some((p) =>
            p.x > box.left + 8 && p.x < box.right - 8 && p.y > box.top + 8 && p.y < box.bottom - 8))
            .map(([id]) => `${edge.dataset.id} behind ${id}`);
    });
}"""


def test_a_long_wire_runs_around_the_cards_in_its_way(server: FakeServer, open_editor: Open) -> None:
    page = open_editor("flow-empty")
    nodes = [f"n_{i}" for i in range(4)]
    added = [
        {"kind": "add_node", "id": i, "node": {"type": "ask", "v": 1, "settings": {"text": "?"}}, "at": [n * 360, 0]}
        for n, i in enumerate(nodes)
    ]
    wires = [
        {"kind": "connect", "port": "n_0.answered", "target": "n_1"},
        {"kind": "connect", "port": "n_0.invalid", "target": "n_3"},
        {"kind": "connect", "port": "n_3.invalid", "target": "n_0"},
    ]
    page.evaluate("(edits) => patchcordEditor.dispatch(edits)", added + wires)
    page.focus("[data-testid=board]")
    page.keyboard.press("Shift+1")
    page.wait_for_function("document.querySelectorAll('.react-flow__edge').length === 3")
    page.wait_for_timeout(300)  # the camera's own glide
    assert page.evaluate(CROSSED) == []


def test_everything_from_an_empty_canvas_by_keyboard_alone(server: FakeServer, open_editor: Open) -> None:
    page = open_editor("flow-empty")
    page.focus("[data-testid=empty-start]")
    page.keyboard.press("Enter")
    page.focus("[data-testid=board]")
    page.keyboard.press("Tab")
    page.keyboard.type("choice")
    page.keyboard.press("Enter")
    # Typing faster than a busy machine draws is no question of this test.
    page.wait_for_selector("[data-testid=palette]", state="detached")
    page.wait_for_function(
        "((s) => s.doc.nodes[s.selection[0]]?.type === 'ask_choice')(patchcordEditor.store.getState())"
    )
    page.keyboard.press("F2")
    page.wait_for_function("document.activeElement.matches('input, textarea')")
    page.keyboard.type("What do you need?")
    page.keyboard.press("Enter")
    flow = flow_of(server, page, "flow-empty")
    by_type = {n.type: i for i, n in flow.nodes.items()}
    assert flow.entry["message"] == by_type["start"]
    assert flow.edges[f"{by_type['start']}.next"] == by_type["send_message"]
    assert flow.edges[f"{by_type['send_message']}.next"] == by_type["ask_choice"]
    assert flow.nodes[by_type["ask_choice"]].name == "What do you need?"
    page.focus("[data-testid=board]")
    page.keyboard.press("ArrowLeft")
    assert state(page, "s.selection[0]") == by_type["send_message"]


def test_tidy_up_is_one_undo_entry_and_nothing_overlaps(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    before = flow_of(server, page).layout.nodes
    page.click("[aria-label='Tidy up']")
    page.wait_for_function("patchcordEditor.store.getState().canUndo")
    after = flow_of(server, page).layout.nodes
    assert after != before
    places = list(after.values())
    assert not any(abs(a[0] - b[0]) < 264 and abs(a[1] - b[1]) < 60 for i, a in enumerate(places) for b in places[:i])
    page.focus("[data-testid=board]")
    page.keyboard.press("Control+z")
    assert flow_of(server, page).layout.nodes == before


def test_a_broken_wire_stays_visible(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    options = [{"id": "c_help", "label": "I need help"}]
    page.evaluate(
        "(o) => patchcordEditor.dispatch([{kind: 'change_settings', id: 'n_need', set: {options: o}}])", options
    )
    page.wait_for_selector("[data-testid=card-n_need] li[data-broken] >> text=no longer exists")
    assert flow_of(server, page).edges["n_need.c_buy"] == "n_budget"


def test_find_and_replace_changes_texts_not_ids(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    page.keyboard.press("Control+f")
    page.keyboard.type("plan")
    page.wait_for_selector("[data-testid=find] output >> text=of 2")
    page.fill("[data-testid=find] input >> nth=1", "tariff")
    page.click("[data-testid=find] >> text=Replace all")
    flow = flow_of(server, page)
    assert flow.nodes["n_hello"].settings["text"] == "Hello! I help to choose a tariff. It takes two minutes."
    assert flow.nodes["n_std"].settings["text"].endswith("the basic tariff fits most teams.")


def test_a_narrow_window_only_shows(server: FakeServer, open_editor: Open) -> None:
    page = open_editor()
    page.set_viewport_size({"width": 1000, "height": 700})
    page.wait_for_selector("text=View only: widen")
    assert page.evaluate("patchcordEditor.dispatch([{kind: 'remove_node', id: 'n_hello'}])") is False
    assert server.world.drafts["flow-lead"].revision == 1
