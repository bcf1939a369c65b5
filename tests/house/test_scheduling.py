"""Runs with several processes: files stay together, and the third has no browser while there is something else to do."""

from __future__ import annotations

import pytest

from tests.scheduling import ONE_INSTALLATION, Together, has_browser


class Node:
    """A process of the run, as far as its scheduler knows it."""

    def send_runtest_some(self, indexes: list[int]) -> None:
        """Take tests."""


BROWSES, QUIET = "tests/editor/test_saving.py", "tests/house/test_files.py"


def test_who_has_a_browser() -> None:
    assert has_browser(BROWSES)
    assert has_browser(ONE_INSTALLATION[0])
    assert not has_browser(QUIET)


def test_the_third_process_takes_what_needs_none(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [Node() for _ in range(3)]
    monkeypatch.setattr(pytestconfig.option, "tx", ["3*popen"])
    together = Together(pytestconfig)
    names = [f"{file}::test_{n}" for file in (BROWSES, "tests/editor/test_canvas.py", QUIET) for n in range(2)]
    for node in nodes:
        together.assigned_work[node] = {}
        together.registered_collections[node] = names
    together.workqueue.update({together._split_scope(name): {name: False} for name in names})
    together._assign_work_unit(nodes[2])
    assert [*together.assigned_work[nodes[2]]] == [QUIET]
    together._assign_work_unit(nodes[2])  # better than nothing
    assert [*together.assigned_work[nodes[2]]] == [QUIET, BROWSES]
