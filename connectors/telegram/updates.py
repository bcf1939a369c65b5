"""What Telegram tells, in our words. An update that nobody needs becomes nothing; none makes this fail."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from connectors.telegram import words as told
from connectors.telegram.settings import Settings
from graph_runtime.contract.channel_links import InboundFile
from graph_runtime.contract.channels import InboundKind, InboundMessage
from graph_runtime.contract.errors import InputInvalid
from graph_runtime.contract.messages import Reply

WANTED: Final = ("message", "edited_message", "callback_query", "my_chat_member")
ALBUM_SECONDS: Final = 1.2
_MEDIA: Final = {
    "document": "document", "voice": "audio", "audio": "audio", "video": "video", "video_note": "video",
    "animation": "video", "sticker": "image",
}  # fmt: skip
_COMMAND: Final = re.compile(r"^/([A-Za-z0-9_]{1,64})(?:@(\w{3,64}))?(?:\s+(.*))?$", re.DOTALL)
_LEFT: Final = ("kicked", "left")


def parse(settings: Settings, body: bytes, _: Mapping[str, str]) -> list[InboundMessage]:
    """The one update of a request. Raises: InputInvalid when it is none."""
    try:
        update = json.loads(body)
        key = str(int(update["update_id"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputInvalid(told.NO_UPDATE) from None
    try:
        found = _read(settings, update, key)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        # A kind of update that is built otherwise than we know: whoever sent it waits for no answer.
        found = None
    return [] if found is None else [found]


def _read(settings: Settings, update: Mapping[str, Any], key: str) -> InboundMessage | None:
    if "message" in update:
        return _message(settings, update["message"], key)
    if "edited_message" in update:
        message = update["edited_message"]
        return InboundMessage(key, recipient(message), Reply(text=_text(message)), "edit")
    if "callback_query" in update:
        return _press(update["callback_query"], key)
    if "my_chat_member" in update:
        return _membership(update["my_chat_member"], key)
    return None


def recipient(message: Mapping[str, Any]) -> str:
    """Whom to answer: a person's chat, or one person in a group ("chat:person", with ":topic" in a forum)."""
    chat, sender = message["chat"], message.get("from") or {}
    if chat["type"] == "private":
        return str(int(chat["id"]))
    topic = f":{int(message['message_thread_id'])}" if message.get("is_topic_message") else ""
    return f"{int(chat['id'])}:{int(sender.get('id') or 0)}{topic}"


def _message(settings: Settings, message: Mapping[str, Any], key: str) -> InboundMessage | None:
    sender = message.get("from") or {}
    if message["chat"]["type"] not in ("private", "group", "supergroup") or sender.get("is_bot"):
        return None
    text = _text(message)
    if message["chat"]["type"] != "private":
        addressed = _addressed(settings, message, text)
        if addressed is None:
            return None
        text = addressed
    who = recipient(message)
    common: dict[str, Any] = {"contact": _about(message), "language": str(sender.get("language_code") or "")}
    if "contact" in message:
        return _shared_contact(message, key, who, common)
    place = message.get("location") or (message.get("venue") or {}).get("location")
    if place:
        spot = f"{float(place['latitude']):.6f}, {float(place['longitude']):.6f}"
        return InboundMessage(key, who, Reply(text=spot), "location", **common)
    files = tuple(_files(message))
    if not files and not text.strip():
        return None  # somebody joined, a title changed
    command = _COMMAND.match(text) if not files else None
    if command is not None:
        return _command(command, InboundMessage(key, who, Reply(text=text), "command", **common))
    kind: InboundKind = "attachment" if files else "text"
    follows = ALBUM_SECONDS if message.get("media_group_id") else 0.0
    return InboundMessage(key, who, Reply(text=text), kind, files=files, follows_seconds=follows, **common)


def _text(message: Mapping[str, Any]) -> str:
    return str(message.get("text") or message.get("caption") or "")


