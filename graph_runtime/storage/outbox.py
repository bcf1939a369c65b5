"""Which channels read their messages themselves, and which have them pushed through the outbox."""

from __future__ import annotations

PULLING_CHANNELS = frozenset({"web_chat", "api", "test"})
"""These read the `message` table; a message to any other kind of channel is also an outbox row of the same commit."""


def recipient(channel_kind: str, external_user_id: str | None) -> str | None:
    """To whom the outbox sends; None when the channel pulls."""
    return None if channel_kind in PULLING_CHANNELS else external_user_id
