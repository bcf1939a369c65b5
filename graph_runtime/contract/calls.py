"""A phone call as turns see it: what was heard, what to speak and what to wait for. No audio here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

MOST_SINGLE_KEYS: Final = 9
PHONE: Final = "phone"
"""The kind of channel that a conversation on a call has (`NodeContext.channel`)."""
LONGEST_HOLD_SECONDS: Final = 120
"""A caller holds the line for no longer than this while the flow waits for time; after it the call is over."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


# Heard: from the call to the turn -------------------------------------------------------------------------------------


class Begin(_Wire):
    """The call has just been attached. The turn says what the caller has not heard yet: the greeting of a new call, the
    answer that a dead process had not finished, or else once more the question that is open."""

    kind: Literal["begin"] = "begin"


class Speech(_Wire):
    """Final text of one utterance. `confidence` 0–1, None when the recogniser gives none; `language` "" when unknown."""

    kind: Literal["speech"] = "speech"
    text: str
    confidence: float | None = Field(None, ge=0, le=1)
    language: str = ""


class Digits(_Wire):
    """Keys pressed, without the terminator: "0"–"9", "*", "#", "A"–"D"."""

    kind: Literal["digits"] = "digits"
    digits: str


class Silence(_Wire):
    """Nothing was heard for `no_input_ms` after everything had been spoken."""

    kind: Literal["silence"] = "silence"


class Recorded(_Wire):
    """What `Record` asked for. `file_id` of the stored sound ("" when nobody spoke), `text` when it was transcribed."""

    kind: Literal["recorded"] = "recorded"
    file_id: str = ""
    duration_ms: int = Field(0, ge=0)
    size: int = Field(0, ge=0)
    text: str = ""


TransferOutcome = Literal["answered", "busy", "no_answer", "declined", "failed"]


class Transferred(_Wire):
    """How a transfer ended. `declined`: the operator did not take the call; `failed`: nobody could be rung."""

    kind: Literal["transferred"] = "transferred"
    result: TransferOutcome


class HungUp(_Wire):
    """The caller has gone. `cause`: Q.850, 0 when unknown."""

    kind: Literal["hung_up"] = "hung_up"
    cause: int = 0


Heard = Annotated[
    Begin | Speech | Digits | Silence | Recorded | Transferred | HungUp, Field(discriminator="kind")
]  # fmt: skip


# What a step waits for on a call: part of `AwaitReply`, kept with the conversation's state -------------------------------


class DigitMap(_Wire):
    """Which keys end an entry: `most` of them, or the `terminator` ("" for none), or `pause_ms` after the last one."""

    most: int = Field(1, ge=1, le=32)
    terminator: Literal["", "#", "*"] = ""
    pause_ms: int = Field(2500, ge=300, le=20_000)


class Listen(_Wire):
    """Wait for the caller.

    `languages`: to be recognised, the conversation's when empty. `hints`: words and phrases that are likely;
    `is_closed`: nothing else is expected, so a small grammar will do. `takes_speech` False: keys only. `digits` None:
    keys are not an answer. `endpoint_ms`: silence that ends an utterance. `no_input_ms`: silence after which `Silence`
    is heard. Both are None where a step leaves them to the line, and always filled in as events. `repeats`: how often
    the question is put again after a silence before the step is told of it. `longest_ms`: an utterance is cut there.
    `min_speech_ms`, `min_words`: what it takes to interrupt.
    """

    kind: Literal["listen"] = "listen"
    languages: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    is_closed: bool = False
    takes_speech: bool = True
    digits: DigitMap | None = None
    endpoint_ms: int | None = Field(None, ge=150, le=5000)
    no_input_ms: int | None = Field(None, ge=500, le=120_000)
    repeats: int = Field(2, ge=0, le=10)
    longest_ms: int = Field(25_000, ge=1000, le=120_000)
    min_speech_ms: int = Field(200, ge=0, le=5000)
    min_words: int = Field(0, ge=0, le=20)


