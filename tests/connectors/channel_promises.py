"""The promises every channel keeps, with a wire of its own: recorded webhooks in, every kind of message out, every fault."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from graph_runtime.contract.capabilities import Capabilities, degrade
from graph_runtime.contract.channel_links import OutboundFile
from graph_runtime.contract.channels import HttpAnswer, InboundMessage, OutboundMessage, SignatureRefused
from graph_runtime.contract.connectors import Connector
from graph_runtime.contract.errors import (
    BuilderError,
    CredentialRejected,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unreachable,
)
from graph_runtime.contract.messages import Choices, Media, Option, Part, Text

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
FILE = OutboundFile("photo.png", "image/png", b"\x89PNG\r\n\x1a\n0123")
EMOJI = "\U0001f469\u200d\U0001f4bb"
KINDS: dict[str, Part] = {
    "text": Text(text="**Hi** [map](https://maps.test/x) <b> & ~~x"),
    "long text": Text(text=f"Слово {EMOJI}. " * 30_000),
    "buttons": Choices(text="Day?", options=(Option(id="1.x.1", label="Mon"), Option(id="1.x.2", label="Tue"))),
    "many buttons": Choices(text="Day?", options=tuple(Option(id=f"o{n}", label=f"Day {n}") for n in range(1200))),
    "buttons without a question": Choices(text="", options=(Option(id="a", label="A"),)),
    "phone": Text(text="Your phone?", wants="phone"),
    "location": Text(text="Where are you?", wants="location"),
    "picture by address": Media(media="image", url="https://x.test/a.png", caption="Our **office**"),
    "stored file": Media(media="image", file_id="f1", name="a.png"),
    "sound": Media(media="audio", url="https://x.test/a.mp3"),
    "video": Media(media="video", url="https://x.test/a.mp4"),
    "document": Media(media="document", url="https://x.test/a.pdf", name="a.pdf", caption="x" * 3000),
}  # fmt: skip
STATUSES: tuple[tuple[int, tuple[type[BuilderError], ...]], ...] = (
    (429, (RateLimited,)),
    (500, (Unreachable, OutcomeUnknown)),
    (503, (Unreachable, OutcomeUnknown, RateLimited)),
    (400, (Refused,)),
    (401, (CredentialRejected, Refused)),
    (403, (CredentialRejected, Refused)),
    (404, (CredentialRejected, Refused)),
)


class Wire:
    """An HTTP door with one answer for everything; keeps what it was asked."""

    def __init__(self, answer: HttpAnswer | BuilderError) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, dict[str, str], str | bytes]] = []

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: str | bytes = "", seconds: float = 20.0,
        keep: int = 64_000,
    ) -> HttpAnswer:  # fmt: skip
        self.asked.append((method, url, dict(headers), body))
        if isinstance(self.answer, BuilderError):
            raise self.answer
        return self.answer


def recorded(connector: Connector) -> dict[str, Any]:
    """`examples/webhooks.json` of a channel's folder."""
    assert connector.folder is not None
    path = Path(connector.folder) / "examples" / "webhooks.json"
    assert path.is_file(), f"{connector.id} needs recorded webhooks in examples/webhooks.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def settings_of(connector: Connector, book: dict[str, Any], **more: Any) -> Any:
    """The channel's settings as the recording has them."""
    return connector.settings.model_validate({**book["settings"], **more})


def raw(webhook: dict[str, Any]) -> bytes:
    """The bytes of a recorded body."""
    body = webhook["body"]
    text = (
        body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    )
    return text.encode()


def recorded_webhooks_become_messages(connector: Connector) -> None:
    offer, book = connector.channel, recorded(connector)
    assert offer is not None
    assert offer.parse is not None
    assert offer.verify is not None
    now = datetime.fromisoformat(book["now"]) if "now" in book else NOW
    kinds = set()
    for webhook in book["webhooks"]:
        settings = settings_of(connector, book, **webhook.get("settings", {}))
        headers = {**book["headers"], **webhook.get("headers", {})}
        offer.verify(settings, raw(webhook), headers, now)
        found = list(offer.parse(settings, raw(webhook), headers))
        assert list(offer.parse(settings, raw(webhook), headers)) == found, "the same bytes, the same messages"
        assert len(found) == len(webhook["expected"]), webhook["name"]
        for message, expected in zip(found, webhook["expected"], strict=True):
            assert {name: _of(message, name) for name in expected} == expected, webhook["name"]
            kinds.add(message.kind)
    assert "text" in kinds
    assert len(book["webhooks"]) >= 3


