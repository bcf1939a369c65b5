"""What the person who draws flows does with mouse and keyboard, and what the screen then says."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import FloatRect, Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

STATE = "patchcordEditor.store.getState()"


def open_dialog(page: Page, button: str, field: str) -> None:
    """Press a button until its dialog shows: a button drawn by the server does nothing before the page is awake."""
    for _ in range(10):
        try:
            if not page.locator(field).first.is_visible():
                page.get_by_test_id(button).click(timeout=3_000)
            page.locator(field).first.wait_for(timeout=3_000)
        except PlaywrightTimeout:
            continue
        return
    raise AssertionError(f"{button} opens nothing")


class Designer:
    """One tab of a signed-in member."""

    def __init__(self, url: str, page: Page) -> None:
        self.url = url
        self.page = page

    def create_agent(self, name: str, template: str = "Empty canvas") -> str:
        """From the list of agents to the open canvas; the flow's id."""
        page = self.page
        page.goto(self.url)
        open_dialog(page, "create-agent", "#agent-name")
        page.locator("#agent-name").fill(name)
        page.get_by_role("radio", name=template).click()
        expect(page.get_by_role("radio", name=template)).to_be_checked()
        page.get_by_test_id("create-submit").click()
        self.wait_for_canvas()
        return self.flow_id

    def wait_for_canvas(self) -> None:
        """The flow is on the screen and the server is there."""
        self.page.get_by_test_id("board").wait_for(timeout=30_000)
        self.page.wait_for_function(f"{STATE}.link === 'online'")

    @property
    def flow_id(self) -> str:
        """Of the open canvas."""
        return self.page.url.rsplit("/", 1)[-1].partition("?")[0]

    @property
    def agent_id(self) -> str:
        """Of the open canvas."""
        found = re.search(r"/agents/([^/]+)/flow/", self.page.url)
        assert found
        return found[1]

    def state(self, expression: str) -> Any:
        """A value of the editor; `s` is its state."""
        return self.page.evaluate(f"(() => {{ const s = {STATE}; return {expression}; }})()")

    def selected(self) -> str:
        """The id of the one selected step."""
        return str(self.state("s.selection[0]"))

    # -- the canvas ----------------------------------------------------------------------------------------------

    def card(self, node: str) -> Locator:
        return self.page.get_by_test_id(f"card-{node}")

    def port(self, node: str, name: str) -> Locator:
        return self.card(node).locator(f".pc-out[data-handleid='{name}']")

    def drag_in(self, step: str, x: float, y: float) -> str:
        """Drag a step from the palette to a place in the window; its id."""
        if not self.page.get_by_test_id("palette").is_visible():
            self.page.get_by_test_id("palette-toggle").click()
        source = self.page.get_by_test_id("palette").get_by_test_id(f"add-{step}")
        source.scroll_into_view_if_needed()
        before = set(self.state("Object.keys(s.doc.nodes)"))
        self.drag(middle(source), (x, y))
        self.page.wait_for_function(f"Object.keys({STATE}.doc.nodes).length === {len(before) + 1}")
        (added,) = set(self.state("Object.keys(s.doc.nodes)")) - before
        self.page.get_by_test_id("palette-toggle").click()  # gives its room back
        return str(added)

    def connect(self, node: str, port: str, target: str) -> None:
        """Draw a wire from an exit to a step."""
        self.drag(middle(self.port(node, port)), middle(self.card(target).locator("header")))
        self.page.wait_for_function(f"{STATE}.doc.edges['{node}.{port}'] === '{target}'")

    def add_after(self, node: str, port: str, step: str) -> str:
        """The "+" of an open exit, then the step in the list that appears; its id."""
        self.card(node).hover()
        self.card(node).locator(f"[data-add-after='{node}.{port}']").click()
        self.page.get_by_test_id(f"pick-{step}").click()
        self.page.wait_for_function(f"!!{STATE}.doc.edges['{node}.{port}']")
        return str(self.state(f"s.doc.edges['{node}.{port}']"))

    def after(self, node: str, step: str) -> str:
        """With the keyboard alone: Tab on a step, the first letters of the next one, Enter; its id."""
        before = set(self.state("Object.keys(s.doc.nodes)"))
        self.page.wait_for_function(f"{STATE}.selection[0] === '{node}'")
        self.page.get_by_test_id("board").focus()
        self.page.keyboard.press("Tab")
        self.page.get_by_test_id("picker").wait_for()
        self.page.keyboard.type(step)
        self.page.keyboard.press("Enter")
        self.page.wait_for_function(f"Object.keys({STATE}.doc.nodes).length === {len(before) + 1}")
        (added,) = set(self.state("Object.keys(s.doc.nodes)")) - before
        self.page.locator(f"[data-testid=inspector][data-node='{added}']").wait_for()
        return str(added)

    def tidy(self) -> None:
        """Shift+T: the program lays the steps out."""
        self.page.get_by_test_id("board").focus()
        self.page.keyboard.press("Shift+T")

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """With the mouse, as a hand does it."""
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=6)
        mouse.move(*end, steps=6)
        mouse.up()

    def select(self, node: str) -> None:
        """A click on the card: its settings open."""
        self.card(node).locator("header").click()
        self.page.locator(f"[data-testid=inspector][data-node='{node}']").wait_for()

    def see_everything(self) -> None:
        """Fit the flow into the window."""
        self.page.get_by_test_id("board").focus()
        self.page.keyboard.press("Shift+1")
        self.page.wait_for_timeout(250)  # the camera's own glide

    # -- the settings of a step ----------------------------------------------------------------------------------

    def field(self, path: str) -> Locator:
        return self.page.get_by_test_id("inspector").get_by_test_id(f"field-{path}")

    def write(self, path: str, text: str) -> None:
        """Type a text into a field, replacing what is there."""
        box = self.field(path).locator("[contenteditable=true], input, textarea").first
        box.click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)

    def keep_in_new_variable(self, path: str, label: str) -> None:
        """Choose "New variable" and name it."""
        self.field(path).locator("select").select_option("__new__")
        self.page.get_by_test_id("new-variable-name").fill(label)
        self.page.get_by_test_id("new-variable-make").click()

    def rename(self, name: str) -> None:
        """The step that is open."""
        self.page.get_by_test_id("step-name").fill(name)

    def leave_by(self, port: str, step: str) -> None:
        """Choose in the side panel where an exit leads."""
        exits = self.page.get_by_test_id("inspector").get_by_test_id(f"exit-{port}")
        exits.select_option(label=step)

    def add_data(self, path: str, data: str, of_step: str = "") -> None:
        """At the end of a text: "{", the first letters of what is meant, Enter."""
        box = self.field(path).locator("[contenteditable=true]")
        box.click()
        self.page.keyboard.press("Control+End")
        self.page.keyboard.type("{" + data)
        menu = self.page.get_by_test_id("data-menu")
        wanted = menu.get_by_role("option").filter(
            has=self.page.locator("b", has_text=re.compile(f"^{re.escape(data)}$"))
        )
        wanted.first.wait_for()
        if of_step:
            groups = menu.locator("li")
            texts = groups.evaluate_all(
                "all => all.map((li) => [li.dataset.group ?? '', li.querySelector('b')?.textContent])"
            )
            group, place = "", -1
            for number, (head, label) in enumerate(texts):
                group = head or group
                if of_step in group and label == data:
                    place = number
            groups.nth(place).click()
        else:
            wanted.first.click()
        menu.wait_for(state="detached")

    def choose_data(self, path: str, data: str, of_step: str = "") -> None:
        """A text that is one piece of data and nothing else."""
        self.field(path).locator("[contenteditable=true]").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.press("Delete")
        self.add_data(path, data, of_step)

    def write_field(self, row: int, label: str) -> None:
        """One more row of what is written to a customer system: its field, chosen from the account's."""
        self.page.get_by_test_id("add-values").click()
        self.field(f"values.{row}.field").locator("select").select_option(label=label)

    # -- saving, testing, publishing -----------------------------------------------------------------------------

    def wait_saved(self) -> None:
        """The header says so, and nothing is on its way."""
        self.page.wait_for_function(f"{STATE}.pending === 0")
        expect(self.page.get_by_test_id("saved")).to_contain_text(re.compile("saved", re.IGNORECASE))

    def say(self, text: str) -> None:
        """In the test drawer."""
        box = self.page.get_by_test_id("test-say")
        box.fill(text)
        box.press("Enter")

    def hears(self, text: str) -> None:
        """In the test drawer."""
        said = self.page.get_by_test_id("test-log").get_by_test_id("bubble-agent").filter(has_text=text)
        expect(said.last).to_be_visible(timeout=15_000)

    def publish(self, comment: str = "") -> None:
        """Open the panel, publish, come back."""
        self.page.get_by_test_id("publish-button").click()
        if comment:
            self.page.locator("#pp-comment").fill(comment)
        self.page.get_by_test_id("publish-now").click()
        expect(self.page.get_by_test_id("published")).to_be_visible(timeout=15_000)
        self.page.get_by_test_id("published").locator("footer button").click()


def middle(locator: Locator) -> tuple[float, float]:
    """The middle of an element in the window."""
    box: FloatRect | None = locator.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