class Record(_Wire):
    """Record the caller until `silence_ms` of silence, a key of `stops_on`, or `longest_ms`. Ends with `Recorded`."""

    kind: Literal["record"] = "record"
    longest_ms: int = Field(120_000, ge=1000, le=3_600_000)
    silence_ms: int = Field(3000, ge=500, le=60_000)
    has_beep: bool = True
    stops_on: str = "#"
    is_transcribed: bool = True


class Transfer(_Wire):
    """Connect the caller to somebody. Speak what is queued, then `PhoneCalls.let_go` and close the socket.

    `target`: a number or extension, or a dial string that names a technology ("PJSIP/100"). `is_warm`: the operator
    hears `summary` first and may decline. `ring_seconds`: how long it rings.
    """

    kind: Literal["transfer"] = "transfer"
    target: str
    is_warm: bool = False
    summary: str = ""
    ring_seconds: int = Field(20, ge=5, le=120)


OnCall = Annotated[Listen | Record | Transfer, Field(discriminator="kind")]
"""What `AwaitReply` waits for when the conversation is a phone call."""


# Events of a turn: from the turn to the call -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Voice:
    """How something is spoken. `name` "" and `rate` 1.0: as the line is set up. `language`: "en", "ru", "uk"."""

    language: str
    name: str = ""
    rate: float = 1.0


@dataclass(frozen=True, slots=True)
class Words:
    """A piece of one message, to be spoken after the pieces before it; plain words, without markup.

    `key` names the message and is the same when a turn is repeated. Pieces of one message may be cut anywhere between
    words. `may_cache`: it is the same for every caller.
    """

    key: str
    text: str
    node_id: str
    voice: Voice
    is_interruptible: bool = True
    may_cache: bool = False


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording inside a message: by address or by the id of a stored file. `text`: its words, which are spoken
    when it cannot be played."""

    key: str
    node_id: str
    voice: Voice
    url: str = ""
    file_id: str = ""
    text: str = ""
    is_interruptible: bool = True


@dataclass(frozen=True, slots=True)
class Drop:
    """What was not spoken yet of this message is void: its model broke off and starts again."""

    key: str


@dataclass(frozen=True, slots=True)
class MessageEnds:
    """All pieces of this message have come; the rest of what is buffered can be spoken."""

    key: str


@dataclass(frozen=True, slots=True)
class WaitBegins:
    """The next words may take a while. `filler` bridges it: "" whatever is usual, None nothing; speakable words else."""

    filler: str | None = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """The flow waits for time until then (aware UTC) while the caller is on the line; the iterator goes on after it."""

    until: datetime


@dataclass(frozen=True, slots=True)
class HangUp:
    """The conversation is over: speak what is queued, then `last_words` if any, `PhoneCalls.let_go`, close the socket.

    `reason`: "ended", "silence", "failed", "waits" (the flow goes on later without the caller).
    """

    reason: str
    voice: Voice
    last_words: str = ""


CallEvent = Words | Sound | Drop | MessageEnds | WaitBegins | Hold | Listen | Record | Transfer | HangUp
"""A turn's iterator ends with exactly one of Listen, Record, Transfer, HangUp, or with nothing after a hang-up."""


@dataclass(frozen=True, slots=True)
class LineSettings:
    """How a phone line speaks, listens and dials. `language` "": the agent's. `voices`: language → name of a voice, ""
    for the engine's own.

    `endpoint_ms`, `no_input_ms`: for steps that do not say. `dial_template`: dial string with `{number}` in it.
    `substitute`: who is rung when the agent cannot answer, "" nobody. `recording_notice`: said at the beginning of a call
    that is recorded, "" the usual sentence.

    `most_calls` at a time, in and out together. `hours` with their time zone: when calls are taken; empty: always.
    `desk`: context,extension,priority of the dialplan for calls that are not taken. `can_call`: calls out are set up;
    they show `caller_id`. `moves_calls`: transfers are begun by us, not asked for by the dialplan. `thinks_ahead`: models
    are asked as soon as a caller is probably done.
    """

    dial_template: str
    language: str = ""
    voices: Mapping[str, str] = field(default_factory=dict)
    rate: float = 1.0
    endpoint_ms: int = 450
    no_input_ms: int = 6000
    is_recorded: bool = False
    recording_notice: str = ""
    substitute: str = ""
    most_calls: int = 50
    hours: tuple[DayHours, ...] = ()
    time_zone: str = "UTC"
    desk: str = "desk,s,1"
    can_call: bool = False
    caller_id: str = ""
    hangs_up_on_machines: bool = True
    moves_calls: bool = False
    thinks_ahead: bool = True


