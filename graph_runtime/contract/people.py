"""People in a conversation as steps see them: whom to ask for, where they wait, and what they did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Literal, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field

from graph_runtime.contract.models import ModelMessage, ModelRequest

PRIORITIES = ("low", "normal", "high", "urgent")


class SaidLine(Protocol):
    """A line of a transcript, as `messages.SaidMessage` is one."""

    @property
    def role(self) -> str: ...

    @property
    def text(self) -> str: ...


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class HandOff(_Wire):
    """A person is to take the conversation over; part of `AwaitReply`. `queue_id` "": whoever is there.

    `return_by` says who may give it back: its "holder", everybody of the "queue", "nobody".
    """

    queue_id: str = ""
    summary: str = Field("", max_length=4000)
    priority: Literal["low", "normal", "high", "urgent"] = "normal"
    return_by: Literal["holder", "queue", "nobody"] = "queue"


class QueueFacts(_Wire):
    """A queue as a step sees it. `number`: where calls are transferred, "" for none."""

    id: str
    name: str
    number: str = ""


class PersonDid(_Wire):
    """What a person did: took the conversation, or gave it back with a note and an outcome."""

    event: Literal["accepted", "returned"]
    name: str = ""
    note: str = ""
    outcome: str = ""


def is_working_time(now: datetime, timezone: str, last_day: int, opens_at: str, closes_at: str) -> bool:
    """Whether people answer at a moment. `last_day`: 5 Friday, 7 Sunday; times as "09:00"; an unknown zone is UTC.

    Hours that end before they begin go over midnight.
    """
    try:
        zone: tzinfo = ZoneInfo(timezone.strip() or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = UTC
    local = now.astimezone(zone)
    opens, closes = time.fromisoformat(opens_at), time.fromisoformat(closes_at)
    if opens < closes:
        return local.isoweekday() <= last_day and opens <= local.time() < closes
    began = local if local.time() >= opens else local - timedelta(days=1)
    return began.isoweekday() <= last_day and (local.time() >= opens or local.time() < closes)


def summary_request(history: Sequence[SaidLine], language: str) -> ModelRequest:
    """What a model is asked for, so that the colleague need not read everything. `language`: "en", "ru", "uk"."""
    lines = [f"{'Client' if line.role == 'contact' else 'Agent'}: {line.text}" for line in history if line.text]
    words = "\n".join(lines)
    messages = (ModelMessage("system", _SUMMARY.format(language=_LANGUAGES.get(language, language))),)
    return ModelRequest(
        (*messages, ModelMessage("user", words or "…")),
        max_tokens=300,
        seconds=20.0,
        hints={"text": words},
        language=language,
    )


_LANGUAGES = {"en": "English", "ru": "Russian", "uk": "Ukrainian"}
_SUMMARY = (
    "A colleague takes this conversation over. Tell them in at most four short sentences, in {language}, who the client "
    "is, what they want, what was agreed and what is still open. Use only what is in the conversation."
)
