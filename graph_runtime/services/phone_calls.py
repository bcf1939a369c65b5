"""Phone calls: announced by the telephone system, attached by the media process, held as turns of a conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from graph_runtime.contract.calls import CallEvent, Heard, LineSettings, TurnTimes
from graph_runtime.services.channel_access import ChannelAccess


@dataclass(slots=True)
class PhoneCall:
    """One attached call. `epoch` counts attachments: an older holder of the same call finds itself replaced.

    `is_new`: this is the first attachment; otherwise a process died or a transfer was not answered, and `Begin` goes on.
    """

    uuid: str
    workspace_id: str
    agent_id: str
    channel_id: str
    conversation_id: str
    language: str
    line: LineSettings
    from_number: str
    did: str
    epoch: int
    is_new: bool
    access: ChannelAccess
    heard: int = field(default=0)
    """How many things were heard since this attachment."""


class PhoneCalls:
    """The way in for telephone systems and the media process. All that matters is committed before it is spoken of."""

    async def announce(self, secret: str, uuid: str, from_number: str, did: str) -> None:
        """A call is about to arrive. Raises: NotFound (secret), InputInvalid (uuid), Conflict (nobody answers)."""
        raise NotImplementedError

    async def attach(self, uuid: str) -> PhoneCall:
        """Audio has connected. Only announced calls that are not over; one attachment at a time holds the call.

        Raises: NotFound, Conflict (agent off, nothing published).
        """
        raise NotImplementedError

    def turn(self, call: PhoneCall, heard: Heard) -> AsyncIterator[CallEvent]:
        """One thing heard becomes a committed trigger; then what the agent says, while its turn runs.

        Stop reading at any time (interruption): the turn itself goes on and is committed. Raises: Replaced when another
        attachment holds the call.
        """
        raise NotImplementedError

    async def heard_until(self, call: PhoneCall, key: str, text: str) -> None:
        """The caller interrupted the message `key` after hearing `text` of it: a model that still writes it is stopped,
        what is kept of it is cut to that, messages of the turn after it are marked as unheard."""
        raise NotImplementedError

    async def spoken(self, call: PhoneCall) -> None:
        """Everything said so far was played to the end: a later attachment need not say it again."""
        raise NotImplementedError

    async def let_go(self, call: PhoneCall, *, again: bool = False) -> None:
        """The last event was carried out as far as it is ours: the dialplan may transfer or hang up. Then close the
        socket. `again`: this process ends at a turn boundary and another one takes the call."""
        raise NotImplementedError

    async def next(self, secret: str, uuid: str, dial_status: str = "") -> str:
        """What the dialplan does now: "transfer|DIALSTRING|SECONDS", "hangup", "again" (at once, closed on purpose), or
        "wait" (connect again, counting). `dial_status`: DIALSTATUS of the transfer it was told before. Raises: NotFound.
        """
        raise NotImplementedError

    async def hung_up(self, secret: str, uuid: str, cause: int, dial_status: str = "") -> None:
        """The channel is gone. Raises: NotFound."""
        raise NotImplementedError

    async def keep_recording(self, call: PhoneCall, wav: bytes) -> str:
        """Store a recording of the caller; its file id, for `Recorded`. Raises: TooLarge."""
        raise NotImplementedError

    async def measured(self, call: PhoneCall, times: TurnTimes) -> None:
        """Stamps of the turn that was spoken last; shown beside its first message."""
        raise NotImplementedError

    async def recorded_call(self, call: PhoneCall, path: str) -> None:
        """Where the recording of the whole call is kept."""
        raise NotImplementedError
