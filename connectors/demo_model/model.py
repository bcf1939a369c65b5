"""The demo model: a `ChatModel` of rules and word lists. The same question always gets the same answer."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

from connectors.demo_model import fill
from connectors.demo_model.classify import classify
from connectors.demo_model.extract import extract
from connectors.demo_model.judge import judge
from connectors.demo_model.phrases import say
from connectors.demo_model.reply import reply
from connectors.demo_model.words import language_of
from graph_runtime.contract.models import ModelEvent, ModelReply, ModelRequest, ModelUsage, TextDelta

PROVIDER = "demo_model"
NAME = "demo"
MOST_SAID = 4_000  # characters of a person's message that are looked at; pattern search in more takes seconds
MOST_SYSTEM = 60_000
_DAY = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_FOR_WORDS = re.compile(r"reply|answer|text|message|summary|response", re.IGNORECASE)
_PIECES = re.compile(r"\S+\s*|\s+")


class DemoModel:
    """Answers at once, in this process; sends nothing anywhere."""

    provider = PROVIDER

    def __init__(self, name: str = NAME) -> None:
        self.name = name or NAME

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Yield `TextDelta`s of one word each (none when a schema is asked for), then one `ModelReply`."""
        return self._stream(request)

    async def _stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        data = _structured(request)
        text = json.dumps(data, ensure_ascii=False) if data is not None else _text(request)
        if data is None:
            for piece in _PIECES.findall(text):
                yield TextDelta(piece)
                await asyncio.sleep(0)
        asked = sum(len(m.text) for m in request.messages)
        usage = ModelUsage(asked // 4 + 1, len(text) // 4 + 1, cost_microusd=0, estimated=True)
        yield ModelReply(text=text, data=data, usage=usage, model=self.name, provider=PROVIDER)


def _structured(request: ModelRequest) -> dict[str, Any] | None:
    """The structured answer, or None when plain text is wanted."""
    if request.purpose == "classify":
        return _classified(request)
    if request.purpose == "judge":
        return _judged(request)
    if request.purpose == "extract":
        return _extracted(request)
    return _free(request) if request.schema is not None else None


def _classified(request: ModelRequest) -> dict[str, Any]:
    text = _asked(request)
    found = classify(text, list(request.hints.get("classes") or ()))
    if request.schema is None:
        return {"class": found.id or None, "confidence": found.confidence}
    reason = say("chosen", language_of(text, request.language))
    return fill.by_meaning(request.schema, choice=found.id or None, flag=None, share=found.confidence, reason=reason)


def _judged(request: ModelRequest) -> dict[str, Any]:
    text = _asked(request)
    rubric = str(request.hints.get("rubric") or _system(request))
    verdict = judge(text, rubric, language_of(text, request.language))
    if request.schema is None:
        return {"pass": verdict.passed, "reason": verdict.reason}
    word = "pass" if verdict.passed else "fail"
    return fill.by_meaning(
        request.schema, choice=word, flag=verdict.passed, share=float(verdict.passed), reason=verdict.reason
    )


def _extracted(request: ModelRequest) -> dict[str, Any]:
    found = _found(request)
    return found if request.schema is None else _into(request.schema, found)


def _found(request: ModelRequest) -> dict[str, Any]:
    fields = list(request.hints.get("fields") or ()) or _fields_of(request.schema or {})
    return extract(_said(request), fields, _today(request), asked=str(request.hints.get("asked") or ""))


def _into(schema: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, part in (schema.get("properties") or {}).items():
        inner = fill.opened(part)
        if name not in found and fill.kind(inner) == "object":
            out[name] = _into(inner, found)
        else:
            out[name] = fill.fitted(part, found.get(name))
    return out


def _fields_of(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Fields to look for, read from a schema."""
    formats = {"date": "date", "date-time": "datetime", "time": "time", "email": "email", "uri": "url"}
    out = []
    for name, part in fill.properties(schema).items():
        kind = formats.get(str(part.get("format")), fill.kind(part))
        about = {"label": part.get("title", ""), "hint": part.get("description", "")}
        choices = [e for e in part.get("enum", ()) if e is not None]
        out.append({"name": name, "type": kind, **about, "options": choices})
    return out


def _free(request: ModelRequest) -> dict[str, Any]:
    """A structured answer to a free prompt: what the person's words hold; a field for text gets the reply."""
    schema = request.schema or {}
    found = _found(request)
    for name, part in fill.properties(schema).items():
        is_text = fill.kind(part) == "string" and not part.get("enum")
        if is_text and found.get(name) is None and _FOR_WORDS.search(name):
            found[name] = _text(request)
    return _into(schema, found)


def _text(request: ModelRequest) -> str:
    if request.purpose == "reword":  # it knows no other words
        return str(request.hints.get("text") or "")
    return reply(_system(request), _last(request), request.language)


def _asked(request: ModelRequest) -> str:
    """The text to classify or judge."""
    given = next((request.hints[k] for k in ("text", "answer") if k in request.hints), None)
    return (_last(request) if given is None else str(given))[:MOST_SAID]


def _system(request: ModelRequest) -> str:
    return "\n".join(m.text for m in request.messages if m.role == "system")[:MOST_SYSTEM]


def _last(request: ModelRequest) -> str:
    return next((m.text[:MOST_SAID] for m in reversed(request.messages) if m.role == "user"), "")


def _said(request: ModelRequest) -> list[str]:
    """What the person wrote, newest first."""
    if request.hints.get("text"):
        return [str(request.hints["text"])[:MOST_SAID]]
    return [m.text[:MOST_SAID] for m in reversed(request.messages) if m.role == "user"]


def _today(request: ModelRequest) -> date | None:
    """The contact's day: a hint, or the day that the step's instructions tell the model."""
    told = str(request.hints.get("today") or "") or _system(request)
    found = _DAY.search(told)
    try:
        return date.fromisoformat(found[0]) if found else None
    except ValueError:
        return None
