"""axe finds no serious fault in the editor, in both themes, with everything open."""

from collections.abc import Callable

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Page


def faults(page: Page) -> list[str]:
    """Serious and critical findings, in words."""
    found = Axe().run(page)["violations"]
    return [f"{v['id']}: {n['target']} {n['failureSummary']}" for v in found if v["impact"] in ("serious", "critical") for n in v["nodes"]]  # fmt: skip


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_editor_has_no_serious_faults(open_editor: Callable[..., Page], theme: str) -> None:
    page = open_editor()
    page.evaluate("(t) => localStorage.setItem('theme', t)", theme)
    page.reload()
    page.wait_for_function("globalThis.patchcordEditor?.store.getState().phase === 'ready'")
    page.evaluate("""patchcordEditor.store.setState({selection: ['n_need'], panels: {palette: true, problems: true},
        run: {conversationId: '', steps: {n_hello: 'done', n_need: 'waiting'}, path: {'n_hello.next': true}}})""")
    page.wait_for_selector("[data-testid=palette]")
    page.wait_for_timeout(300)
    assert faults(page) == []
    page.evaluate("patchcordEditor.store.setState({panels: {outline: true, find: true}, selection: []})")
    page.wait_for_selector("[data-testid=outline]")
    assert faults(page) == []
    page.evaluate("patchcordEditor.store.setState({panels: {shortcuts: true}})")
    page.wait_for_selector("[data-testid=shortcuts]")
    assert faults(page) == []


def test_an_empty_canvas_has_no_serious_faults(open_editor: Callable[..., Page]) -> None:
    page = open_editor("flow-empty")
    page.wait_for_selector("[data-testid=empty]")
    assert faults(page) == []
