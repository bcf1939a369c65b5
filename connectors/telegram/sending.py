"""What an agent says, as calls to the Bot API: one part, one call."""

from __future__ import annotations

from typing import Any, Final

from connectors.telegram import words as told
from connectors.telegram.client import BadMarkup, call
from connectors.telegram.markup import to_html
from connectors.telegram.settings import Settings
from graph_runtime.contract.channel_links import OutboundFile
from graph_runtime.contract.channels import ChannelHttp, InboundMessage, OutboundMessage, Rate
from graph_runtime.contract.errors import RecipientMoved, Refused
from graph_runtime.contract.messages import Choices, Media, Text

_METHODS: Final = {
    "image": ("sendPhoto", "photo"), "audio": ("sendAudio", "audio"), "video": ("sendVideo", "video"),
    "document": ("sendDocument", "document"),
}  # fmt: skip
_VOICE: Final = ("audio/ogg", "audio/opus")
GROUP_RATE: Final = Rate(messages=20, seconds=60.0, burst=5)
_WIDE: Final = 18
"""Labels longer than this take a row each."""
_SHARE: Final = {
    "phone": {"en": "Share my phone number", "ru": "Отправить мой номер", "uk": "Надіслати мій номер"},
    "location": {"en": "Share my location", "ru": "Отправить моё местоположение", "uk": "Надіслати моє розташування"},
}


async def send(settings: Settings, message: OutboundMessage, http: ChannelHttp) -> str:
    """One part of a message; Telegram's id of it. Raises: what `client.call` does."""
    (part,) = message.parts
    place = _place(message.recipient)
    try:
        if isinstance(part, Media):
            said = await _send_media(settings, part, place, message, http)
        else:
            said = await _send_text(settings, part, place, http)
    except RecipientMoved as error:
        rest = message.recipient.partition(":")[2]
        raise RecipientMoved(error.message, to=f"{error.to}:{rest}" if rest else error.to) from None
    return str(said.get("message_id") or "") if isinstance(said, dict) else ""


async def acknowledge(settings: Settings, message: InboundMessage, http: ChannelHttp) -> None:
    """Let the pressed button rest, and show that the answer is being written."""
    if message.receipt:
        await call(settings, "answerCallbackQuery", {"callback_query_id": message.receipt}, http, seconds=8.0)
    place = _place(message.external_user_id)
    await call(settings, "sendChatAction", {**place, "action": "typing"}, http, seconds=8.0)


def recipient_limits(recipient: str) -> list[tuple[str, Rate]]:
    """A group's people share its rate."""
    chat, _, person = recipient.partition(":")
    return [(f"group {chat}", GROUP_RATE)] if person else []


def _place(recipient: str) -> dict[str, Any]:
    chat, *more = recipient.split(":")
    try:
        place: dict[str, Any] = {"chat_id": int(chat)}
        if len(more) > 1:
            place["message_thread_id"] = int(more[1])
    except ValueError:
        raise Refused(told.NO_CHAT) from None
    return place


async def _send_text(settings: Settings, part: Text | Choices, place: dict[str, Any], http: ChannelHttp) -> Any:
    fields = {
        **place,
        "text": to_html(part.text) or "👇",
        "parse_mode": "HTML",
        "reply_markup": _keyboard(settings, part, place),
    }
    try:
        return await call(settings, "sendMessage", fields, http)
    except BadMarkup:
        # Refused, so nothing arrived: the same words without their marks.
        plain = {k: v for k, v in fields.items() if k != "parse_mode"}
        return await call(settings, "sendMessage", {**plain, "text": part.text or "👇"}, http)


async def _send_media(
    settings: Settings, part: Media, place: dict[str, Any], message: OutboundMessage, http: ChannelHttp
) -> Any:
    file = message.files.get(part.file_id) if part.file_id else None
    if file is None and not part.url:
        raise Refused(told.FILE_GONE)
    method, name = _method(part, file)
    fields = {**place, "caption": to_html(part.caption), "parse_mode": "HTML" if part.caption else ""}
    if file is None:
        fields[name] = part.url
    upload = None if file is None else (name, file)
    seconds = 20.0 if file is None else 24.0
    try:
        return await call(settings, method, fields, http, file=upload, seconds=seconds)
    except BadMarkup:
        fields |= {"caption": part.caption, "parse_mode": ""}
        return await call(settings, method, fields, http, file=upload, seconds=seconds)


def _method(part: Media, file: OutboundFile | None) -> tuple[str, str]:
    if file is not None and file.mime in _VOICE:
        return "sendVoice", "voice"
    if file is not None and part.media == "image" and file.mime not in ("image/jpeg", "image/png", "image/webp"):
        return _METHODS["document"]
    return _METHODS[part.media]


def _keyboard(settings: Settings, part: Text | Choices, place: dict[str, Any]) -> dict[str, Any] | None:
    is_private = place["chat_id"] > 0  # keyboards of groups appear for everybody, and share no phone numbers
    if isinstance(part, Choices):
        if settings.buttons == "keyboard" and is_private:
            return _in_place_of_the_keyboard(_rows([{"text": o.label} for o in part.options]))
        return {"inline_keyboard": _rows([{"text": o.label, "callback_data": o.id} for o in part.options])}
    if not is_private:
        return None
    if part.wants is None:
        return {"remove_keyboard": True}  # the one of an earlier question, if it is still there
    label = _SHARE[part.wants][_language_of(part.text)]
    key = "request_contact" if part.wants == "phone" else "request_location"
    return _in_place_of_the_keyboard([[{"text": label, key: True}]])


def _in_place_of_the_keyboard(rows: list[list[dict[str, Any]]]) -> dict[str, Any]:
    return {"keyboard": rows, "resize_keyboard": True, "one_time_keyboard": True}


def _rows(buttons: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    rows: list[list[dict[str, Any]]] = []
    for button in buttons:
        is_short = len(button["text"]) <= _WIDE
        if rows and is_short and len(rows[-1]) < 2 and len(rows[-1][0]["text"]) <= _WIDE:
            rows[-1].append(button)
        else:
            rows.append([button])
    return rows


def _language_of(text: str) -> str:
    """The language of a question, for the label of its button: Telegram has no words of its own for it."""
    letters = set(text.lower())
    if letters & set("іїєґ"):
        return "uk"
    return "ru" if letters & set("абвгдежзийклмнопрстуфхцчшщъыьэюя") else "en"
