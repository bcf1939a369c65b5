"""Telegram: a bot that people write to."""

from __future__ import annotations

from connectors.telegram.channel import OFFER
from connectors.telegram.settings import Settings
from graph_runtime.contract.connectors import Connector

CONNECTOR = Connector(
    id="telegram",
    label="Telegram",
    summary="Answers what people write to your Telegram bot, in private chats and in groups.",
    settings=Settings,
    kinds=frozenset({"channel"}),
    channel=OFFER,
)
