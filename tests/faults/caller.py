"""How programs reach the web processes: by HTTP, and at another one when the first hangs up."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from tests.faults.connections import NO_ANSWER, Answer, Connections
from tests.faults.journal import Journal
from tests.faults.talk import Refused

Headers = Callable[[], Mapping[str, str]]


def pause(chance: random.Random, tries: int) -> float:
    """Seconds before the next try, as decent clients grow them: hundreds that knock without pause keep a process from
    starting that shares their cores."""
    return chance.uniform(0.3, 1.0) * float(min(2.0, 0.5 * 1.4**tries))


class Caller:
    """One client. `body` is bytes or a value to be sent as JSON; `headers` are made anew for each request."""

    def __init__(
        self, name: str, addresses: list[str], journal: Journal, chance: random.Random, connections: Connections
    ) -> None:
        self._name = name
        self._journal = journal
        self._chance = chance
        self._connections = connections
        start = chance.randrange(len(addresses))
        self._addresses = itertools.cycle([*addresses[start:], *addresses[:start]])
        self._address = next(self._addresses)

    async def once(self, method: str, path: str, body: Any, headers: Headers) -> Answer | None:
        """One request; None when the connection broke or nobody answered in time."""
        content = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        made = {"content-type": "application/json", **headers()}
        try:
            answer = await self._connections.request(method, self._address, path, made, content)
        except NO_ANSWER as error:
            self._journal.note("no_answer", name=self._name, error=type(error).__name__)
            self._address = next(self._addresses)
            return None
        if answer.status >= 400:
            self._journal.note("status", name=self._name, method=method, status=answer.status)
        return answer

    async def insist(self, method: str, path: str, body: Any, headers: Headers, seconds: float) -> dict[str, Any]:
        """Repeat until it is answered. Raises: Refused, TimeoutError when the seconds are over."""
        until, tries = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            answer = await self.once(method, path, body, headers)
            if answer is not None and answer.status < 300:
                found: dict[str, Any] = answer.json()
                return found
            if answer is not None and not _may_repeat(answer):
                raise Refused(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
            asked = 0.0 if answer is None else answer.retry_after * self._chance.uniform(1.0, 1.5)
            await asyncio.sleep(max(asked, pause(self._chance, tries)))
            tries += 1
        raise TimeoutError


def _may_repeat(answer: Answer) -> bool:
    if answer.status >= 500 or answer.status == 429:
        return True
    return answer.status == 409 and answer.json().get("code") == "still_running"
