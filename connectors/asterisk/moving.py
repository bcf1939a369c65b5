"""Transfers that Patchcord begins, through the manager (AMI) or the REST interface (ARI)."""

from __future__ import annotations

from typing import Final

from connectors.asterisk.ami import redirect
from connectors.asterisk.ari import carry_on
from connectors.asterisk.line import Settings
from graph_runtime.contract.channels import ChannelHttp, host_and_port

EXTENSION: Final = "transfer"
"""Of the line's context; there the dialplan asks whom to ring, and comes back to the agent when nobody takes the call."""


async def move(settings: Settings, channel: str, http: ChannelHttp) -> None:
    """Send a call out of its audio into EXTENSION.

    Raises: Unreachable, CredentialRejected, Refused (it was not moved); OutcomeUnknown (it may have been).
    """
    if settings.moves_by == "rest":
        await carry_on(settings, channel, EXTENSION, http)
    else:
        await redirect(settings, channel, EXTENSION)


def private_host(settings: Settings) -> str:
    """Where the REST interface is; an administrator has set it."""
    return host_and_port(settings.ari_address) if settings.moves_by == "rest" else ""
