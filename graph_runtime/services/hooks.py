"""Hooks: what vendors post to us; verified, stored and committed before anybody is told that it arrived."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Final

from graph_runtime.contract.channels import SignatureRefused
from graph_runtime.contract.errors import Conflict, InputInvalid
from graph_runtime.services.intake import Hooked, Intake
from graph_runtime.services.open_channels import OpenChannel, OpenChannels
from graph_runtime.storage.receiving import or_away
from graph_runtime.telemetry.metrics import WEBHOOK_REJECTS

FRESH_SECONDS: Final = 1.0


class Hooks:
    """The way in for channels that push to us. Whoever holds the channel's secret may speak for its contacts."""

    def __init__(self, channels: OpenChannels, intake: Intake) -> None:
        self._channels = channels
        self._intake = intake

    def check_headers(self, connector: str, headers: Mapping[str, str]) -> None:
        """What can be refused before the body or the database is touched. Raises: NotFound, SignatureRefused."""
        missing = [name for name in self._channels.offer(connector).required_headers if not headers.get(name)]
        if missing:
            WEBHOOK_REJECTS.labels("no_signature").inc()
            raise SignatureRefused(f"The header {missing[0]} is missing. Sign the request.", header=missing[0])

    async def receive(
        self, connector: str, public_id: str, body: bytes, headers: Mapping[str, str]
    ) -> list[Hooked]:  # fmt: skip
        """Take in one request. When this returns, every event of it is committed. Header names are in lower case.

        Raises: NotFound, SignatureRefused, InputInvalid, TooLarge, Conflict (nobody to answer), DatabaseAway.
        """
        self.check_headers(connector, headers)
        offer = self._channels.offer(connector)
        if offer.verify is None or offer.parse is None:
            raise Conflict("This kind of channel takes nothing in.", reason="no_inbound")
        with or_away():
            try:
                channel = await self._verified(connector, public_id, body, headers)
                messages = offer.parse(channel.current_settings(), body, headers)
            except (SignatureRefused, InputInvalid) as error:
                WEBHOOK_REJECTS.labels(error.code).inc()
                raise
            body_hash = hashlib.sha256(body).hexdigest()

            async def newer() -> OpenChannel:
                return await self._verified(connector, public_id, body, headers, fresh=True)

            return [await self._intake.take(channel, m, body_hash, newer) for m in messages]

    async def _verified(
        self, connector: str, public_id: str, body: bytes, headers: Mapping[str, str], *, fresh: bool = False
    ) -> OpenChannel:
        channel = await self._channels.by_public_id(connector, public_id, fresh=fresh)
        assert channel.offer.verify is not None
        try:
            channel.offer.verify(channel.current_settings(), body, headers, channel.now())
        except SignatureRefused:
            # The secret may just have been changed elsewhere; forgeries do not make us ask more than once a second.
            if time.monotonic() - channel.loaded < FRESH_SECONDS:
                raise
            newer = await self._channels.by_public_id(connector, public_id, fresh=True)
            channel.offer.verify(newer.current_settings(), body, headers, newer.now())
            return newer
        return channel
