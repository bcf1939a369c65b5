"""The generic webhook channel: connects a program of your own, signed in both directions."""

from __future__ import annotations

from connectors.webhook.channel import OFFER, Settings
from graph_runtime.contract.connectors import Connector

CONNECTOR = Connector(
    id="webhook",
    label="Webhook",
    summary="Connects your own program: it posts what people write and receives what the agent says.",
    settings=Settings,
    kinds=frozenset({"channel"}),
    needs_credential=False,
    channel=OFFER,
)
