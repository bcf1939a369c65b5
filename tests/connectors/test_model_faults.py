"""All model connectors and what goes wrong: faults, time-outs, cancelling, the check of a credential."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from typing import Any

import pytest
from pydantic import SecretStr

from graph_runtime.contract.errors import (
    BadAnswer,
    ConnectorError,
    CredentialRejected,
    RateLimited,
    Refused,
    Unreachable,
)
from graph_runtime.contract.models import ModelMessage, ModelRequest, TextDelta
from tests.connectors.conftest import CANARY, Wire

pytestmark = pytest.mark.asyncio

HI = (ModelMessage("system", "Be brief."), ModelMessage("user", "Привіт, how are you?"))


@pytest.mark.parametrize(
    ("fault", "expected", "retryable"),
    [
        ("rate_limited", RateLimited, True),
        ("no_credit", Refused, False),
        ("server_error", Unreachable, True),
        ("overloaded", Unreachable, True),
        ("unauthorized", CredentialRejected, False),
        ("not_found", Refused, False),
        ("bad_request", Refused, False),
        ("too_long", Refused, False),
        ("redirect", Refused, False),
        ("invalid_json", BadAnswer, True),
        ("cut", BadAnswer, True),
        ("ended", BadAnswer, True),
    ],
)
async def test_every_fault_has_its_error_and_is_not_repeated(
    wire: Wire,
    fault: Any,
    expected: type[ConnectorError],
    retryable: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    wire.lane.fail(fault, seconds=3)
    with pytest.raises(expected) as caught:
        await wire.ask(ModelRequest(HI))
    assert caught.value.retryable is retryable
    assert len(wire.lane.journal) == 1, "retries are not the connector's business"
    shown = "".join(traceback.format_exception(caught.value))
    assert CANARY not in f"{shown} {caught.value.params} {caplog.text}"
    assert "Incorrect API key" not in str(caught.value), "the vendor's own words are not repeated"


async def test_retry_after_is_read(wire: Wire) -> None:
    wire.lane.fail("rate_limited", seconds=3)
    with pytest.raises(RateLimited) as caught:
        await wire.ask(ModelRequest(HI))
    assert caught.value.retry_after == 3


async def test_an_error_in_the_stream_is_an_error(wire: Wire) -> None:
    wire.lane.fail("error_in_stream")
    with pytest.raises((Unreachable, BadAnswer)):
        await wire.ask(ModelRequest(HI))


@pytest.mark.parametrize(
    ("fault", "expected"), [("hang", Unreachable), ("slow_first_token", Unreachable), ("stall", BadAnswer)]
)
async def test_silence_ends_in_time_and_the_connection_is_let_go(
    wire: Wire, fault: Any, expected: type[ConnectorError]
) -> None:
    await wire.ask(ModelRequest(HI))  # the vendor's library is loaded outside the measured time
    wire.lane.fail(fault, seconds=5)
    began = time.monotonic()
    with pytest.raises(expected):
        await wire.ask(ModelRequest(HI, first_token_seconds=0.2))
    assert time.monotonic() - began < 2
    await _until(lambda: wire.lane.journal[-1].left_early)


async def test_the_total_time_is_a_limit_too(wire: Wire) -> None:
    await wire.ask(ModelRequest(HI))
    wire.lane.pause_seconds = 0.1
    wire.lane.answer("word " * 100)
    with pytest.raises(BadAnswer):  # begun, so a late first word would not count: it has two seconds
        await wire.ask(ModelRequest(HI, seconds=2))


async def test_a_slow_first_token_within_the_limit_is_fine(wire: Wire) -> None:
    wire.lane.fail("slow_first_token", seconds=0.2)
    _, reply = await wire.ask(ModelRequest(HI, first_token_seconds=10))
    assert reply.text.startswith("You said")


async def test_cancelling_lets_the_connection_go(wire: Wire) -> None:
    wire.lane.pause_seconds = 0.05
    wire.lane.answer("word " * 200)
    first = asyncio.Event()

    async def listen() -> None:
        async for event in wire.model.stream(ModelRequest(HI)):
            if isinstance(event, TextDelta):
                first.set()

    task = asyncio.create_task(listen())
    await asyncio.wait_for(first.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _until(lambda: wire.lane.journal[-1].left_early)
    wire.lane.pause_seconds = 0
    _, reply = await wire.ask(ModelRequest(HI))
    assert reply.text.startswith("You said")


async def test_nobody_listening_is_unreachable(wire: Wire) -> None:
    settings = wire.settings.model_copy(update={"base_url": "http://127.0.0.1:9/v1"})
    module = __import__(type(wire.settings).__module__, fromlist=["chat_model"])
    model = module.chat_model(settings, "small")
    with pytest.raises(Unreachable):
        async for _ in model.stream(ModelRequest(HI)):
            pass
    await model.aclose()


async def test_the_check_names_the_models(wire: Wire) -> None:
    result = await wire.checked()
    assert result.ok
    assert result.models == ("large", "small")


@pytest.mark.parametrize("fault", ["unauthorized", "server_error", "invalid_json", "redirect", "rate_limited"])
async def test_the_check_says_what_is_wrong(wire: Wire, fault: Any) -> None:
    wire.lane.fail(fault)
    result = await wire.checked()
    assert not result.ok
    assert result.message.endswith(".")
    assert not result.models


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "nonsense", "http://", ""])
async def test_the_check_survives_a_wrong_address(wire: Wire, address: str) -> None:
    result = await wire.checked(base_url=address)
    assert not result.ok
    assert "address" in result.message


async def test_a_wrong_key_is_named(wire: Wire) -> None:
    result = await wire.checked(key=SecretStr("wrong-key"))
    assert not result.ok
    assert "key" in result.message


async def _until(condition: Any) -> None:
    async with asyncio.timeout(3):
        while not condition():  # noqa: ASYNC110  # the fake lives in a thread and knows no events of this loop
            await asyncio.sleep(0.01)
