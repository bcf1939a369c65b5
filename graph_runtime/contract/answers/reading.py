"""One door for every kind of answer: what was meant, or why it cannot be taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from graph_runtime.contract.answers.dates import DateOrder, read_date
from graph_runtime.contract.answers.numbers import read_number
from graph_runtime.contract.answers.short import read_email, read_phone, read_rating, read_yes_no
from graph_runtime.contract.messages import Reply

AnswerKind = Literal["text", "number", "email", "phone", "date", "file", "rating", "yes_no"]
Problem = Literal["", "empty", "unreadable", "too_small", "too_large", "too_long", "too_early"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRules:
    """What is accepted. `minimum` and `maximum` bound a number, and a rating's scale; `today` is the contact's day."""

    kind: AnswerKind
    today: date
    language: str = "en"
    region: str = ""
    date_order: DateOrder = "dmy"
    is_future_only: bool = False
    minimum: float | None = None
    maximum: float | None = None
    max_length: int = 4000


@dataclass(frozen=True, slots=True)
class Parsed:
    """A JSON value, or the problem: `value` is None exactly when `problem` is set."""

    value: Any = None
    problem: Problem = ""


def read_answer(reply: Reply, rules: AnswerRules) -> Parsed:
    """Read a reply by the rules. Never raises."""
    if rules.kind == "file":
        files = [a.model_dump() for a in reply.attachments]
        return Parsed(files[0]) if files else Parsed(problem="unreadable")
    text = reply.text.strip()
    if not text and not reply.option_id:
        return Parsed(problem="empty")
    if rules.kind == "text":
        return Parsed(text) if len(text) <= rules.max_length else Parsed(problem="too_long")
    if rules.kind == "number":
        return _bounded(read_number(text, rules.language), rules)
    if rules.kind == "date":
        day = read_date(text, rules.today, rules.date_order)
        if day is not None and rules.is_future_only and day < rules.today:
            return Parsed(problem="too_early")
        return _or_unreadable(day.isoformat() if day else None)
    if rules.kind == "yes_no":
        pressed = {"yes": True, "no": False}.get(reply.option_id)
        return _or_unreadable(read_yes_no(text) if pressed is None else pressed)
    if rules.kind == "email":
        return _or_unreadable(read_email(text))
    if rules.kind == "phone":
        return _or_unreadable(read_phone(text, rules.language, rules.region))
    lowest = int(1 if rules.minimum is None else rules.minimum)
    highest = int(5 if rules.maximum is None else rules.maximum)
    return _or_unreadable(read_rating(text, rules.language, lowest=lowest, highest=highest))


def _or_unreadable(value: Any) -> Parsed:
    return Parsed(problem="unreadable") if value is None else Parsed(value)


def _bounded(value: float | None, rules: AnswerRules) -> Parsed:
    if value is None:
        return Parsed(problem="unreadable")
    if rules.minimum is not None and value < rules.minimum:
        return Parsed(problem="too_small")
    if rules.maximum is not None and value > rules.maximum:
        return Parsed(problem="too_large")
    return Parsed(value)


def contact_today(now: datetime, timezone: Any) -> date:
    """The day it is where the contact lives; UTC when their time zone is unknown."""
    if isinstance(timezone, str) and 0 < len(timezone) < 60:
        try:
            return now.astimezone(ZoneInfo(timezone)).date()
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    return now.date()
