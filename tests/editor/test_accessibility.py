"""axe finds no serious fault in the editor, in both themes, with everything open."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.axe import serious_now


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_editor_has_no_serious_faults(open_editor: Callable[..., Page], theme: str) -> None:
    page = open_editor()
    page.evaluate("(t) => localStorage.setItem('theme', t)", theme)
    page.reload()
    page.wait_for_function("globalThis.patchcordEditor?.store.getState().phase === 'ready'")
    page.evaluate("""patchcordEditor.store.setState({selection: ['n_need'], panels: {palette: true, problems: true},
        run: {conversationId: '', steps: {n_hello: 'done', n_need: 'waiting'}, path: {'n_hello.next': true}, answers: {}}})""")
    page.wait_for_selector("[data-testid=palette]")
    assert serious_now(page) == []
    page.evaluate("patchcordEditor.store.setState({panels: {outline: true, find: true}, selection: []})")
    page.wait_for_selector("[data-testid=outline]")
    assert serious_now(page) == []
    page.evaluate("patchcordEditor.store.setState({panels: {shortcuts: true}})")
    page.wait_for_selector("[data-testid=shortcuts]")
    assert serious_now(page) == []


def test_an_empty_canvas_has_no_serious_faults(open_editor: Callable[..., Page]) -> None:
    page = open_editor("flow-empty")
    page.wait_for_selector("[data-testid=empty]")
    assert serious_now(page) == []
