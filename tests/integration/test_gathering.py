"""Several messages in a row: answered together, or the answer is begun anew, and nothing of them is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from graph_runtime.contract.flow import Flow, Pace
from graph_runtime.contract.messages import Attachment, Reply
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.conversation_world import Process, process, publish
from tests.integration.test_turns import ECHO, THINKING, Model

Admin = psycopg.Connection[tuple[Any, ...]]


def paced(document: Flow, **pace: Any) -> Flow:
    return document.model_copy(update={"pace": Pace.model_validate({"gather_ms": 0, **pace})})


async def write(p: Process, access: ChannelAccess, conversation: str, text: str, **more: Any) -> str:
    """The contact writes; the turn is left to run."""
    reply = Reply(text=text, **more)
    return (await p.conversations.receive(access, conversation, reply, dedupe_key=uuid4().hex)).inbox_id


async def test_what_is_written_in_pieces_is_answered_once(postgres: EmbeddedPostgres, admin: Admin) -> None:
    access = publish(postgres.admin_url, paced(ECHO, gather_ms=250))
    async with process(postgres.app_url) as p:
        conversation = await p.begin(access)
        file = Attachment(file_id="f1", name="a.png", mime="image/png", size=3)
        ids = [await write(p, access, conversation, "I need"), await write(p, access, conversation, "a tram")]
        ids.append(await write(p, access, conversation, "to Lviv", attachments=(file,)))
        answers = [await p.conversations.wait_for_turn(access, conversation, i, 10) for i in ids]
        await p.settle()
        texts = await p.texts(access, conversation)
    assert texts == ["Say something", "> I need", "> a tram", "> to Lviv", "You said I need\na tram\nto Lviv", "Say something"]  # fmt: skip
    assert [[m["text"] for m in answer or []] for answer in answers] == [texts[-2:]] * 3
    rows = admin.execute(
        "SELECT state, merged_into IS NULL, jsonb_array_length(payload -> 'reply' -> 'attachments') FROM inbox"
        " WHERE conversation_id = %s AND kind = 'message' ORDER BY id",
        (conversation,),
    ).fetchall()
    assert rows == [("done", True, 1), ("done", False, 0), ("done", False, 1)]


async def test_a_button_and_the_api_are_answered_at_once(postgres: EmbeddedPostgres) -> None:
    document = paced(ECHO, gather_ms=10_000)
    over_api, on_page = publish(postgres.admin_url, document, kind="api"), publish(postgres.admin_url, document)
    async with process(postgres.app_url) as p, asyncio.timeout(8):
        conversation = await p.begin(over_api)
        await p.say(over_api, conversation, "hi")
        conversation = await p.begin(on_page)
        await write(p, on_page, conversation, "Red", option_id="o_red")
        await p.settle()
        assert (await p.texts(on_page, conversation))[-2:] == ["You said Red", "Say something"]


async def test_a_button_behind_a_text_stands_for_itself(postgres: EmbeddedPostgres) -> None:
    access = publish(postgres.admin_url, paced(ECHO, gather_ms=200))
    async with process(postgres.app_url) as p:
        conversation = await p.begin(access)
        await write(p, access, conversation, "one")
        await write(p, access, conversation, "Red", option_id="o_red")
        await p.settle()
        texts = await p.texts(access, conversation)
    assert [t for t in texts if t.startswith("You said")] == ["You said one", "You said Red"]


async def test_a_repeated_turn_keeps_to_what_was_folded(postgres: EmbeddedPostgres, admin: Admin) -> None:
    """The process dies after folding: whoever takes over has all three messages in the one trigger."""
    access = publish(postgres.admin_url, paced(ECHO, gather_ms=150))
    async with process(postgres.app_url) as p:
        conversation = await p.begin(access)

        async def dies(*_: Any) -> Any:
            raise OSError("the power went away")

        commit, p.store.commit = p.store.commit, dies  # type: ignore[method-assign, assignment]
        for text in ("one", "two", "three"):
            await write(p, access, conversation, text)
        await p.settle()
        p.store.commit = commit  # type: ignore[method-assign]
        await write(p, access, conversation, "four")
        await p.settle()
        texts = await p.texts(access, conversation)
    assert [t for t in texts if t.startswith("You said")] == ["You said one\ntwo\nthree", "You said four"]


async def test_an_interrupted_answer_is_made_with_both_messages(postgres: EmbeddedPostgres, admin: Admin) -> None:
    access = publish(postgres.admin_url, paced(THINKING, while_busy="interrupt"))
    model = Model()
    async with process(postgres.app_url, model.outside) as p, asyncio.timeout(20):
        conversation = await p.begin(access)
        model.may_answer.clear()
        await write(p, access, conversation, "I want a refund")
        await model.was_asked.wait()
        model.was_asked.clear()
        async with p.conversations.watch(access, conversation, after_seq=2) as events:
            await write(p, access, conversation, "no, an exchange")
            await model.was_asked.wait()
            model.may_answer.set()
            await p.settle()
            seen = [e async for e in _until_turn(events)]
        texts = await p.texts(access, conversation)
    assert model.asked == ["I want a refund", "I want a refund\nno, an exchange"]
    assert [t for t in texts if t.startswith("Answer")] == ["Answer to I want a refund\nno, an exchange"]
    assert "reset" in [e["type"] for e in seen]
    assert admin.execute("SELECT count(*) FROM turn WHERE conversation_id = %s", (conversation,)).fetchone() == (2,)


async def test_a_message_taken_in_elsewhere_interrupts_too(postgres: EmbeddedPostgres) -> None:
    access = publish(postgres.admin_url, paced(THINKING, while_busy="interrupt"))
    model = Model()
    async with process(postgres.app_url, model.outside) as p, process(postgres.app_url) as other, asyncio.timeout(20):
        conversation = await p.begin(access)
        model.may_answer.clear()
        await write(p, access, conversation, "one")
        await model.was_asked.wait()
        model.was_asked.clear()
        await write(other, access, conversation, "two")
        await model.was_asked.wait()
        model.may_answer.set()
        await p.settle()
    assert model.asked == ["one", "one\ntwo"]


async def test_a_watch_that_breaks_interrupts_nothing(postgres: EmbeddedPostgres) -> None:
    access = publish(postgres.admin_url, paced(THINKING, while_busy="interrupt"))
    model = Model()
    async with process(postgres.app_url, model.outside) as p, asyncio.timeout(20):
        conversation = await p.begin(access)

        @asynccontextmanager
        async def breaks(*_: Any, **__: Any) -> AsyncIterator[Any]:
            await model.was_asked.wait()
            asyncio.get_running_loop().call_later(0.2, model.may_answer.set)
            if model.asked:
                raise OSError("the connection went away")
            yield

        p.live.subscribe = breaks  # type: ignore[method-assign]
        model.may_answer.clear()
        await write(p, access, conversation, "one")
        await p.settle()
        assert (await p.texts(access, conversation))[-2:] == ["Answer to one", "?"]
    assert model.asked == ["one"]


@pytest.mark.parametrize("pace", [{"while_busy": "queue"}, {"while_busy": "interrupt"}])
async def test_a_turn_that_has_acted_is_finished_first(postgres: EmbeddedPostgres, pace: dict[str, Any]) -> None:
    access = publish(postgres.admin_url, paced(THINKING, **pace))
    model = Model()
    async with process(postgres.app_url, model.outside) as p, asyncio.timeout(20):
        conversation = await p.begin(access)
        model.may_answer.clear()
        begin = "graph_runtime.storage.turns.EffectRows.begin"
        with pytest.MonkeyPatch.context() as patch:
            original = _begin_of(begin)

            async def as_http(self: Any, key: str, _kind: str, node_id: str) -> None:
                await original(self, key, "http", node_id)

            patch.setattr(begin, as_http)
            await write(p, access, conversation, "one")
            await model.was_asked.wait()
            model.was_asked.clear()
            await write(p, access, conversation, "two")
            assert model.asked == ["one"]
            model.may_answer.set()
            await p.settle()
    assert model.asked == ["one", "two"]


def _begin_of(_: str) -> Any:
    from graph_runtime.storage.turns import EffectRows

    return EffectRows.begin


async def _until_turn(events: Any) -> Any:
    async for event in events:
        yield event
        if event["type"] == "turn":
            return
