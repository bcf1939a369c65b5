"""The generic webhook: signed JSON in, signed JSON out; the receiver folds repeats by `webhook-id`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from connectors.webhook import words as told
from graph_runtime.contract import signatures
from graph_runtime.contract.capabilities import WEBHOOK
from graph_runtime.contract.channels import (
    ChannelHttp,
    ChannelOffer,
    HttpAnswer,
    InboundKind,
    InboundMessage,
    OutboundMessage,
    host_and_port,
    retry_after,
)
from graph_runtime.contract.connectors import CredentialSettings
from graph_runtime.contract.errors import CredentialRejected, InputInvalid, RateLimited, Refused, Unreachable
from graph_runtime.contract.forms import setting
from graph_runtime.contract.messages import Choices, Reply, dump_part, plain_text

SECONDS = 20.0
TRY_AGAIN = frozenset({408, 409, 425})


class Settings(CredentialSettings):
    """Where an agent's messages go, and the secret that both sides sign with."""

    url: str = setting(
        "Address to send to", default="", placeholder="https://example.com/patchcord",
        help="Every message of the agent is posted here.", max_length=2000,
    )  # fmt: skip
    secret: SecretStr = setting("Secret", default=SecretStr(""), help="Patchcord makes it and shows it once.")
    previous_secret: SecretStr = setting(
        "Previous secret", default=SecretStr(""), advanced=True, help="Still valid for a day after a change."
    )
    allow_private_host: bool = setting(
        "The address is inside our own network", default=False, advanced=True,
        help="Only an administrator can switch this on.",
    )  # fmt: skip

    def secrets(self) -> list[str]:
        """The newest first."""
        return [s for field in (self.secret, self.previous_secret) if (s := field.get_secret_value())]


class Event(BaseModel):
    """What the other side posts. `user_id`: who speaks, by their id over there."""

    model_config = ConfigDict(extra="ignore")

    user_id: str = Field(min_length=1, max_length=200)
    kind: Literal["message", "status", "edit", "reaction"] = "message"
    text: str = Field("", max_length=64_000)
    option_id: str = Field("", max_length=200)
    language: str = Field("", max_length=35)
    contact: dict[str, str | int | float | bool | None] = Field(default_factory=dict, max_length=50)


def verify(settings: Settings, body: bytes, headers: Mapping[str, str], now: datetime) -> None:
    """Raises: SignatureRefused."""
    signatures.verify(settings.secrets(), headers, body, now)


def parse(_: Settings, body: bytes, headers: Mapping[str, str]) -> list[InboundMessage]:
    """The one event of a request. Raises: InputInvalid."""
    try:
        event = Event.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputInvalid(told.NO_EVENT.format(place=field or "body", why=first["msg"]), field=field) from None
    if event.kind == "message" and not (event.text.strip() or event.option_id):
        raise InputInvalid(told.NO_WORDS, field="text")
    kind: InboundKind = event.kind if event.kind != "message" else "button" if event.option_id else "text"
    reply = Reply(text=event.text or event.option_id, option_id=event.option_id, language=event.language)
    return [InboundMessage(headers[signatures.ID], event.user_id, reply, kind, event.contact, event.language)]


def payload(message: OutboundMessage) -> str:
    """The body of one message: the same bytes in every attempt."""
    data = {
        "conversation_id": message.conversation_id,
        "user_id": message.recipient,
        "seq": message.seq,
        "text": "\n".join(text for part in message.parts if (text := plain_text(part))),
        "options": [o.model_dump() for part in message.parts if isinstance(part, Choices) for o in part.options],
        "parts": [dump_part(part) for part in message.parts],
    }
    return json.dumps({"type": "message", "data": data}, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


async def send(settings: Settings, message: OutboundMessage, http: ChannelHttp) -> str:
    """Post one message. The receiver's own id of it, if it answers {"id": …}.

    Raises: Unreachable, RateLimited, OutcomeUnknown, Refused, CredentialRejected.
    """
    body = payload(message)
    headers = signatures.signed_headers(settings.secrets(), message.key, message.at, body.encode())
    headers |= {"Content-Type": "application/json", "User-Agent": "Patchcord"}
    answer = await http.request("POST", settings.url, headers=headers, body=body, seconds=SECONDS)
    _judge(answer, message.at)
    return _id_of(answer)


def _judge(answer: HttpAnswer, at: datetime) -> None:
    status = answer.status
    if 200 <= status < 300:
        return
    if status == 429 or (status == 503 and "retry-after" in answer.headers):
        raise RateLimited(told.PAUSE, retry_after=retry_after(answer, at), status=status)
    if status >= 500 or status in TRY_AGAIN:
        raise Unreachable(told.FAILED.format(status=status), status=status)
    if status in (401, 403):
        raise CredentialRejected(told.NOT_SIGNED.format(status=status), status=status)
    raise Refused(told.REFUSED.format(status=status), status=status)


def _id_of(answer: HttpAnswer) -> str:
    try:
        found: Any = json.loads(answer.body)
    except ValueError:
        return ""
    return str(found["id"])[:200] if isinstance(found, dict) and isinstance(found.get("id"), str | int) else ""


def private_host(settings: Settings) -> str:
    """The host that an administrator allowed though it is inside the network."""
    return host_and_port(settings.url) if settings.allow_private_host else ""


OFFER = ChannelOffer(
    capabilities=WEBHOOK,
    send=send,
    verify=verify,
    parse=parse,
    required_headers=signatures.HEADERS,
    makes_secret=True,
    private_host=private_host,
)
