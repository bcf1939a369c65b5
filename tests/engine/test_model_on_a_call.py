"""A caller waits for a model: after 9.5 seconds without a word the next one is asked, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from graph_runtime.contract.errors import Unreachable
from graph_runtime.contract.models import ModelEvent, ModelRequest
from graph_runtime.engine.models import CALL_SECONDS, ModelRunner, in_time_for_a_call
from tests.engine.test_models import ASK, Clock, ScriptedModel

LONG = replace(ASK, seconds=60, first_token_seconds=30)


class Silent(ScriptedModel):
    """Says nothing for as long as it is given, as every connector does when its vendor hangs."""

    async def _wait(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        nothing: list[ModelEvent] = []
        for event in nothing:
            yield event
        self._clock.now += request.first_token_seconds
        raise Unreachable("The model did not begin to answer in time.")

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        self.requests.append(request)
        return self._wait(request)


def runner(clock: Clock) -> ModelRunner:
    return ModelRunner(clock=clock, sleep=clock.sleep, chance=lambda: 0.5)


async def test_a_model_that_says_nothing_gives_way_after_nine_and_a_half_seconds() -> None:
    clock = Clock()
    began = clock.now
    silent, good = Silent(clock, [""]), ScriptedModel(clock, ["Parking is free."], name="second")
    reply = await runner(clock).run(in_time_for_a_call(LONG, is_streamed=True), [silent, good])
    assert reply.text == "Parking is free."
    assert clock.now - began == pytest.approx(9.5)
    assert len(silent.requests) == 1, "nobody waits for a second try of it"
    assert silent.requests[0].first_token_seconds == pytest.approx(CALL_SECONDS)
    assert good.requests[0].first_token_seconds == pytest.approx(9.5), "the second one has as long"
    assert clock.slept == []


async def test_an_error_at_once_is_tried_again_only_while_there_is_time() -> None:
    clock = Clock()
    broken = ScriptedModel(clock, [Unreachable("Away.")])
    good = ScriptedModel(clock, ["Here."], name="second")
    began = clock.now
    reply = await runner(clock).run(in_time_for_a_call(LONG, is_streamed=True), [broken, good])
    assert reply.text == "Here."
    assert len(broken.requests) > 1
    assert clock.now - began < CALL_SECONDS


async def test_the_last_one_that_is_silent_too_ends_the_wait() -> None:
    clock = Clock()
    began = clock.now
    with pytest.raises(Unreachable):
        await runner(clock).run(
            in_time_for_a_call(LONG, is_streamed=True), [Silent(clock, [""]), Silent(clock, [""], name="b")]
        )
    assert clock.now - began == pytest.approx(19.0), "before the twenty seconds after which the call is given up"


def test_an_answer_that_is_not_spoken_as_it_comes_has_to_be_whole_by_then() -> None:
    whole = in_time_for_a_call(LONG, is_streamed=False)
    assert (whole.seconds, whole.first_token_seconds, whole.is_live) == (9.5, 9.5, True)
    streamed = in_time_for_a_call(LONG, is_streamed=True)
    assert streamed.seconds == 60
    short = in_time_for_a_call(replace(LONG, seconds=3, first_token_seconds=2), is_streamed=False)
    assert (short.seconds, short.first_token_seconds) == (3, 2)
