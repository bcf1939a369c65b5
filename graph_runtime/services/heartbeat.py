"""Keeps a conversation's lease alive while a long turn runs."""

from __future__ import annotations

import asyncio
from typing import Any

from graph_runtime.storage.turns import TurnStore

HEARTBEAT_SECONDS = 10.0


class Heart:
    """Renews the lease while a turn runs; when that fails, the turn is stopped."""

    def __init__(self, store: TurnStore, place: tuple[str, str], epoch: int, work: asyncio.Task[Any]) -> None:
        self.has_failed = False
        self._store = store
        self._place = place
        self._epoch = epoch
        self._work = work
        self._beating: asyncio.Task[None] | None = None
        # A timer handle costs a tenth of a task, and hardly any turn lives long enough to need one.
        self._timer = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, self._begin)

    def _begin(self) -> None:
        self._beating = asyncio.create_task(self._beat(), name="heartbeat")

    async def _beat(self) -> None:
        while await self._store.renew(*self._place, self._epoch):  # noqa: ASYNC110  # a pulse, not a wait
            await asyncio.sleep(HEARTBEAT_SECONDS)
        self.has_failed = True
        self._work.cancel()

    def stop(self) -> None:
        """The turn is over."""
        self._timer.cancel()
        if self._beating is not None:
            self._beating.cancel()
