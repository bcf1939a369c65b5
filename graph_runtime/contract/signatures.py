"""Standard Webhooks signatures: `v1,<base64 of HMAC-SHA256>` over id, timestamp and the raw body."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets as randomness
from collections.abc import Mapping, Sequence
from datetime import datetime

from graph_runtime.contract.channels import SignatureRefused

ID, TIMESTAMP, SIGNATURE = HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
PREFIX = "whsec_"
WINDOW_SECONDS = 300
MOST_SIGNATURES = 10


def new_secret() -> str:
    """A secret as Standard Webhooks writes it: `whsec_` and the base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(randomness.token_bytes(32)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """One entry of the header `webhook-signature`. Raises: SignatureRefused when the secret is damaged."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode()


def signed_headers(secrets: Sequence[str], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers; one signature for each secret, so that a receiver may change over in its own time."""
    timestamp = int(at.timestamp())
    signatures = (signature(secret, message_id, timestamp, body) for secret in secrets)
    return {ID: message_id, TIMESTAMP: str(timestamp), SIGNATURE: " ".join(signatures)}


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    """Judge the raw body. Header names are in lower case. Raises: SignatureRefused."""
    message_id, stamp, given = (headers.get(name, "") for name in HEADERS)
    if not message_id or not stamp or not given:
        raise SignatureRefused("A signature header is missing. Send webhook-id, webhook-timestamp, webhook-signature.")
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 12):
        raise SignatureRefused("The header webhook-timestamp is not a whole number of seconds.")
    if abs(now.timestamp() - int(stamp)) > WINDOW_SECONDS:
        raise SignatureRefused("The signature is more than five minutes old or ahead. Check the sender's clock.")
    expected = [signature(secret, message_id, int(stamp), body).encode() for secret in secrets]
    entries = given.split(" ")[:MOST_SIGNATURES]
    found = [hmac.compare_digest(e, entry.encode("utf-8", "replace")) for e in expected for entry in entries]
    if not any(found):
        raise SignatureRefused("The signature does not fit the body and the secret of this channel.")


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or len(key) < 24:
        raise SignatureRefused("The secret of this channel is damaged. Give it a new one.")
    return key
