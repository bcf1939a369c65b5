"""Shows on a channel of somebody else's that an answer is being written, as a courtesy that may fail."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from graph_runtime.contract.channels import InboundMessage
from graph_runtime.contract.errors import BuilderError
from graph_runtime.services.channel_doors import ChannelDoors
from graph_runtime.services.open_channels import OpenChannels
from graph_runtime.storage.turns import LeasedTurn

SECONDS: Final = 3.0


class TypingShown:
    """One for a process."""

    def __init__(self, channels: OpenChannels, doors: ChannelDoors) -> None:
        self._channels = channels
        self._doors = doors

    async def show(self, workspace_id: str, turn: LeasedTurn) -> None:
        """Where the channel can. Never raises."""
        if turn.channel_id is None or not turn.external_user_id:
            return
        with contextlib.suppress(BuilderError, TimeoutError):
            async with asyncio.timeout(SECONDS):
                channel = await self._channels.by_id(workspace_id, str(turn.channel_id), 0)
                if channel.offer.acknowledge is None:
                    return
                settings = channel.current_settings()
                message = InboundMessage(dedupe_key="", external_user_id=turn.external_user_id)
                await channel.offer.acknowledge(settings, message, self._doors.of(channel.offer, settings))
