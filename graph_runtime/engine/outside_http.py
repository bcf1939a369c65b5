"""A step's calls to web services: recorded, repeated where that is safe, and only shown where a test must not act."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from graph_runtime.contract import events as happened
from graph_runtime.contract.errors import (
    BadAnswer,
    ConnectorError,
    NodeFailed,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unreachable,
)
from graph_runtime.contract.http import SAFE_METHODS, HttpReply
from graph_runtime.contract.outside_words import failure, sentence
from graph_runtime.engine.checkpoint import json_values
from graph_runtime.engine.effects import once
from graph_runtime.engine.turn import CallsHttp, TurnRun

MOST_TRIES: Final = 3
LONGEST_PAUSE: Final = 5.0
MAX_KEPT: Final = 1_000_000
"""Bytes of an answer that a step may bring into the conversation's journal."""
_DID_NOTHING: Final = frozenset({429})
_TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class HttpCall:
    """What a step asks for."""

    method: str
    url: str
    headers: dict[str, str]
    body: Any
    seconds: float
    connection: str
    tries: int

    @property
    def is_safe(self) -> bool:
        """Whether it changes nothing on the other side."""
        return self.method in SAFE_METHODS

    @property
    def what(self) -> str:
        """For people: no query, which may hold personal data."""
        return f"{self.method} {urlsplit(self.url)._replace(query='', fragment='').geturl()}"[:300]


async def call_http(turn: TurnRun, node_id: str, key: str, call: HttpCall) -> HttpReply:
    """Raises: ConnectorError."""
    if turn.trigger.is_test and not call.is_safe:
        shown = {"headers": call.headers, "body": json_values(call.body), "connection": call.connection}
        turn.emit(happened.OutsideCalled, node_id=node_id, what=call.what, is_planned=True, details=shown)
        return HttpReply(0, was_sent=False)
    began = time.perf_counter()

    async def go() -> dict[str, Any]:
        door = await _door(turn, node_id, call)
        reply = await _tried(door, call, _with_key(call, key))
        if len(str(reply.body)) > MAX_KEPT:
            raise failure(Refused, "kept_too_large", limit=MAX_KEPT)
        return {"status": reply.status, "headers": dict(reply.headers), "body": reply.body}

    outcome, replayed = "", False
    try:
        data, replayed = await once(turn.doors.effects, key, "http", node_id, go)
        outcome = str(data["status"])
    except ConnectorError as error:
        outcome = error.code
        raise
    finally:
        ms = round((time.perf_counter() - began) * 1000, 1)
        turn.emit(happened.OutsideCalled, node_id=node_id, what=call.what, outcome=outcome, ms=ms, replayed=replayed)
    return HttpReply(int(data["status"]), data.get("headers", {}), data["body"])


async def _door(turn: TurnRun, node_id: str, call: HttpCall) -> CallsHttp:
    doors = turn.doors
    if call.connection and doors.connections is not None:
        return await doors.connections.http(call.connection)
    if doors.http is None or call.connection:
        raise NodeFailed(sentence("no_services"), node_id=node_id)
    return doors.http


def _with_key(call: HttpCall, key: str) -> dict[str, str]:
    """A service that knows the header folds repeats of the same step, whichever process makes them."""
    if call.is_safe or any(name.lower() == "idempotency-key" for name in call.headers):
        return call.headers
    return call.headers | {"Idempotency-Key": hashlib.sha256(key.encode()).hexdigest()[:32]}


async def _tried(door: CallsHttp, call: HttpCall, headers: dict[str, str]) -> HttpReply:
    left = min(max(call.tries, 1), MOST_TRIES)
    pause = 0.3
    while True:
        left -= 1
        wait: float | None = pause
        try:
            reply = await door.call(call.method, call.url, headers=headers, body=call.body, seconds=call.seconds)
        except (Unreachable, OutcomeUnknown, RateLimited, BadAnswer) as error:
            if not left or (isinstance(error, OutcomeUnknown | BadAnswer) and not call.is_safe):
                raise
            wait = getattr(error, "retry_after", None) or pause
        else:
            if not left or reply.status not in (_TRY_AGAIN if call.is_safe else _DID_NOTHING):
                return reply
            wait = _asked_for(reply, pause)
            if wait is None:
                return reply
        await asyncio.sleep(min(wait, LONGEST_PAUSE))
        pause *= 3


def _asked_for(reply: HttpReply, otherwise: float) -> float | None:
    """Seconds to wait before another try; None when that is longer than a step should."""
    given = str(reply.headers.get("retry-after", "")).strip()
    if not given.isdecimal():
        return otherwise
    return float(given) if float(given) <= LONGEST_PAUSE else None