OutgoingResult = Literal[
    "answered", "busy", "no_answer", "rejected", "machine", "unreachable", "failed", "unknown"
]  # fmt: skip
"""How a call out began. `unreachable`: no way to the number; `failed`: the line could not place it; `unknown`: it may have
been placed, nobody said how it ended."""


@dataclass(frozen=True, slots=True)
class OutgoingCall:
    """One call to place. `id`: ours, and the name of its channel, which no second channel can have."""

    id: str
    dial_string: str
    ring_seconds: int


@dataclass(frozen=True, slots=True)
class DayHours:
    """When a line answers on one day of the week (0 Monday), minutes after midnight there; `to` is not in it."""

    day: int
    from_minute: int
    to_minute: int


_NUMBER: Final = re.compile(r"[+*#]?[0-9*#]{1,32}|[A-Za-z][\w.-]{0,31}")
_DIAL_STRING: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{1,15}/[\w.+*#@:/-]{1,150}")


def is_dial_string(target: str) -> bool:
    """Whether a target names its technology ("PJSIP/100@trunk") and so passes the line's template by."""
    return _DIAL_STRING.fullmatch(target) is not None


def is_open(hours: Sequence[DayHours], local: datetime) -> bool:
    """Whether calls are taken at a moment of the line's own time. Hours that end at or before they begin go past
    midnight."""
    if not hours:
        return True
    minute = local.hour * 60 + local.minute
    for h in hours:
        is_late = h.to_minute <= h.from_minute
        if h.day == local.weekday() and h.from_minute <= minute and (is_late or minute < h.to_minute):
            return True
        if is_late and (h.day + 1) % 7 == local.weekday() and minute < h.to_minute:
            return True
    return False


def dialable(target: str) -> str:
    """A number or extension without the signs people write in it; "" when it cannot be dialled.

    Nothing that means something to a dialplan (`,` `&` `|` `(` `$`) ever passes.
    """
    number = re.sub(r"[\s().\u00a0/-]", "", target) if re.search(r"\d", target) else target.strip()
    return number if _NUMBER.fullmatch(number) else ""


@dataclass(frozen=True, slots=True)
class TurnTimes:
    """Stamps of one turn at the wire, milliseconds after the caller stopped speaking; None: it did not come to that.

    The counts are of the call so far; `late_ticks`: frames that its process sent more than 5 ms late, on all its calls.
    """

    soft_end: float | None = None
    hard_end: float | None = None
    final_text: float | None = None
    first_token: float | None = None
    first_sentence: float | None = None
    first_audio: float | None = None
    first_frame: float | None = None
    underruns: int = 0
    late_ticks: int = 0
    false_interruptions: int = 0
    gated_echo: int = 0


_ON_CALL: TypeAdapter[Listen | Record | Transfer] = TypeAdapter(OnCall)


def listen_for(labels: Sequence[str] = (), kind: str = "") -> Listen | None:
    """How a question with options, or with this kind of answer, is listened to; None for free speech.

    Each option has its number as its key; numbers may be keyed in and ended with #.
    """
    if labels:
        two_keys = len(labels) > MOST_SINGLE_KEYS
        return Listen(hints=tuple(labels), digits=DigitMap(most=1 + two_keys, terminator="#" if two_keys else ""))
    if kind in ("number", "phone"):
        return Listen(digits=DigitMap(most=20, terminator="#", pause_ms=3500))
    return None


def load_on_call(data: Any) -> Listen | Record | Transfer | None:
    """What a stored state waits for on a call; None when it says nothing of calls."""
    return _ON_CALL.validate_python(data) if data else None
