"""Transfers that we begin: the telephone system is told to move the call, instead of asking for it itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog

from graph_runtime.contract.errors import BuilderError
from graph_runtime.services.call_turns import PhoneCall
from graph_runtime.services.channel_doors import ChannelDoors
from graph_runtime.services.phone_lines import PhoneLines
from graph_runtime.storage.phone_calls import PhoneCallRows
from graph_runtime.storage.receiving import or_away

log = structlog.get_logger(__name__)
MOVE_SECONDS: Final = 3.0
"""A caller hears nothing meanwhile."""


@dataclass(frozen=True, slots=True)
class CallMoving:
    """The decision is committed before: a call that could not be moved is closed, and its dialplan asks what is next."""

    rows: PhoneCallRows
    lines: PhoneLines
    doors: ChannelDoors

    async def begin(self, call: PhoneCall) -> bool:
        """Move the call if its line wants that. False: it was not, for whatever reason."""
        if not (call.line.moves_calls and call.channel_id):
            return False
        try:
            async with asyncio.timeout(MOVE_SECONDS):
                with or_away():
                    channel, _ = await self.lines.settings(call.workspace_id, call.channel_id)
                    row = await self.rows.get(call.workspace_id, call.uuid, call.channel_id)
                name = row["pbx_channel"] if row is not None else ""
                if channel.offer.move is None or not name:
                    log.warning("call_not_moved", call=call.uuid, reason="its channel is unknown")
                    return False
                await channel.offer.move(channel.settings, name, self.doors.of(channel.offer, channel.settings))
        except (BuilderError, TimeoutError) as error:
            log.warning("call_not_moved", call=call.uuid, reason=type(error).__name__)
            return False
        return True
