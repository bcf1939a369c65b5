"""The webhook's wire to a receiver that folds nothing and cannot be asked: send class BLIND."""

from __future__ import annotations

from dataclasses import replace

from connectors.webhook import channel
from graph_runtime.contract.capabilities import Capabilities
from graph_runtime.contract.connectors import Connector


class Settings(channel.Settings):
    """`on_unknown` as in the outbox."""

    on_unknown: str = "at_least_once"


CONNECTOR = Connector(
    id="fake_blind",
    label="Blind",
    summary="Knows no keys.",
    settings=Settings,
    kinds=frozenset({"channel"}),
    needs_credential=False,
    channel=replace(channel.OFFER, capabilities=Capabilities(4000, 0, 0, False, False, False, "blind")),
)
