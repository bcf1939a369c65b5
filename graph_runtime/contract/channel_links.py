"""What passes between a channel and its vendor besides messages: accounts, files, and events that are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

MAX_FILE_BYTES: Final = 20_000_000


@dataclass(frozen=True, slots=True)
class Account:
    """Whose a channel is over there. `id`: the vendor's, one channel for each; `link`: where contacts find it, or "".

    `settings`: what the vendor told that the channel's settings keep.
    """

    id: str
    name: str
    link: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InboundFile:
    """A file at the vendor. `ref`: what `fetch` needs to get it. `size` in bytes, 0 when the vendor does not say."""

    ref: str
    media: Literal["image", "audio", "video", "document"] = "document"
    mime: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class OutboundFile:
    """A stored file that a message sends."""

    name: str
    mime: str
    content: bytes


@dataclass(frozen=True, slots=True)
class PolledEvent:
    """One event as the vendor gave it, ready for `parse`. `cursor`: where to go on once it is stored."""

    body: bytes
    cursor: str


@dataclass(frozen=True, slots=True)
class Polled:
    """What was asked for, in the vendor's order. `cursor`: where to go on after all of it."""

    events: tuple[PolledEvent, ...]
    cursor: str
