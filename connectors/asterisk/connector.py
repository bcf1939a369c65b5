"""Phone lines through Asterisk: calls come in over AudioSocket, the dialplan asks over HTTP."""

from __future__ import annotations

from connectors.asterisk.line import OFFER, Settings
from graph_runtime.contract.connectors import Connector

CONNECTOR = Connector(
    id="asterisk",
    label="Phone line",
    summary="Lets the agent answer calls that arrive at your Asterisk.",
    settings=Settings,
    kinds=frozenset({"channel"}),
    needs_credential=False,
    channel=OFFER,
)
