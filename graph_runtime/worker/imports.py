"""Takes in files of contacts and of knowledge, one after another, and removes files that no row has any more."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from graph_runtime.contract.errors import ConnectorError
from graph_runtime.storage.objects import REMOVED_AT_ONCE, FileBytes

log = structlog.get_logger(__name__)
LOOK_SECONDS = 2.0
REMOVAL_SECONDS = 30.0


class TakesIn(Protocol):
    """What has files on their way in."""

    async def run_next(self) -> bool:
        """Take in the next one; False when none waits."""


class Importer:
    """One of each kind for a worker; several workers share the files. A look costs one glance at an empty index."""

    def __init__(self, imports: TakesIn, *, seconds: float = LOOK_SECONDS) -> None:
        self._imports = imports
        self._seconds = seconds

    async def run(self) -> None:
        """For ever; what fails is claimed again when its lease is over."""
        while True:
            try:
                while await self._imports.run_next():
                    pass
            except Exception:
                log.exception("import_failed", kind=type(self._imports).__name__)
            await asyncio.sleep(self._seconds)


class FileRemoval:
    """Only outside the database is there anything to do."""

    def __init__(self, files: FileBytes, *, seconds: float = REMOVAL_SECONDS) -> None:
        self._files = files
        self._seconds = seconds

    async def run(self) -> None:
        """For ever; what cannot be removed now is tried again."""
        while True:
            try:
                while await self._files.remove_gone() == REMOVED_AT_ONCE:
                    pass
            except ConnectorError as error:
                log.warning("files_not_removed", reason=error.message)
            except Exception:
                log.exception("file_removal_failed")
            await asyncio.sleep(self._seconds)
