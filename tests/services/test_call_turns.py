"""A call while its turns run: streamed answers, interruptions, sentences that go on, waiting on the line, dead processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import aclosing
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.calls import (
    Begin,
    Drop,
    HangUp,
    Hold,
    Listen,
    MessageEnds,
    Record,
    Recorded,
    Speech,
    Transfer,
    Words,
)
from graph_runtime.contract.models import ModelReply
from graph_runtime.services.principal import Principal
from graph_runtime.services.turn_world import Outside
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.worker.main import work
from tests.engine.small_nodes import PAUSE
from tests.phone_world import Line, new_line, phone_flow, until

ROOT = Path(__file__).resolve().parents[2]
TALK = phone_flow(
    {
        "n_ask": ("ask", {"text": "How can I help?", "kind": "text"}),
        "n_wait": ("say", {"text": "Let me see."}),
        "n_model": ("prompt", {"connection": "llm", "system": "Help.", "history": 10}),
    },
    {
        "n_start.next": "n_ask", "n_ask.answered": "n_wait", "n_wait.finished": "n_model", "n_model.next": "n_ask",
        "n_model.error": "n_ask",
    },
    connections={"llm": {"kind": "chat_model", "label": "Model"}},
)  # fmt: skip


class Speaks:
    """A model that says pieces; at "…" it stops until it is told to go on. "<" takes back what it has said."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.requests: list[Any] = []
        self.go_on = asyncio.Event()
        self.asked = asyncio.Event()
        self.cancelled = 0

    async def run(self, request: Any, _models: Any, on_delta: Any = None, on_reset: Any = None) -> ModelReply:
        self.requests.append(request)
        self.asked.set()
        said = ""
        try:
            for piece in self.answers.pop(0) if self.answers else ["Fine."]:
                if piece == "…":
                    await self.go_on.wait()
                elif piece == "<":
                    on_reset()
                    said = ""
                else:
                    said += piece
                    on_delta(piece)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return ModelReply(said)


async def _models(*_: str) -> list[Any]:
    return []


def with_model(services: Services, model: Any) -> Any:
    services.conversation_side.runner.world.outside = Outside(runner=model, models=_models)
    return model


@pytest.fixture
async def line(services: Services, owner: Principal) -> Line:
    return await new_line(services, owner, TALK)


async def test_words_are_spoken_while_the_model_still_writes(line: Line, services: Services) -> None:
    model = with_model(services, Speaks(["Our **prices** ", "begin ", "…", "at 1 ", "200 euros."]))
    call, _ = await line.answered()
    async with aclosing(services.phone_calls.turn(call, Speech(text="Prices?"))) as events:
        first = await until(events, Words)
        assert [e.text for e in first if isinstance(e, Words)] == ["Let me see. "]
        heard = ""
        while "begin" not in heard:
            heard += (await until(events, Words))[-1].text  # type: ignore[union-attr]
        assert heard == "Our prices begin "
        model.go_on.set()
        rest = [event async for event in events]
    assert "".join(e.text for e in rest if isinstance(e, Words)) == "at 1200 euros. How can I help? "
    assert isinstance(rest[-1], Listen)
    assert (await line.texts(call))[-2:] == ["Our **prices** begin at 1 200 euros.", "How can I help?"]
    assert "on the phone" in model.requests[0].messages[0].text


async def test_what_a_model_takes_back_is_dropped(line: Line, services: Services) -> None:
    with_model(services, Speaks(["Wrong ", "way ", "<", "Right ", "way."]))
    call, _ = await line.answered()
    turn = await line.turn(call, "Which way?")
    assert any(isinstance(e, Drop) for e in turn.events)
    assert turn.said == ["Let me see.", "Right way.", "How can I help?"]


async def test_an_interruption_stops_the_model_and_keeps_what_was_heard(line: Line, services: Services) -> None:
    model = with_model(services, Speaks(["Our prices ", "begin at ", "…", "a lot."], ["Of course."]))
    call, _ = await line.answered()
    async with aclosing(services.phone_calls.turn(call, Speech(text="Prices?"))) as events:
        await until(events, MessageEnds)
        key = (await until(events, Words))[-1].key  # type: ignore[union-attr]
        await until(events, Words)
    async with asyncio.timeout(5):
        await services.phone_calls.heard_until(call, key, "Our prices")
    assert model.cancelled == 1
    assert await line.texts(call) == ["How can I help?", "> Prices?", "Let me see.", "Our prices", ""]
    await line.turn(call, "Something else")
    said = [(m.role, m.text) for m in model.requests[1].messages[1:]]
    assert ("assistant", "Our prices") in said
    assert said[-1] == ("user", "Something else")
    assert (await line.texts(call))[-3:] == ["Let me see.", "Of course.", "How can I help?"]


