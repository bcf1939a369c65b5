"""Which tests stay together in one process when a run has several."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

ONE_INSTALLATION = ("tests/end_to_end/whole/",)
"""Folders whose files share an installation that takes long to start."""


class Together(LoadFileScheduling):  # type: ignore[misc]  # it ships no types
    """A file's tests stay together, and so do the files that share an installation."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in ONE_INSTALLATION if nodeid.startswith(folder)), super()._split_scope(nodeid))
