"""Asks models for a step: the one place that repeats, falls back, pauses a broken model and counts the cost."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from graph_runtime.contract.errors import BadAnswer, BuilderError, ConnectorError, RateLimited, Unreachable
from graph_runtime.contract.models import ChatModel, ModelReply, ModelRequest, TextDelta
from graph_runtime.contract.outside_words import sentence
from graph_runtime.engine.breaker import Breakers
from graph_runtime.engine.prices import cost_microusd
from graph_runtime.telemetry.metrics import RATE_LIMITED

PAUSED = sentence("model_paused")
NONE_CHOSEN = sentence("no_model")

OnDelta = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model that may be asked. `open` is called only when its turn comes; `account` names the credential."""

    account: str
    open: Callable[[], Awaitable[ChatModel]]
    name: str = ""

    @classmethod
    def ready(cls, model: ChatModel, account: str = "") -> ModelSource:
        """A model that is open already."""

        async def opened() -> ChatModel:
            return model

        return cls(account or str(getattr(model, "account", "")), opened, model.name)


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One attempt, for the observers: `seconds` it took, `first_seconds` until its first text, `error` a code or ""."""

    account: str
    provider: str
    model: str
    seconds: float
    first_seconds: float | None = None
    error: str = ""
    reply: ModelReply | None = None


@dataclass(frozen=True, slots=True)
class RetryRules:
    """How stubborn to be. Seconds throughout."""

    tries: int = 3
    first_pause: float = 0.5
    longest_pause: float = 8.0
    longest_retry_after: float = 10.0
    least_time: float = 0.5


CALL_SECONDS: Final = 9.5
"""When a caller hears the apology for a long wait, the next model is being asked; a third of them nobody waits for."""


SHORT_SECONDS: Final = 60.0
"""So long after a vendor's limit was met its account counts as short."""


class ModelRunner:
    """One for a process. `clock`, `sleep` and `chance` (0…1) are given so that tests can move time."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        rules: RetryRules | None = None,
        on_call: Callable[[ModelCall], None] | None = None,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._rules = rules or RetryRules()
        self._on_call = on_call or (lambda _: None)
        self._short_until: dict[str, float] = {}
        self.breakers = Breakers(clock)

    async def run(
        self,
        request: ModelRequest,
        models: Sequence[ModelSource | ChatModel],
        on_delta: OnDelta | None = None,
        on_reset: Callable[[], None] | None = None,
    ) -> ModelReply:
        """The first good answer of the chain, with its cost.

        `on_delta` receives text while it comes. When an answer breaks off after some text was shown, `on_reset` says
        that all of it is void; that model is not asked again, the next one is. Each model has `request.seconds`,
        its repetitions included.

        Raises: the ConnectorError of the last model asked.
        """
        last: BuilderError = Unreachable(NONE_CHOSEN, reason="no_model")
        for given in models:
            source = given if isinstance(given, ModelSource) else ModelSource.ready(given)
            try:
                return await self._ask(source, request, _Output(on_delta, on_reset))
            except BuilderError as error:
                last = error
        raise last

    def is_short(self, models: Sequence[ModelSource | ChatModel]) -> bool:
        """Whether an account of these was held back by its limits in the last minute: it is asked only for what must be."""
        sources = (m if isinstance(m, ModelSource) else ModelSource.ready(m) for m in models)
        return any(self._clock() < self._short_until.get(source.account, 0.0) for source in sources)

    async def _ask(self, source: ModelSource, request: ModelRequest, output: _Output) -> ModelReply:
        deadline = self._clock() + request.seconds
        first_deadline = self._clock() + request.first_token_seconds
        model = await source.open()
        key = (model.provider, source.account)
        attempt = 0
        while True:
            attempt += 1
            if not self.breakers.admits(key):
                raise Unreachable(PAUSED, reason="paused", seconds=round(self.breakers.seconds_left(key)))
            left = replace(request, seconds=deadline - self._clock())
            if request.is_live:
                left = replace(left, first_token_seconds=first_deadline - self._clock())
            try:
                return await self._attempt(source, key, model, left, output)
            except ConnectorError as error:
                output.drop()
                pause = self._pause(error, attempt, output)
                last_chance = first_deadline if request.is_live else deadline
                if pause is None or self._clock() + pause + self._rules.least_time > last_chance:
                    raise
                await self._sleep(pause)

    async def _attempt(
        self, source: ModelSource, key: tuple[str, str], model: ChatModel, request: ModelRequest, output: _Output
    ) -> ModelReply:
        began, first, error = self._clock(), None, "cancelled"
        reply: ModelReply | None = None
        events = model.stream(request)
        try:
            async for event in events:
                if isinstance(event, TextDelta):
                    first = self._clock() - began if first is None else first
                    output.show(event.text)
                else:
                    reply = event
            if reply is None:
                raise BadAnswer(sentence("model_broke_off"))
            reply = _priced(reply)
            error = ""
            self.breakers.succeeded(key)
            return reply
        except ConnectorError as failure:
            error = failure.code
            if isinstance(failure, RateLimited):
                RATE_LIMITED.labels("model").inc()
                self._short_until[source.account] = self._clock() + SHORT_SECONDS
            if isinstance(failure, Unreachable | BadAnswer):
                self.breakers.failed(key)
            raise
        finally:
            if (close := getattr(events, "aclose", None)) is not None:
                await close()  # or the connection would stay until the garbage is collected
            self.breakers.released(key)
            name = reply.model if reply else model.name
            self._on_call(ModelCall(source.account, model.provider, name, self._clock() - began, first, error, reply))

    def _pause(self, error: ConnectorError, attempt: int, output: _Output) -> float | None:
        """Seconds before the same model may be asked again, or None: it may not."""
        rules = self._rules
        if not error.retryable or output.was_shown or attempt >= rules.tries:
            return None
        if isinstance(error, RateLimited) and error.retry_after is not None:
            return error.retry_after if error.retry_after <= rules.longest_retry_after else None
        return self._chance() * min(rules.longest_pause, rules.first_pause * 2.0 ** (attempt - 1))


def in_time_for_a_call(request: ModelRequest, *, is_streamed: bool) -> ModelRequest:
    """Somebody waits on the line: a model that has nothing to say by then gives way to the next one."""
    first = min(request.first_token_seconds, CALL_SECONDS)
    seconds = request.seconds if is_streamed else min(request.seconds, CALL_SECONDS)
    return replace(request, first_token_seconds=first, seconds=seconds, is_live=True)


class _Output:
    """What the contact sees of one model's answer while it comes."""

    def __init__(self, on_delta: OnDelta | None, on_reset: Callable[[], None] | None) -> None:
        self._on_delta = on_delta
        self._on_reset = on_reset
        self.was_shown = False

    def show(self, text: str) -> None:
        if self._on_delta is not None and text:
            self.was_shown = True
            self._on_delta(text)

    def drop(self) -> None:
        """Take back what was shown."""
        if self.was_shown and self._on_reset is not None:
            self._on_reset()


def _priced(reply: ModelReply) -> ModelReply:
    if reply.usage.cost_microusd is not None:
        return reply
    cost = cost_microusd(reply.provider, reply.model, reply.usage)
    return replace(reply, usage=replace(reply.usage, cost_microusd=cost))
