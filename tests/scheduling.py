"""Which tests stay together in one process when a run has several, which have the machine to themselves, and which
processes may open browsers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from xdist.scheduler import LoadFileScheduling

ONE_INSTALLATION = ("tests/end_to_end/whole/",)
"""Folders whose files share an installation that takes long to start."""
ALONE = ("tests/faults/test_short.py",)
"""Files that run when everything else is done: a dozen processes that are killed and start again want both cores."""
BROWSING: Final = 2
"""So many processes may have a browser; three browsers on two cores miss their moments."""
_ROOT = Path(__file__).parents[1]


class Together(LoadFileScheduling):  # type: ignore[misc]  # it ships no types
    """A file's tests stay together, and so do the files that share an installation. Processes beyond the second take
    what needs no browser, as long as there is any. What has the machine to itself comes last, in the process that is left."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in ONE_INSTALLATION if nodeid.startswith(folder)), super()._split_scope(nodeid))

    def _assign_work_unit(self, node: Any) -> None:
        for scope in ALONE:
            if scope in self.workqueue:
                self.workqueue.move_to_end(scope)
        if self.nodes.index(node) >= BROWSING:
            quiet = next((scope for scope in self.workqueue if scope not in ALONE and not has_browser(scope)), None)
            if quiet is not None:
                self.workqueue.move_to_end(quiet, last=False)
        super()._assign_work_unit(node)

    def _reschedule(self, node: Any) -> None:
        if not self._only_alone_is_left or node.shutting_down:
            super()._reschedule(node)
            return
        working = [n for n in self.nodes if not n.shutting_down]
        if node is not working[0]:
            node.shutdown()  # a process begins its last test only when it knows what comes after it
        elif not any(self._pending_of(self.assigned_work[n]) for n in self.nodes if n is not node):
            self._assign_work_unit(node)

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """As always; the process that is left hears of it when the others are done."""
        super().mark_test_complete(node, item_index, duration)
        if self._only_alone_is_left:
            for other in self.nodes:
                self._reschedule(other)

    @property
    def _only_alone_is_left(self) -> bool:
        return bool(self.workqueue) and all(scope in ALONE for scope in self.workqueue)


def has_browser(scope: str) -> bool:
    """Whether tests of a file, or of a folder's files, open one: they, or what their folder shares, name Playwright."""
    place = _ROOT / scope
    files = [*place.rglob("*.py")] if place.is_dir() else [place, place.parent / "conftest.py"]
    return any("playwright" in file.read_text("utf-8") for file in files if file.is_file())