async def test_an_interruption_before_the_model_has_said_anything_waits_for_nobody(
    line: Line, services: Services
) -> None:
    model = with_model(services, Speaks(["…", "never"], ["Two rooms."]))
    call, _ = await line.answered()
    async with aclosing(services.phone_calls.turn(call, Speech(text="I want"))) as events:
        key = (await until(events, MessageEnds))[-1].key  # type: ignore[union-attr]
        await model.asked.wait()
    async with asyncio.timeout(3):
        await services.phone_calls.heard_until(call, key, "Let me")
        turn = await line.turn(call, "two rooms")
    assert turn.said == ["Two rooms.", "How can I help?"]
    await asyncio.gather(*services.phone_calls._cutting)
    assert "Let me" in await line.texts(call)


async def test_a_caller_who_goes_on_speaking_is_answered_once_to_the_whole(line: Line, services: Services) -> None:
    model = with_model(services, Speaks(["…", "never"], ["Two rooms, good."]))
    call, _ = await line.answered()
    async with aclosing(services.phone_calls.turn(call, Speech(text="I want"))) as events:
        await until(events, MessageEnds)
        await model.asked.wait()
    turn = await line.turn(call, "two rooms")
    assert turn.said == ["Two rooms, good.", "How can I help?"], "“Let me see” was heard already"
    assert model.requests[1].messages[-1].text == "I want\ntwo rooms"
    assert await line.texts(call) == [
        "How can I help?", "> I want", "> two rooms", "Let me see.", "Two rooms, good.", "How can I help?",
    ]  # fmt: skip