def _of(message: InboundMessage, name: str) -> Any:
    if name in ("text", "option_id"):
        return getattr(message.reply, name)
    if name == "files":
        return [{"ref": f.ref, "media": f.media, "mime": f.mime, "size": f.size} for f in message.files]
    value = getattr(message, name)
    return dict(value) if isinstance(value, Mapping) else value


def a_wrong_signature_is_refused(connector: Connector) -> None:
    offer, book = connector.channel, recorded(connector)
    assert offer is not None
    assert offer.verify is not None
    assert offer.required_headers, "what is not signed is refused before the database is touched"
    now = datetime.fromisoformat(book["now"]) if "now" in book else NOW
    webhook = book["webhooks"][0]
    headers = {**book["headers"], **webhook.get("headers", {})}
    settings = settings_of(connector, book)
    secrets = connector.settings.secret_fields()
    no_secret = settings_of(
        connector, {**book, "settings": {k: v for k, v in book["settings"].items() if k not in secrets}}
    )
    for wrong in (
        (no_secret, headers),
        *(
            (settings, {**headers, name: value})
            for name in offer.required_headers
            for value in ("", "x", "é", "1" * 300)
        ),
    ):
        with pytest.raises(SignatureRefused):
            offer.verify(wrong[0], raw(webhook), wrong[1], now)


def message(parts: tuple[Part, ...], recipient: str) -> OutboundMessage:
    """As the host hands it over."""
    return OutboundMessage("msg_1", recipient, parts, "c1", 3, 1, NOW, {"f1": FILE})


def good_answer(connector: Connector) -> HttpAnswer:
    """What the vendor says when all is well: `good_answer` of the recording, else an id."""
    return HttpAnswer(200, {}, json.dumps(recorded(connector).get("good_answer", {"id": "v1"})).encode())


def requests_for(connector: Connector, part: Part) -> list[tuple[Part, ...]]:
    """The requests that the host makes of one part."""
    assert connector.channel is not None
    fitting = degrade([part], connector.channel.capabilities)
    return [(p,) for p in fitting] if connector.channel.one_part_per_request else [tuple(fitting)]


async def every_kind_goes_out(connector: Connector, part: Part) -> None:
    offer, book = connector.channel, recorded(connector)
    assert offer is not None
    assert offer.send is not None
    settings, recipient = settings_of(connector, book), book["webhooks"][0]["expected"][0]["external_user_id"]
    assert_fits(part, offer.capabilities)
    for parts in requests_for(connector, part)[:5]:
        wire = Wire(good_answer(connector))
        vendor_id = await offer.send(settings, message(parts, recipient), wire)
        assert len(wire.asked) == 1, "one request"
        assert isinstance(vendor_id, str)
        again = Wire(good_answer(connector))
        await offer.send(settings, message(parts, recipient), again)
        assert again.asked[0][1] == wire.asked[0][1]


def assert_fits(part: Part, can: Capabilities) -> None:
    """What the host hands over is within the limits."""
    for piece in degrade([part], can):
        words = piece.caption if isinstance(piece, Media) else piece.text
        length = len(words.encode("utf-16-le")) // 2 if can.is_utf16 else len(words)
        assert length <= can.max_text


async def faults_have_their_names(connector: Connector) -> None:
    offer, book = connector.channel, recorded(connector)
    assert offer is not None
    assert offer.send is not None
    settings, recipient = settings_of(connector, book), book["webhooks"][0]["expected"][0]["external_user_id"]
    said = message((Text(text="personal words"),), recipient)
    for status, allowed in STATUSES:
        body = {**book.get("bad_answer", {}), "error_code": status, "description": "secret words of the vendor"}
        wire = Wire(HttpAnswer(status, {"retry-after": "7"}, json.dumps(body).encode()))
        with pytest.raises(BuilderError) as raised:
            await offer.send(settings, said, wire)
        assert isinstance(raised.value, allowed), f"{connector.id}: {status} became {raised.value.code}"
        assert not {"personal", "secret words"} & set(raised.value.message.split()), "nobody's words get into a log"
        assert all(secret not in raised.value.message for secret in _secrets(connector, book))
        if isinstance(raised.value, RateLimited):
            assert raised.value.retry_after
    for error in (OutcomeUnknown("?"), Unreachable("?"), Refused("?")):
        wire = Wire(error)
        with pytest.raises(type(error)):
            await offer.send(settings, said, wire)
        assert len(wire.asked) == 1, "a client never repeats"


def _secrets(connector: Connector, book: dict[str, Any]) -> list[str]:
    return [str(book["settings"][n]) for n in connector.settings.secret_fields() if book["settings"].get(n)]
