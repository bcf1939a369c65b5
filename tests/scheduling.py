"""Which tests stay together in one process when a run has several, and which processes may open browsers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from xdist.scheduler import LoadFileScheduling

ONE_INSTALLATION = ("tests/end_to_end/whole/",)
"""Folders whose files share an installation that takes long to start."""
BROWSING: Final = 2
"""So many processes may have a browser; three browsers on two cores miss their moments."""
_ROOT = Path(__file__).parents[1]


class Together(LoadFileScheduling):  # type: ignore[misc]  # it ships no types
    """A file's tests stay together, and so do the files that share an installation. Processes beyond the second take
    what needs no browser, as long as there is any."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in ONE_INSTALLATION if nodeid.startswith(folder)), super()._split_scope(nodeid))

    def _assign_work_unit(self, node: Any) -> None:
        if self.nodes.index(node) >= BROWSING:
            quiet = next((scope for scope in self.workqueue if not has_browser(scope)), None)
            if quiet is not None:
                self.workqueue.move_to_end(quiet, last=False)
        super()._assign_work_unit(node)


def has_browser(scope: str) -> bool:
    """Whether tests of a file, or of a folder's files, open one: they, or what their folder shares, name Playwright."""
    place = _ROOT / scope
    files = [*place.rglob("*.py")] if place.is_dir() else [place, place.parent / "conftest.py"]
    return any("playwright" in file.read_text("utf-8") for file in files if file.is_file())
