"""Phone lines: channels that a telephone system calls for, found by the secret that is in the address it uses."""

from __future__ import annotations

import hmac
import secrets
import time
from typing import Final

from graph_runtime.contract.calls import LineSettings, dialable, is_dial_string
from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.errors import NotFound
from graph_runtime.services.hooks import FRESH_SECONDS
from graph_runtime.services.open_channels import OpenChannel, OpenChannels

PUBLIC_ID_LENGTH: Final = 22
"""Of `secrets.token_urlsafe(16)`."""
NEWEST: Final = 2**31
"""A revision that no channel has: it is read anew."""


def new_line_secret(public_id: str) -> str:
    """A secret that can stand in an address; it begins with the channel's public id."""
    return public_id + secrets.token_urlsafe(24)


class PhoneLines:
    """Of all connectors that offer lines."""

    def __init__(self, channels: OpenChannels, catalog: Catalog) -> None:
        self._channels = channels
        self.connectors = sorted(catalog.phone_lines())

    async def by_secret(self, secret: str) -> OpenChannel:
        """The line whose secret this is. Raises: NotFound, the same for every wrong secret."""
        for connector in self.connectors:
            try:
                channel = await self._channels.by_public_id(connector, secret[:PUBLIC_ID_LENGTH])
            except NotFound:
                continue
            if _fits(channel, secret):
                return channel
            # It may just have been changed elsewhere; guesses do not make us ask more than once a second.
            if time.monotonic() - channel.loaded >= FRESH_SECONDS:
                channel = await self._channels.by_public_id(connector, secret[:PUBLIC_ID_LENGTH], fresh=True)
                if _fits(channel, secret):
                    return channel
        raise NotFound("There is no phone line with this secret. Copy the dialplan again from the agent's page.")

    async def settings(
        self, workspace_id: str, channel_id: str, revision: int = NEWEST
    ) -> tuple[OpenChannel, LineSettings]:
        """A line as it is set up now, or as it was at this revision or later. Raises: NotFound."""
        channel = await self._channels.by_id(workspace_id, channel_id, revision)
        if channel.offer.line is None:
            raise NotFound("There is no such phone line in this workspace.")
        return channel, channel.offer.line(channel.settings)


def _fits(channel: OpenChannel, secret: str) -> bool:
    settings = channel.current_settings()
    known = [settings.secret.get_secret_value(), settings.previous_secret.get_secret_value()]
    given = secret.encode("utf-8", "replace")
    # Both are compared always, so that time tells nothing about which one was tried.
    fits = [bool(k) and hmac.compare_digest(k.encode(), given) for k in known]
    return True in fits


def dial_string(line: LineSettings, target: str) -> str:
    """What the dialplan dials for a target; "" when it cannot be dialled."""
    if is_dial_string(target):
        return target
    number = dialable(target)
    return line.dial_template.replace("{number}", number) if number else ""