def _addressed(settings: Settings, message: Mapping[str, Any], text: str) -> str | None:
    """What is said to the bot in a group; None when it is said to somebody else."""
    if settings.groups == "never":
        return None
    name = settings.username
    mention = re.compile(rf"@{re.escape(name)}\b", re.IGNORECASE) if name else None
    command = _COMMAND.match(text)
    if command is not None and command[2] is not None:
        return text if name and command[2].lower() == name.lower() else None
    is_mentioned = mention is not None and mention.search(text) is not None
    answered = ((message.get("reply_to_message") or {}).get("from") or {}).get("id")
    is_reply = answered is not None and str(answered) == settings.bot_id
    if settings.groups == "mentioned" and not (is_mentioned or is_reply):
        return None
    return mention.sub("", text).strip() if mention is not None and is_mentioned else text


def _about(message: Mapping[str, Any]) -> dict[str, Any]:
    sender, chat = message.get("from") or {}, message["chat"]
    known = {
        "first_name": sender.get("first_name"), "last_name": sender.get("last_name"),
        "telegram_username": sender.get("username"), "telegram_id": sender.get("id"),
        "telegram_group": chat.get("title") if chat["type"] != "private" else None,
    }  # fmt: skip
    return {name: value for name, value in known.items() if value}


def _shared_contact(message: Mapping[str, Any], key: str, who: str, common: dict[str, Any]) -> InboundMessage:
    card = message["contact"]
    phone = str(card.get("phone_number") or "")
    phone = phone if not phone or phone.startswith("+") else f"+{phone}"
    is_own = card.get("user_id") is not None and card["user_id"] == (message.get("from") or {}).get("id")
    if is_own:  # only their own number is theirs; anybody's card can be shared
        common = {**common, "contact": {**common["contact"], "phone": phone}}
    return InboundMessage(key, who, Reply(text=phone), "contact", **common)


def _command(match: re.Match[str], message: InboundMessage) -> InboundMessage:
    name, rest = match[1].lower(), (match[3] or "").strip()
    text = f"/{name} {rest}".strip()
    contact = dict(message.contact)
    if name == "start" and rest:
        contact["start_parameter"] = rest[:200]
    return InboundMessage(
        message.dedupe_key, message.external_user_id, Reply(text=text), "command", contact, message.language,
        begins_anew=name == "start",
    )  # fmt: skip


def _files(message: Mapping[str, Any]) -> list[InboundFile]:
    found = []
    if message.get("photo"):
        best = max(message["photo"], key=lambda size: int(size.get("file_size") or 0) or int(size.get("width") or 0))
        found.append(InboundFile(str(best["file_id"]), "image", "image/jpeg", int(best.get("file_size") or 0)))
    for name, media in _MEDIA.items():
        # An animation comes as a document too, for programs that do not know animations.
        if name in message and not (name == "document" and "animation" in message):
            file = message[name]
            mime = str(file.get("mime_type") or ("image/webp" if name == "sticker" else ""))
            found.append(InboundFile(str(file["file_id"]), media, mime, int(file.get("file_size") or 0)))  # type: ignore[arg-type]
    return found


def _press(query: Mapping[str, Any], key: str) -> InboundMessage | None:
    message = query.get("message")
    if not message or not query.get("data"):
        return None
    sender = query["from"]
    said = {**message, "from": sender}
    return InboundMessage(
        key, recipient(said), Reply(option_id=str(query["data"])), "button", _about(said),
        str(sender.get("language_code") or ""), receipt=str(query["id"]),
    )  # fmt: skip


def _membership(change: Mapping[str, Any], key: str) -> InboundMessage | None:
    if change["chat"]["type"] != "private":
        return None
    has_left = change["new_chat_member"]["status"] in _LEFT
    return InboundMessage(key, str(int(change["chat"]["id"])), kind="system", reachable=not has_left)
