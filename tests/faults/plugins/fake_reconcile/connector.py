"""The webhook's wire to a receiver that folds nothing and says whether a key arrived: send class RECONCILE."""

from __future__ import annotations

import json
from dataclasses import replace

from connectors.webhook import channel
from graph_runtime.contract.capabilities import Capabilities
from graph_runtime.contract.channels import ChannelHttp, OutboundMessage
from graph_runtime.contract.connectors import Connector
from graph_runtime.contract.errors import Unreachable


async def find(settings: channel.Settings, message: OutboundMessage, http: ChannelHttp) -> str | None:
    """Ask the receiver whether the key arrived. Raises: Unreachable when it cannot say."""
    answer = await http.request("GET", f"{settings.url}?key={message.key}", headers={}, seconds=5.0)
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise Unreachable(f"The receiver answered with status {answer.status}.")
    return str(json.loads(answer.body)["id"])


CONNECTOR = Connector(
    id="fake_reconcile",
    label="Reconcile",
    summary="Says whether our key arrived.",
    settings=channel.Settings,
    kinds=frozenset({"channel"}),
    needs_credential=False,
    channel=replace(channel.OFFER, find=find, capabilities=Capabilities(4000, 0, 0, False, False, False, "reconcile")),
)
