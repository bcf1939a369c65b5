"""Does the daily work when the database's clock says that it is due; one worker of all does it."""

from __future__ import annotations

import asyncio

import structlog

from graph_runtime.services.oauth import OAuth
from graph_runtime.services.retention import Retention

log = structlog.get_logger(__name__)
FIRST_LOOK_SECONDS = 60.0
LOOK_SECONDS = 600.0
RENEWAL_SECONDS = 20.0
"""So soon access is looked at that a process left half renewed when it died: what is lost is said within a minute."""


class AccessRenewal:
    """Keeps granted access alive while nobody uses it: a refresh token that rests for months expires."""

    def __init__(self, oauth: OAuth) -> None:
        self._oauth = oauth

    async def run(self) -> None:
        """For ever; what fails is tried again at the next look."""
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            try:
                if done := await self._oauth.renew_due():
                    log.info("access_renewed", count=done)
            except Exception:
                log.exception("access_renewal_failed")


class Daily:
    """Asks every ten minutes, not right after a start: a start should be quick."""

    def __init__(self, retention: Retention) -> None:
        self._retention = retention

    async def run(self) -> None:
        """For ever; what fails is tried again an hour later, when its claim is free."""
        await asyncio.sleep(FIRST_LOOK_SECONDS)
        while True:
            try:
                if await self._retention.run_if_due():
                    log.info("retention_done")
            except Exception:
                log.exception("retention_failed")
            await asyncio.sleep(LOOK_SECONDS)
