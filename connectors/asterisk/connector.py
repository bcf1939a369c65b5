"""Phone lines through Asterisk: calls come in over AudioSocket, the dialplan asks over HTTP."""

from __future__ import annotations

from connectors.asterisk.ami import place
from connectors.asterisk.line import Settings, line
from connectors.asterisk.moving import move, private_host
from graph_runtime.contract.capabilities import Capabilities
from graph_runtime.contract.channels import ChannelOffer
from graph_runtime.contract.connectors import Connector

OFFER = ChannelOffer(
    capabilities=Capabilities(8000, 12, 200, markup=False, media=False, typing=False, send_class="live"),
    makes_secret=True,
    secret_is_address=True,
    line=line,
    place=place,
    move=move,
    private_host=private_host,
)

CONNECTOR = Connector(
    id="asterisk",
    label="Phone line",
    summary="Lets the agent answer calls that arrive at your Asterisk.",
    settings=Settings,
    kinds=frozenset({"channel"}),
    needs_credential=False,
    channel=OFFER,
)
