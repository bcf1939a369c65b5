"""Channels: how a connector takes in what contacts send and delivers what agents say, without storage or a web server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlsplit

from graph_runtime.contract.calls import LineSettings, OutgoingCall, OutgoingResult
from graph_runtime.contract.capabilities import Capabilities
from graph_runtime.contract.channel_links import Account, InboundFile, OutboundFile, Polled
from graph_runtime.contract.errors import NotSignedIn
from graph_runtime.contract.messages import Part, Reply

InboundKind = Literal[
    "text", "button", "attachment", "location", "contact", "command", "reaction", "edit", "echo", "status", "system"
]
STARTS_A_TURN: Final = frozenset({"text", "button", "attachment", "location", "contact", "command"})
"""Every other kind is acknowledged and never answered."""
KEPT_OF_AN_ANSWER: Final = 64_000
EVIDENCE_SECONDS: Final = 20.0
LONGEST_PAUSE_SECONDS: Final = 86_400.0
_PORTS: Final = {"http": 80, "https": 443}


class SignatureRefused(NotSignedIn):
    """A webhook that its sender did not sign as agreed."""

    code = "signature_refused"


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One event of a vendor in our words.

    `dedupe_key` is the vendor's own id of the event, unique in the channel. `delivered_key` and `vendor_id`: in a
    status or echo, our key that came back with it and the vendor's id, which prove that a message of ours arrived.
    `files`: what was attached; the host fetches them. `receipt`: what `acknowledge` needs to thank for this event.
    `follows_seconds`: the vendor sends one message in pieces, and the next one comes within this time.
    `begins_anew`: the contact starts over, so an open conversation ends. `reachable`: the contact blocked or unblocked us.
    """

    dedupe_key: str
    external_user_id: str
    reply: Reply = field(default_factory=Reply)
    kind: InboundKind = "text"
    contact: Mapping[str, Any] = field(default_factory=dict)
    language: str = ""
    delivered_key: str = ""
    vendor_id: str = ""
    files: tuple[InboundFile, ...] = ()
    receipt: str = ""
    follows_seconds: float = 0.0
    begins_anew: bool = False
    reachable: bool | None = None

    @property
    def starts_a_turn(self) -> bool:
        """Whether the agent answers it."""
        return self.kind in STARTS_A_TURN


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """What one request delivers. `key` is the same in every attempt; it is the vendor's idempotency key if there is one.

    `at`: the database's clock when the attempt began. `seq`: place in the transcript. `attempt` counts from 1.
    `files`: content of the stored files that the parts name, by their id.
    """

    key: str
    recipient: str
    parts: tuple[Part, ...]
    conversation_id: str
    seq: int
    attempt: int
    at: datetime
    files: Mapping[str, OutboundFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def retry_after(answer: HttpAnswer, at: datetime) -> float | None:
    """Seconds of pause that an answer asks for, at most a day; None when it asks for none. `at`: when it was asked."""
    given = answer.headers.get("retry-after", "").strip()
    if given.isascii() and given.isdecimal():
        return min(float(given), LONGEST_PAUSE_SECONDS)
    try:
        return max(0.0, min((parsedate_to_datetime(given) - at).total_seconds(), LONGEST_PAUSE_SECONDS))
    except (ValueError, TypeError):
        return None


def host_and_port(url: str) -> str:
    """ "host:port" of an address, as private hosts are named; "" when it has no host."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or _PORTS.get(parts.scheme, 443)}" if parts.hostname else ""


class ChannelHttp(Protocol):
    """The guarded way out, which repeats nothing. Of an answer's body the first `keep` bytes are kept.

    Raises: Unreachable (nothing was delivered), OutcomeUnknown, Refused (address, size).
    """

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: str | bytes = "",
        seconds: float = 20.0,
        keep: int = KEPT_OF_AN_ANSWER,
    ) -> HttpAnswer: ...


@dataclass(frozen=True, slots=True)
class Rate:
    """At most so many messages in any so many seconds, `burst` of them at once.

    A burst larger than `messages` says that the receiver tolerates more for a moment; only the long run counts then.
    """

    messages: float
    seconds: float = 1.0
    burst: int = 1


@dataclass(frozen=True, kw_only=True)
class ChannelOffer:
    """What a connector knows about its channels; functions are called with its own settings object.

    `required_headers` are looked for before anything is read from the database. `verify(settings, body, headers, now)`
    judges the raw bytes and raises SignatureRefused; `parse(settings, body, headers)` turns them into messages and raises
    InputInvalid. `send(settings, message, http)` makes one request, never repeats it, returns the vendor's id ("" when
    it gives none) and raises Unreachable (not delivered), RateLimited, OutcomeUnknown, Refused or CredentialRejected.
    `find(settings, message, http)` of a RECONCILE channel looks for an earlier attempt: its vendor id, or None.
    `one_part_per_request`: each part of a message is a request of its own, remembered one by one.
    `key_seconds`: how long the receiver of a KEYED channel remembers keys; None: long enough.
    `makes_secret`: the settings have `secret` and `previous_secret`, which Patchcord makes and changes by itself;
    `secret_is_address`: it is part of an address that the other side calls, where it also tells which channel is meant.
    `line(settings)` of a phone line: how it speaks, listens and dials. Calls come in through the telephone system and
    nothing is sent, so such a channel needs no `send`.
    `place(settings, call)` of a phone line rings and returns how that ended. Raises: Unreachable, CredentialRejected,
    Refused (nobody was rung), OutcomeUnknown (somebody may have been).
    `move(settings, channel, http)` of a phone line that `moves_calls`: the telephone system takes a call, by the name it
    announced, out of its audio and asks whom to ring. Raises: Unreachable, CredentialRejected, Refused, OutcomeUnknown.
    `private_host(settings)`: "host:port" inside the network that an administrator allowed for this channel, or "".
    `identify(settings, http)`: whose account the settings lead to; asked when the channel is set up, and one account
    serves one channel. Raises: CredentialRejected, Unreachable.
    `subscribe(settings, address, http)`: from now on the vendor posts to this address; "" and it stops.
    `poll(settings, cursor, seconds, http)`: what happened after the cursor, waiting for it at most so long; used where the
    vendor cannot reach us. Raises: CredentialRejected, RateLimited, Unreachable, Conflict (somebody else asks too).
    `acknowledge(settings, message, http)`: a courtesy after an event is stored (a button stops spinning, "typing…"
    appears); what it raises is forgotten. `fetch(settings, file, http)`: the bytes of an attached file. Raises: Refused
    (gone, too large), Unreachable, RateLimited.
    `signs_buttons`: option ids reach `send` as a signed payload of at most 64 bytes, and `parse` gives that back as
    `option_id`: an old or a forged button never answers another question.
    `recipient_limits(recipient)`: further rates, each with the name of what it counts (a group that several share).
    """

    capabilities: Capabilities
    send: Callable[[Any, OutboundMessage, ChannelHttp], Awaitable[str]] | None = None
    verify: Callable[[Any, bytes, Mapping[str, str], datetime], None] | None = None
    parse: Callable[[Any, bytes, Mapping[str, str]], Sequence[InboundMessage]] | None = None
    find: Callable[[Any, OutboundMessage, ChannelHttp], Awaitable[str | None]] | None = None
    required_headers: tuple[str, ...] = ()
    makes_secret: bool = False
    secret_is_address: bool = False
    line: Callable[[Any], LineSettings] | None = None
    place: Callable[[Any, OutgoingCall], Awaitable[OutgoingResult]] | None = None
    move: Callable[[Any, str, ChannelHttp], Awaitable[None]] | None = None
    one_part_per_request: bool = False
    evidence_seconds: float = EVIDENCE_SECONDS
    key_seconds: float | None = None
    private_host: Callable[[Any], str] | None = None
    channel_rate: Rate | None = None
    recipient_rate: Rate | None = None
    recipient_limits: Callable[[str], Sequence[tuple[str, Rate]]] | None = None
    identify: Callable[[Any, ChannelHttp], Awaitable[Account]] | None = None
    subscribe: Callable[[Any, str, ChannelHttp], Awaitable[None]] | None = None
    poll: Callable[[Any, str, float, ChannelHttp], Awaitable[Polled]] | None = None
    acknowledge: Callable[[Any, InboundMessage, ChannelHttp], Awaitable[None]] | None = None
    fetch: Callable[[Any, InboundFile, ChannelHttp], Awaitable[bytes]] | None = None
    signs_buttons: bool = False