async def test_what_was_heard_is_kept_though_its_turn_was_given_up_at_once(
    line: Line, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The media process cancels a turn as soon as the caller goes on, even while the utterance is being stored."""
    with_model(services, Speaks(["Good."]))
    call, _ = await line.answered()
    store = services.conversation_side.store
    accept, stored, answered = store.accept, asyncio.Event(), asyncio.Event()

    async def slow(*args: Any, **more: Any) -> Any:
        found = await accept(*args, **more)
        stored.set()
        await answered.wait()
        return found

    monkeypatch.setattr(store, "accept", slow)
    turn = asyncio.create_task(line.turn(call, "I want"))
    await stored.wait()
    turn.cancel()
    await asyncio.gather(turn, return_exceptions=True)
    monkeypatch.setattr(store, "accept", accept)
    following = asyncio.create_task(line.turn(call, "two rooms"))
    await asyncio.sleep(0)
    answered.set()
    assert isinstance((await following).end, Listen)
    texts = await line.texts(call)
    assert [t for t in texts if t.startswith(">")] == ["> I want", "> two rooms"]


async def test_a_step_that_fails_is_told_in_words_for_a_call(services: Services, owner: Principal) -> None:
    class Breaks:
        async def run(self, *_: Any) -> ModelReply:
            raise RuntimeError("a fault in a package")

    document = phone_flow(
        {"n_ask": ("ask", {"text": "Yes?"}), "n_model": ("prompt", {"system": "Help.", "fallback_text": "Sorry."})},
        {"n_start.next": "n_ask", "n_ask.answered": "n_model", "n_model.next": "n_ask"},
        connections={"llm": {"kind": "chat_model", "label": "Model"}},
    )
    line = await new_line(services, owner, document)
    with_model(services, Breaks())
    call, _ = await line.answered()
    turn = await line.turn(call, "Hello")
    assert turn.said == ["Sorry, something went wrong on our side. Please say that once more."]
    assert isinstance(turn.end, Listen)


async def test_waiting_for_time_holds_the_line_and_goes_on(
    services: Services, owner: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        services.catalog.__dict__, "nodes", MappingProxyType({**services.catalog.nodes, "pause": PAUSE})
    )
    document = phone_flow(
        {
            "n_say": ("say", {"text": "Please hold."}),
            "n_pause": ("pause", {"seconds": 0.3}),
            "n_end": ("hang_up", {"text": "Goodbye.", "reason": "done"}),
        },
        {"n_start.next": "n_say", "n_say.finished": "n_pause", "n_pause.elapsed": "n_end"},
    )
    line = await new_line(services, owner, document)
    stop = asyncio.Event()
    worker = asyncio.create_task(work(services.conversation_side, stop))
    try:
        _, turn = await line.answered()
    finally:
        stop.set()
        await worker
    assert [type(e) for e in turn.events if isinstance(e, Hold | HangUp)] == [Hold, HangUp]
    assert turn.said == ["Please hold.", "Goodbye."]
    assert isinstance(turn.end, HangUp)
    assert turn.end.reason == "done"


async def test_nobody_is_held_on_the_line_for_long(
    services: Services, owner: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        services.catalog.__dict__, "nodes", MappingProxyType({**services.catalog.nodes, "pause": PAUSE})
    )
    document = phone_flow(
        {"n_pause": ("pause", {"seconds": 3600}), "n_end": ("end", {"text": "Later."})},
        {"n_start.next": "n_pause", "n_pause.elapsed": "n_end"},
    )
    line = await new_line(services, owner, document)
    call, turn = await line.answered()
    assert isinstance(turn.end, HangUp)
    assert turn.end.reason == "waits"
    await services.phone_calls.let_go(call)
    await services.phone_calls.hung_up(line.secret, call.uuid, 16)
    assert (await line.status(call))[0] == "open", "it goes on without the caller"


async def test_a_message_is_recorded_and_its_sound_kept(services: Services, owner: Principal) -> None:
    document = phone_flow(
        {"n_rec": ("record", {"text": "Speak.", "save_to": "words"}), "n_end": ("hang_up", {"text": "Got {{ var.words }}."})},
        {"n_start.next": "n_rec", "n_rec.recorded": "n_end", "n_rec.silence": "n_end"},
        variables={"words": {"type": "text", "label": "Words"}},
    )  # fmt: skip
    line = await new_line(services, owner, document)
    call, first = await line.answered()
    assert first.end == Record()
    wav = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data"
    file_id = await services.phone_calls.keep_recording(call, wav + bytes(400))
    turn = await line.turn(call, Recorded(file_id=file_id, duration_ms=25, size=444, text="call me"))
    assert turn.said == ["Got call me."]
    assert (await services.files.read(owner, file_id)).content == wav + bytes(400)
    assert "> call me" in await line.texts(call)


async def test_what_a_caller_says_never_chooses_what_is_dialed(services: Services, owner: Principal) -> None:
    document = phone_flow(
        {
            "n_ask": ("ask", {"text": "Whom?", "save_to": "to"}),
            "n_move": ("transfer_call", {"target": "{{ var.to }}"}),
            "n_end": ("hang_up", {"text": "That cannot be dialed."}),
        },
        {
            "n_start.next": "n_ask", "n_ask.answered": "n_move", "n_move.error": "n_end", "n_move.busy": "n_end",
            "n_move.no_answer": "n_end", "n_move.answered": "n_end",
        },
        variables={"to": {"type": "text", "label": "To"}},
    )  # fmt: skip
    line = await new_line(services, owner, document)
    for said in ("PJSIP/boss", "1&SIP/2", "1,30,g)", "${EXEC(rm)}", "Local/1@internal"):
        call, _ = await line.answered()
        turn = await line.turn(call, said)
        assert turn.said == ["That cannot be dialed."], said
    call, _ = await line.answered()
    assert (await line.turn(call, "1-2-0")).end == Transfer(target="120")


@pytest.mark.parametrize("where", ["model", "commit"])
async def test_a_call_survives_the_death_of_its_process(
    line: Line, services: Services, postgres: EmbeddedPostgres, where: str
) -> None:
    """The call is attached and asked something in another process, which is killed while it answers."""
    uuid = await line.ring()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.services.mortal_call", postgres.app_url, uuid, where,
        stdout=asyncio.subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert child.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await child.stdout.readline() == b"ready\n"
    finally:
        child.send_signal(signal.SIGKILL)
        await child.communicate()
    with_model(services, Speaks(["Here we are again."]))
    call = await services.phone_calls.attach(uuid)
    assert not call.is_new
    async with asyncio.timeout(5):
        turn = await line.turn(call, Begin())
    # The model's answer was recorded before the commit hung, so it is not asked again.
    answer = "Half an answer" if where == "commit" else "Here we are again."
    assert turn.said == ["Let me see.", answer, "How can I help?"]
    assert isinstance(turn.end, Listen)
    assert await line.texts(call) == ["How can I help?", "> Hello?", "Let me see.", answer, "How can I help?"]


async def test_a_turn_that_runs_elsewhere_is_heard_here(
    line: Line, services: Services, postgres: EmbeddedPostgres
) -> None:
    """This process only accepts; a worker runs the turns and tells what they say through the database."""
    from tests.services.mortal_call import building

    async with building(postgres.app_url, is_worker=True) as other:
        with_model(other, Speaks(["From the ", "worker."]))
        stop = asyncio.Event()
        worker = asyncio.create_task(work(other.conversation_side, stop))
        services.conversation_side.starts._are_here = False
        services.conversation_side.store._takes = False
        try:
            call, first = await line.answered()
            turn = await line.turn(call, "Hello?")
        finally:
            stop.set()
            await worker
    assert first.said == ["How can I help?"]
    assert turn.said == ["Let me see.", "From the worker.", "How can I help?"]
