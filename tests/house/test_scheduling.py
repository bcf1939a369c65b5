"""Runs with several processes: files stay together, the third has no browser while there is something else to do, and what
wants the machine to itself comes last."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.scheduling import ALONE, ONE_INSTALLATION, Together, has_browser


class Node:
    """A process of the run, as far as its scheduler knows it. `waiting`: tests that it has still to run."""

    def __init__(self) -> None:
        self.shutting_down = False
        self.gateway = SimpleNamespace(id="gw")
        self.waiting: list[int] = []

    def send_runtest_some(self, indexes: list[int]) -> None:
        """Take tests."""
        self.waiting += indexes

    def shutdown(self) -> None:
        """Run what is left, and end."""
        self.shutting_down = True

    @property
    def next(self) -> int | None:
        """The test that runs now: of a process that may get more, never its last one."""
        return self.waiting[0] if self.waiting[1:] or (self.waiting and self.shutting_down) else None


BROWSES, QUIET = "tests/editor/test_saving.py", "tests/house/test_files.py"


def test_who_has_a_browser() -> None:
    assert has_browser(BROWSES)
    assert has_browser(ONE_INSTALLATION[0])
    assert not has_browser(QUIET)


def scheduling(
    config: pytest.Config, monkeypatch: pytest.MonkeyPatch, *files: str
) -> tuple[Together, list[Node], list[str]]:
    """Three processes that know of two tests of each file."""
    nodes = [Node() for _ in range(3)]
    monkeypatch.setattr(config.option, "tx", ["3*popen"])
    together = Together(config)
    names = [f"{file}::test_{n}" for file in files for n in range(2)]
    for node in nodes:
        together.assigned_work[node] = {}
        together.registered_collections[node] = names
    return together, nodes, names


def test_the_third_process_takes_what_needs_none(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    together, nodes, names = scheduling(pytestconfig, monkeypatch, BROWSES, "tests/editor/test_canvas.py", QUIET)
    together.workqueue.update({together._split_scope(name): {name: False} for name in names})
    together._assign_work_unit(nodes[2])
    assert [*together.assigned_work[nodes[2]]] == [QUIET]
    together._assign_work_unit(nodes[2])  # better than nothing
    assert [*together.assigned_work[nodes[2]]] == [QUIET, BROWSES]


def test_what_wants_the_machine_to_itself_runs_when_all_else_is_done(
    pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytestconfig.option, "loadscopereorder", False, raising=False)
    others = [f"tests/house/test_{n}.py" for n in range(7)]
    together, nodes, names = scheduling(pytestconfig, monkeypatch, *others[:2], ALONE[0], *others[2:])
    together.schedule()
    ran: list[str] = []
    while running := [node for node in nodes if node.next is not None]:
        assert len(running) == 1 or not any(names[node.waiting[0]].startswith(ALONE) for node in running)
        node = running[len(ran) % len(running)]
        test = node.waiting.pop(0)
        ran.append(names[test])
        together.mark_test_complete(node, test)
    assert sorted(ran) == sorted(names)
    assert ran[-2:] == [name for name in names if name.startswith(ALONE)]


def test_files_that_run_alone_exist() -> None:
    assert all((Path(__file__).parents[2] / file).is_file() for file in ALONE)
