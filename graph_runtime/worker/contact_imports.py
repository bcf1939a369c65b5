"""Takes in files of contacts, one after another; a look every two seconds costs one glance at an empty index."""

from __future__ import annotations

import asyncio

import structlog

from graph_runtime.services.contact_imports import ContactImports

log = structlog.get_logger(__name__)
LOOK_SECONDS = 2.0


class ContactImporter:
    """One for a worker; several workers share the files."""

    def __init__(self, imports: ContactImports, *, seconds: float = LOOK_SECONDS) -> None:
        self._imports = imports
        self._seconds = seconds

    async def run(self) -> None:
        """For ever; what fails is claimed again when its lease is over."""
        while True:
            try:
                while await self._imports.run_next():
                    pass
            except Exception:
                log.exception("contact_import_failed")
            await asyncio.sleep(self._seconds)
