"""A Telegram bot as a channel: who may post to us, connecting, asking for updates, fetching files."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from connectors.telegram import updates
from connectors.telegram import words as told
from connectors.telegram.client import call, download
from connectors.telegram.sending import acknowledge, recipient_limits, send
from connectors.telegram.settings import Settings
from graph_runtime.contract.capabilities import TELEGRAM
from graph_runtime.contract.channel_links import Account, InboundFile, Polled, PolledEvent
from graph_runtime.contract.channels import (
    ChannelHttp,
    ChannelOffer,
    Rate,
    SignatureRefused,
    host_and_port,
)
from graph_runtime.contract.errors import BadAnswer, Refused

HEADER: Final = "x-telegram-bot-api-secret-token"
CONNECTIONS: Final = 1
"""Telegram posts the next update when we have taken in the one before: so they come in order."""
MOST_UPDATES: Final = 100
MOST_BYTES: Final = 8_000_000


def header_value(secret: str) -> str:
    """What Telegram shows with every update: our secret in the letters that a header may have."""
    return hashlib.sha256(secret.encode()).hexdigest()


def verify(settings: Settings, body: bytes, headers: Mapping[str, str], now: datetime) -> None:  # noqa: ARG001
    """Raises: SignatureRefused."""
    given = headers.get(HEADER, "").encode("utf-8", "replace")
    if not any(hmac.compare_digest(given, header_value(secret).encode()) for secret in settings.secrets()):
        raise SignatureRefused(told.NOT_SIGNED, header=HEADER)


async def identify(settings: Settings, http: ChannelHttp) -> Account:
    """Whose token it is."""
    bot = await call(settings, "getMe", {}, http)
    if not isinstance(bot, dict) or not bot.get("is_bot") or not bot.get("username"):
        raise BadAnswer(told.WHOSE_BOT)
    name, username = str(bot.get("first_name") or bot["username"]), str(bot["username"])
    return Account(str(bot["id"]), name, f"https://t.me/{username}", {"username": username})


async def subscribe(settings: Settings, address: str, http: ChannelHttp) -> None:
    """Tell Telegram the commands of its menu, and where to post, or that it shall not."""
    if settings.menu():
        await call(settings, "setMyCommands", {"commands": settings.menu()}, http)
    if not address:
        await call(settings, "deleteWebhook", {"drop_pending_updates": False}, http)
        return
    fields = {
        "url": address, "secret_token": header_value(settings.secrets()[0]), "max_connections": CONNECTIONS,
        "allowed_updates": list(updates.WANTED), "drop_pending_updates": False,
    }  # fmt: skip
    await call(settings, "setWebhook", fields, http)


async def poll(settings: Settings, cursor: str, seconds: float, http: ChannelHttp) -> Polled:
    """Updates after the cursor, which is the next update's number."""
    fields = {
        "offset": int(cursor) if cursor else None, "limit": MOST_UPDATES, "timeout": int(seconds),
        "allowed_updates": list(updates.WANTED),
    }  # fmt: skip
    found = await call(settings, "getUpdates", fields, http, seconds=seconds + 15, keep=MOST_BYTES)
    if not isinstance(found, list):
        raise BadAnswer(told.NO_UPDATES)
    read = sorted((u for u in found if isinstance(u, dict) and isinstance(u.get("update_id"), int)), key=_number)
    events = tuple(PolledEvent(_bytes(u), str(_number(u) + 1)) for u in read)
    return Polled(events, events[-1].cursor if events else cursor)


async def fetch(settings: Settings, file: InboundFile, http: ChannelHttp) -> bytes:
    """The bytes of a file that was sent to the bot."""
    about = await call(settings, "getFile", {"file_id": file.ref}, http)
    if not isinstance(about, dict) or not about.get("file_path"):
        raise Refused(told.NO_FILE)
    return await download(settings, str(about["file_path"]), http)


def private_host(settings: Settings) -> str:
    """The Bot API server of one's own that an administrator allowed though it is inside the network."""
    return host_and_port(settings.base_url) if settings.allow_private_host else ""


def _number(update: Mapping[str, Any]) -> int:
    return int(update["update_id"])


def _bytes(update: Mapping[str, Any]) -> bytes:
    """The same bytes for the same update, whenever it is asked for."""
    return json.dumps(update, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")


OFFER = ChannelOffer(
    capabilities=TELEGRAM,
    send=send,
    verify=verify,
    parse=updates.parse,
    required_headers=(HEADER,),
    makes_secret=True,
    one_part_per_request=True,
    private_host=private_host,
    channel_rate=Rate(messages=30, seconds=1.0, burst=30),
    recipient_rate=Rate(messages=1, seconds=1.0, burst=3),
    recipient_limits=recipient_limits,
    identify=identify,
    subscribe=subscribe,
    poll=poll,
    acknowledge=acknowledge,
    fetch=fetch,
    signs_buttons=True,
)
