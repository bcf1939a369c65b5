"""Repeating, falling back, pausing and counting, with a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from graph_runtime.contract.errors import (
    BadAnswer,
    ConnectorError,
    CredentialRejected,
    NotFound,
    RateLimited,
    Refused,
    Unreachable,
)
from graph_runtime.contract.models import (
    ChatModel,
    ModelEvent,
    ModelMessage,
    ModelReply,
    ModelRequest,
    ModelUsage,
    TextDelta,
)
from graph_runtime.engine.models import ModelCall, ModelRunner, ModelSource

pytestmark = pytest.mark.asyncio

ASK = ModelRequest((ModelMessage("user", "Hi"),), seconds=60)
Script = Sequence[str | Exception | float]


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class ScriptedModel:
    """Plays one script a call: texts are streamed, numbers let time pass, exceptions are raised. The last one stays."""

    def __init__(self, clock: Clock, *scripts: Script, name: str = "gpt-5-mini", provider: str = "openai") -> None:
        self.provider = provider
        self.name = name
        self.requests: list[ModelRequest] = []
        self._clock = clock
        self._scripts = list(scripts)

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        self.requests.append(request)
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        return self._play(script)

    async def _play(self, script: Script) -> AsyncIterator[ModelEvent]:
        text = ""
        for part in script:
            await asyncio.sleep(0)
            if isinstance(part, Exception):
                raise part
            if isinstance(part, float):
                self._clock.now += part
                continue
            text += part
            yield TextDelta(part)
        yield ModelReply(text, usage=ModelUsage(1000, 100, 200), model=self.name, provider=self.provider)


class Screen:
    """What a person would see."""

    def __init__(self) -> None:
        self.text = ""
        self.resets = 0

    def add(self, text: str) -> None:
        self.text += text

    def reset(self) -> None:
        self.text = ""
        self.resets += 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def calls() -> list[ModelCall]:
    return []


@pytest.fixture
def runner(clock: Clock, calls: list[ModelCall]) -> ModelRunner:
    return ModelRunner(clock=clock, sleep=clock.sleep, chance=lambda: 1.0, on_call=calls.append)


def down() -> Unreachable:
    return Unreachable("down")


async def test_the_answer_has_its_cost_and_is_reported(
    runner: ModelRunner, clock: Clock, calls: list[ModelCall]
) -> None:
    screen = Screen()
    reply = await runner.run(ASK, [ScriptedModel(clock, [0.4, "Good ", 0.6, "day"])], screen.add, screen.reset)
    assert (reply.text, screen.text, screen.resets) == ("Good day", "Good day", 0)
    assert reply.usage.cost_microusd == 405  # 800 × 0.25 + 200 × 0.025 + 100 × 2 dollars a million
    (call,) = calls
    assert (call.error, call.provider, call.model) == ("", "openai", "gpt-5-mini")
    assert call.first_seconds == pytest.approx(0.4)
    assert call.seconds == pytest.approx(1.0)
    assert call.reply == reply


async def test_a_retryable_error_is_repeated_with_growing_pauses(runner: ModelRunner, clock: Clock) -> None:
    model = ScriptedModel(clock, [down()], [BadAnswer("what?")], ["third time lucky"])
    assert (await runner.run(ASK, [model])).text == "third time lucky"
    assert clock.slept == [0.5, 1.0]


async def test_three_tries_are_enough(runner: ModelRunner, clock: Clock, calls: list[ModelCall]) -> None:
    model = ScriptedModel(clock, [down()])
    with pytest.raises(Unreachable):
        await runner.run(ASK, [model])
    assert len(model.requests) == 3
    assert [c.error for c in calls] == ["unreachable"] * 3


async def test_pauses_are_spread_by_chance(clock: Clock) -> None:
    runner = ModelRunner(clock=clock, sleep=clock.sleep, chance=lambda: 0.25)
    with pytest.raises(Unreachable):
        await runner.run(ASK, [ScriptedModel(clock, [down()])])
    assert clock.slept == [0.125, 0.25]


@pytest.mark.parametrize("error", [CredentialRejected("key"), Refused("no")])
async def test_an_error_that_waiting_cannot_cure_goes_straight_to_the_next_model(
    runner: ModelRunner, clock: Clock, error: ConnectorError
) -> None:
    first, second = ScriptedModel(clock, [error]), ScriptedModel(clock, ["from the second"])
    assert (await runner.run(ASK, [first, second])).text == "from the second"
    assert len(first.requests) == 1
    assert clock.slept == []


@pytest.mark.parametrize(
    ("retry_after", "slept", "tries"), [(4.0, [4.0, 4.0], 3), (10.0, [10.0, 10.0], 3), (11.0, [], 1)]
)
async def test_retry_after_is_honoured_up_to_ten_seconds(
    runner: ModelRunner, clock: Clock, retry_after: float, slept: list[float], tries: int
) -> None:
    model = ScriptedModel(clock, [RateLimited("slow down", retry_after=retry_after)])
    with pytest.raises(RateLimited):
        await runner.run(ASK, [model])
    assert clock.slept == slept
    assert len(model.requests) == tries


async def test_what_broke_off_is_taken_back_and_the_next_model_answers(runner: ModelRunner, clock: Clock) -> None:
    screen = Screen()
    first = ScriptedModel(clock, ["Half a ", "sen", BadAnswer("cut")])
    second = ScriptedModel(clock, ["A whole sentence."])
    reply = await runner.run(ASK, [first, second], screen.add, screen.reset)
    assert (reply.text, screen.text, screen.resets) == ("A whole sentence.", "A whole sentence.", 1)
    assert len(first.requests) == 1, "text was shown, so the same model is not asked again"


async def test_without_another_model_the_broken_text_is_still_taken_back(runner: ModelRunner, clock: Clock) -> None:
    screen = Screen()
    with pytest.raises(BadAnswer):
        await runner.run(ASK, [ScriptedModel(clock, ["Half", BadAnswer("cut")])], screen.add, screen.reset)
    assert (screen.text, screen.resets) == ("", 1)


async def test_what_nobody_saw_may_be_repeated(runner: ModelRunner, clock: Clock) -> None:
    model = ScriptedModel(clock, ["Half", BadAnswer("cut")], ["Whole"])
    assert (await runner.run(ASK, [model])).text == "Whole"


async def test_all_tries_share_the_time_of_the_request(runner: ModelRunner, clock: Clock) -> None:
    model = ScriptedModel(clock, [25.0, down()])
    with pytest.raises(Unreachable):
        await runner.run(ASK, [model])
    assert [round(r.seconds, 1) for r in model.requests] == [60.0, 34.5, 8.5]
    fallback = ScriptedModel(clock, ["ok"])
    await runner.run(ASK, [ScriptedModel(clock, [59.8, down()]), fallback])
    assert fallback.requests[0].seconds == 60, "the next model has its own time"


async def test_five_failures_in_a_row_open_the_breaker_and_half_a_minute_later_one_call_tries(
    runner: ModelRunner, clock: Clock
) -> None:
    broken, spare = ScriptedModel(clock, [down()]), ScriptedModel(clock, ["spare"], provider="anthropic")
    await runner.run(ASK, [broken, spare])
    await runner.run(ASK, [broken, spare])
    assert len(broken.requests) == 5, "the sixth was not made"
    await runner.run(ASK, [broken, spare])
    assert len(broken.requests) == 5, "left in peace"
    with pytest.raises(Unreachable, match="left alone") as caught:
        await runner.run(ASK, [broken])
    assert caught.value.params["reason"] == "paused"

    clock.now += 30
    await runner.run(ASK, [broken, spare])
    assert len(broken.requests) == 6, "one call tries, and its failure opens the breaker again"

    clock.now += 30
    healed = ScriptedModel(clock, ["healed"])
    assert (await runner.run(ASK, [healed])).text == "healed"
    assert (await runner.run(ASK, [healed])).text == "healed"


async def test_half_open_lets_only_one_call_through(runner: ModelRunner, clock: Clock) -> None:
    for _ in range(5):
        runner.breakers.failed(("openai", ""))
    clock.now += 30
    model = ScriptedModel(clock, ["a", "b", "c"])
    results = await asyncio.gather(*(runner.run(ASK, [model]) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(r, ModelReply) for r in results) == 1


async def test_a_breaker_belongs_to_one_credential(runner: ModelRunner, clock: Clock) -> None:
    broken, other = ScriptedModel(clock, [down()]), ScriptedModel(clock, ["other key"])
    for _ in range(2):
        with pytest.raises(Unreachable):
            await runner.run(ASK, [ModelSource.ready(broken, "key-1")])
    assert (await runner.run(ASK, [ModelSource.ready(other, "key-2")])).text == "other key"


@pytest.mark.parametrize("error", [CredentialRejected("key"), Refused("no"), RateLimited("slow", retry_after=60)])
async def test_errors_that_say_nothing_about_health_do_not_open_it(
    runner: ModelRunner, clock: Clock, error: ConnectorError
) -> None:
    model = ScriptedModel(clock, [error])
    for _ in range(10):
        with pytest.raises(type(error)):
            await runner.run(ASK, [model])
    assert len(model.requests) == 10


async def test_cancelling_while_half_open_does_not_lock_the_breaker(runner: ModelRunner, clock: Clock) -> None:
    for _ in range(5):
        runner.breakers.failed(("openai", ""))
    clock.now += 30

    class Endless(ScriptedModel):
        async def _play(self, _script: Script) -> AsyncIterator[ModelEvent]:
            yield TextDelta("…")
            await asyncio.Event().wait()

    task = asyncio.create_task(runner.run(ASK, [Endless(clock, [])]))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await runner.run(ASK, [ScriptedModel(clock, ["fine"])])).text == "fine"


async def test_the_next_credential_is_opened_only_when_needed(runner: ModelRunner, clock: Clock) -> None:
    opened: list[str] = []

    def source(name: str, model: ChatModel | None) -> ModelSource:
        async def open_it() -> ChatModel:
            opened.append(name)
            if model is None:
                raise NotFound("The key was deleted. Choose another one under Models & keys.")
            return model

        return ModelSource(name, open_it, name)

    good = ScriptedModel(clock, ["good"])
    reply = await runner.run(ASK, [source("gone", None), source("good", good), source("never", good)])
    assert reply.text == "good"
    assert opened == ["gone", "good"]


async def test_no_model_at_all_is_said_in_words(runner: ModelRunner) -> None:
    with pytest.raises(Unreachable, match="Models & keys"):
        await runner.run(ASK, [])
