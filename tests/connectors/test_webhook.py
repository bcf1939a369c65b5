"""The webhook connector by itself: the published signature, the body that never changes, what each status means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.webhook.channel import OFFER, Settings, payload, send
from graph_runtime.contract import signatures
from graph_runtime.contract.channels import HttpAnswer, OutboundMessage, SignatureRefused
from graph_runtime.contract.errors import CredentialRejected, RateLimited, Refused, Unreachable
from graph_runtime.contract.messages import Choices, Option, Text

# The example in the specification of Standard Webhooks.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PARTS = (Text(text="Привіт"), Choices(text="Day?", options=(Option(id="mon", label="Monday"),)))
MESSAGE = OutboundMessage("msg_1", "u1", PARTS, "c1", 3, 1, NOW)
SETTINGS = Settings(url="https://example.com/in", secret=SecretStr(SECRET))


class Answers:
    """An HTTP door that gives one answer and keeps what it was asked."""

    def __init__(self, status: int = 200, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self.answer = HttpAnswer(status, headers or {}, body)
        self.asked: list[dict[str, Any]] = []

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: str | bytes = "", seconds: float = 20.0,
        keep: int = 64_000,
    ) -> HttpAnswer:  # fmt: skip
        self.asked.append({"method": method, "url": url, "headers": dict(headers), "body": body})
        return self.answer


def test_the_published_example() -> None:
    assert signatures.signature(SECRET, ID, TIMESTAMP, BODY) == SIGNATURE
    headers = {"webhook-id": ID, "webhook-timestamp": str(TIMESTAMP), "webhook-signature": SIGNATURE}
    signatures.verify([SECRET], headers, BODY, datetime.fromtimestamp(TIMESTAMP, UTC))
    with pytest.raises(SignatureRefused):
        signatures.verify([SECRET], headers, BODY + b" ", datetime.fromtimestamp(TIMESTAMP, UTC))


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_***", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
def test_a_damaged_secret_verifies_nothing(secret: str) -> None:
    headers = {"webhook-id": ID, "webhook-timestamp": str(TIMESTAMP), "webhook-signature": SIGNATURE}
    with pytest.raises(SignatureRefused):
        signatures.verify([secret], headers, BODY, datetime.fromtimestamp(TIMESTAMP, UTC))


@pytest.mark.parametrize("stamp", ["\u00b2\u00b3", "1e9", "-1", " 1614265330", "1614265330.0", "0x60"])
def test_a_time_is_plain_digits(stamp: str) -> None:
    headers = {"webhook-id": ID, "webhook-timestamp": stamp, "webhook-signature": SIGNATURE}
    with pytest.raises(SignatureRefused):
        signatures.verify([SECRET], headers, BODY, datetime.fromtimestamp(TIMESTAMP, UTC))


def test_without_any_secret_nothing_is_verified() -> None:
    headers = {"webhook-id": ID, "webhook-timestamp": str(TIMESTAMP), "webhook-signature": SIGNATURE}
    with pytest.raises(SignatureRefused):
        signatures.verify([], headers, BODY, datetime.fromtimestamp(TIMESTAMP, UTC))


async def test_a_message_is_signed_and_the_same_in_every_attempt() -> None:
    http = Answers(body=b'{"id": "their-7"}')
    assert await send(SETTINGS, MESSAGE, http) == "their-7"
    later = OutboundMessage("msg_1", "u1", PARTS, "c1", 3, 2, datetime(2026, 3, 2, 13, 0, tzinfo=UTC))
    await send(SETTINGS, later, http)
    one, two = http.asked
    assert (one["method"], one["url"]) == ("POST", "https://example.com/in")
    assert one["body"] == two["body"] == payload(MESSAGE)
    assert one["headers"]["webhook-id"] == two["headers"]["webhook-id"] == "msg_1"
    signatures.verify([SECRET], one["headers"], one["body"].encode(), NOW)
    data = json.loads(one["body"])["data"]
    assert (data["user_id"], data["conversation_id"], data["seq"], data["text"]) == ("u1", "c1", 3, "Привіт\nDay?")
    assert data["options"] == [{"id": "mon", "label": "Monday"}]
    assert [p["kind"] for p in data["parts"]] == ["text", "choices"]


async def test_both_secrets_sign_while_the_old_one_is_valid() -> None:
    other = "whsec_" + "QUFB" * 10
    http = Answers()
    await send(SETTINGS.model_copy(update={"previous_secret": SecretStr(other)}), MESSAGE, http)
    (asked,) = http.asked
    for secret in (SECRET, other):
        signatures.verify([secret], asked["headers"], asked["body"].encode(), NOW)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, RateLimited),
        (500, Unreachable),
        (502, Unreachable),
        (408, Unreachable),
        (409, Unreachable),
        (425, Unreachable),
        (400, Refused),
        (404, Refused),
        (410, Refused),
        (302, Refused),
        (401, CredentialRejected),
        (403, CredentialRejected),
    ],
)
async def test_what_a_status_means(status: int, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        await send(SETTINGS, MESSAGE, Answers(status, body=b"personal data of somebody"))
    assert "personal" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("35", 35), ("", None), ("soon", None), ("Mon, 02 Mar 2026 12:01:00 GMT", 60), ("-5", None), ("9999999", 86_400)],
)
async def test_how_long_the_receiver_wants_to_be_left_alone(given: str, seconds: float | None) -> None:
    with pytest.raises(RateLimited) as raised:
        await send(SETTINGS, MESSAGE, Answers(429, {"retry-after": given}))
    assert raised.value.retry_after == seconds


def test_an_inside_host_is_only_what_was_allowed() -> None:
    assert OFFER.private_host is not None
    inside = Settings(url="http://erp.local:9000/x", secret=SecretStr(SECRET))
    assert OFFER.private_host(inside) == ""
    assert OFFER.private_host(inside.model_copy(update={"allow_private_host": True})) == "erp.local:9000"
