"""Turns on a real PostgreSQL: stored once, answered once, in order, whoever runs them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from graph_runtime.contract.errors import LeaseLost
from graph_runtime.contract.messages import Reply
from graph_runtime.contract.models import ModelReply, ModelUsage
from graph_runtime.engine.run import SORRY
from graph_runtime.services import turn_runner
from graph_runtime.services.turn_world import Outside
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.storage.turns import TurnRows
from tests.conversation_world import Process, process, publish
from tests.engine.small_nodes import flow

Admin = psycopg.Connection[tuple[Any, ...]]

ECHO = flow(
    {
        "s": ("start", {}),
        "q": ("ask", {"text": "Say something", "save_to": "x"}),
        "a": ("say", {"text": "You said {{ var.x }}"}),
        "b": ("branch", {"when": {"left": {"ref": "var.x"}, "op": "eq", "right": {"value": "bye"}}}),
        "e": ("end", {"text": "done"}),
    },
    {"s.next": "q", "q.answered": "a", "a.next": "b", "b.yes": "e", "b.no": "q"},
)
THINKING = flow(
    {"s": ("start", {}), "q": ("ask", {"text": "?"}), "m": ("think", {"text": "{{ message.text }}"})},
    {"s.next": "q", "q.answered": "m", "m.next": "q"},
)


class Model:
    """Answers when it is let; counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.was_asked = asyncio.Event()

    async def run(self, request: Any, _models: Any, on_delta: Any = None, _on_reset: Any = None) -> ModelReply:
        text = request.messages[-1].text
        self.asked.append(text)
        self.was_asked.set()
        if on_delta:
            on_delta("Answer")
        await self.may_answer.wait()
        return ModelReply(f"Answer to {text}", usage=ModelUsage(5, 7, cost_microusd=3), model="m", provider="p")

    @property
    def outside(self) -> Outside:
        async def models(_workspace: str, _agent: str, _slot: str) -> list[Any]:
            return []

        return Outside(runner=self, models=models)


@pytest.fixture
async def p(postgres: EmbeddedPostgres) -> AsyncIterator[Process]:
    async with process(postgres.app_url) as side:
        yield side


async def test_a_conversation_from_start_to_end(p: Process, postgres: EmbeddedPostgres, admin: Admin) -> None:
    access = publish(postgres.admin_url, ECHO)
    conversation = await p.begin(access)
    await p.say(access, conversation, "привет")
    await p.say(access, conversation, "bye")
    assert await p.texts(access, conversation) == [
        "Say something", "> привет", "You said привет", "Say something", "> bye", "You said bye",
    ]  # fmt: skip
    row = admin.execute(
        "SELECT status, result, waits, checkpoint, pending_since, lease_owner, message_seq, turn_seq FROM conversation"
        " WHERE id = %s",
        (conversation,),
    ).fetchone()
    assert row == ("ended", "done", "", None, None, None, 6, 3)
    assert admin.execute("SELECT count(*) FROM event WHERE conversation_id = %s", (conversation,)).fetchone() == (1,)


async def test_the_same_message_again_is_answered_once(p: Process, postgres: EmbeddedPostgres) -> None:
    access = publish(postgres.admin_url, ECHO)
    conversation = await p.begin(access)
    first = await p.say(access, conversation, "one", key="k")
    for text in ("one", "one, changed"):
        again = await p.say(access, conversation, text, key="k")
        assert (again.inbox_id, again.seq, again.is_new) == (first.inbox_id, first.seq, False)
    assert len(await p.texts(access, conversation)) == 4


async def test_ten_copies_at_once_are_one(p: Process, postgres: EmbeddedPostgres) -> None:
    access = publish(postgres.admin_url, ECHO)
    conversation = await p.begin(access)
    reply = Reply(text="hi")
    accepted = await asyncio.gather(
        *(p.conversations.receive(access, conversation, reply, dedupe_key="same") for _ in range(10))
    )
    await p.settle()
    assert len({a.inbox_id for a in accepted}) == 1
    assert (await p.texts(access, conversation)).count("You said hi") == 1


async def test_starting_twice_with_one_key_is_one_conversation(p: Process, postgres: EmbeddedPostgres) -> None:
    access = publish(postgres.admin_url, ECHO)
    ids = await asyncio.gather(*(p.conversations.start(access, dedupe_key="k") for _ in range(5)))
    await p.settle()
    assert len(set(ids)) == 1
    assert await p.texts(access, ids[0]) == ["Say something"]


async def test_messages_while_a_turn_runs_wait_their_turn(postgres: EmbeddedPostgres) -> None:
    model = Model()
    access = publish(postgres.admin_url, THINKING)
    async with process(postgres.app_url, model.outside) as p:
        conversation = await p.begin(access)
        model.may_answer.clear()
        await p.conversations.receive(access, conversation, Reply(text="1"), dedupe_key="1")
        await model.was_asked.wait()
        for text in ("2", "3"):
            await p.conversations.receive(access, conversation, Reply(text=text), dedupe_key=text)
        assert (await p.conversations.transcript(access, conversation)).is_running
        model.may_answer.set()
        await p.settle()
        texts = await p.texts(access, conversation)
    assert model.asked == ["1", "2", "3"]
    assert [t for t in texts if t.startswith("Answer")] == ["Answer to 1", "Answer to 2", "Answer to 3"]
    assert texts[:4] == ["?", "> 1", "> 2", "> 3"]


async def test_two_processes_share_one_conversation(postgres: EmbeddedPostgres, admin: Admin) -> None:
    access = publish(postgres.admin_url, ECHO)
    async with process(postgres.app_url) as one, process(postgres.app_url) as two:
        conversation = await one.begin(access)
        sides = [one, two] * 15
        await asyncio.gather(*(side.say(access, conversation, f"m{i}") for i, side in enumerate(sides)))
        for side in (one, two):
            await side.run_all(access, conversation)
        texts = await one.texts(access, conversation)
    asked = [t.removeprefix("> ") for t in texts if t.startswith("> ")]
    answered = [t.removeprefix("You said ") for t in texts if t.startswith("You said ")]
    assert sorted(asked) == sorted(f"m{i}" for i in range(30))
    assert answered == asked
    seqs = admin.execute("SELECT seq FROM message WHERE conversation_id = %s ORDER BY seq", (conversation,)).fetchall()
    assert [s[0] for s in seqs] == list(range(1, len(texts) + 1))


async def test_a_stale_epoch_cannot_commit(postgres: EmbeddedPostgres, admin: Admin) -> None:
    model = Model()
    access = publish(postgres.admin_url, THINKING)
    async with process(postgres.app_url, model.outside) as slow, process(postgres.app_url, Model().outside) as quick:
        conversation = await slow.begin(access)
        model.may_answer.clear()
        await slow.conversations.receive(access, conversation, Reply(text="1"), dedupe_key="1")
        await model.was_asked.wait()
        admin.execute("UPDATE conversation SET lease_until = now() - interval '1 s' WHERE id = %s", (conversation,))
        await quick.runner.run_pending(access.workspace_id, conversation)
        before = await quick.texts(access, conversation)
        model.may_answer.set()
        await slow.settle()
        assert await quick.texts(access, conversation) == before == ["?", "> 1", "Answer to 1", "?"]
        await quick.say(access, conversation, "2")
        assert (await quick.texts(access, conversation))[-2:] == ["Answer to 2", "?"]


async def test_nothing_of_a_fenced_commit_is_written(p: Process, postgres: EmbeddedPostgres, admin: Admin) -> None:
    access = publish(postgres.admin_url, ECHO)
    conversation = await p.begin(access)
    accepted, turn = await p.store.accept(
        access.workspace_id, conversation, dedupe_key="x", kind="message", payload={}, parts=[]
    )
    assert accepted is not None
    assert turn is not None
    admin.execute("UPDATE conversation SET lease_epoch = lease_epoch + 1 WHERE id = %s", (conversation,))
    record = {
        "state": "done", "trigger": "message", "started_at": turn.run_at.isoformat(), "ms": 1, "attempts": 1, "error": "",
        "steps": [], "messages": [{"key": "k", "parts": [], "text": "never", "node_id": ""}],
    }  # fmt: skip
    rows = TurnRows(b"x", "open", "reply", "q", due_at=None, keep_timer=False, record=record)
    with pytest.raises(LeaseLost):
        await p.store.commit(access.workspace_id, conversation, turn, rows)
    assert "never" not in await p.texts(access, conversation)
    assert not await p.store.renew(access.workspace_id, conversation, turn.epoch)


async def test_a_dead_owner_is_replaced_at_once_and_a_living_one_is_not(postgres: EmbeddedPostgres) -> None:
    access = publish(postgres.admin_url, ECHO)
    async with process(postgres.app_url) as living:
        async with process(postgres.app_url) as dying:
            conversation = await dying.begin(access)
            _, turn = await dying.store.accept(
                access.workspace_id, conversation, dedupe_key="x", kind="message",
                payload={"reply": {"text": "hello"}}, parts=[],
            )  # fmt: skip
            assert turn is not None
            assert (access.workspace_id, conversation) not in await living.sweep.pending()
            assert await living.store.lease(access.workspace_id, conversation) is None
        # A session's end reaches the server a moment after it is closed here.
        async with asyncio.timeout(3):
            while (access.workspace_id, conversation) not in await living.sweep.pending(limit=1000):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await living.runner.run_pending(access.workspace_id, conversation)
        assert (await living.texts(access, conversation))[-2:] == ["You said hello", "Say something"]


async def test_a_trigger_that_keeps_failing_is_put_aside_and_the_contact_told(
    postgres: EmbeddedPostgres, admin: Admin
) -> None:
    access = publish(postgres.admin_url, THINKING)
    async with process(postgres.app_url) as p:
        conversation = await p.begin(access)
        accepted, _ = await p.store.accept(
            access.workspace_id, conversation, dedupe_key="x", kind="message", payload={"reply": {"text": "poison"}},
            parts=[],
        )  # fmt: skip
        assert accepted is not None
        # Three attempts that died: counted before the work, never finished.
        for _ in range(2):
            admin.execute("UPDATE conversation SET lease_until = now() WHERE id = %s", (conversation,))
            assert await p.store.lease(access.workspace_id, conversation) is not None
        admin.execute("UPDATE conversation SET lease_until = now() WHERE id = %s", (conversation,))
        await p.runner.run_pending(access.workspace_id, conversation)
        assert (await p.texts(access, conversation))[-1] == SORRY["en"]
        head = await p.conversations.transcript(access, conversation)
        assert (head.status, head.waits, head.is_running) == ("quarantined", "reply", False)
        state = admin.execute("SELECT state, attempts FROM inbox WHERE id = %s", (accepted.inbox_id,)).fetchone()
        assert state == ("dead", 4)
        await p.say(access, conversation, "fine")
        assert (await p.conversations.transcript(access, conversation)).status == "open"


async def test_a_closing_process_hands_its_turn_over_uncounted(postgres: EmbeddedPostgres, admin: Admin) -> None:
    access = publish(postgres.admin_url, THINKING)
    model, other = Model(), Model()
    async with process(postgres.app_url, other.outside) as staying:
        async with process(postgres.app_url, model.outside) as leaving:
            conversation = await leaving.begin(access)
            model.may_answer.clear()
            accepted = await leaving.conversations.receive(access, conversation, Reply(text="1"), dedupe_key="1")
            await model.was_asked.wait()
            await leaving.runner.close(0.01)
            attempts = admin.execute("SELECT attempts, state FROM inbox WHERE id = %s", (accepted.inbox_id,)).fetchone()
            assert attempts == (0, "pending")
        await staying.runner.run_pending(access.workspace_id, conversation)
        assert (await staying.texts(access, conversation)) == ["?", "> 1", "Answer to 1", "?"]


async def test_what_a_model_answered_before_the_death_is_not_asked_again(postgres: EmbeddedPostgres) -> None:
    access = publish(postgres.admin_url, THINKING)
    model, other = Model(), Model()
    async with process(postgres.app_url, other.outside) as second:
        async with process(postgres.app_url, model.outside) as first:
            conversation = await first.begin(access)

            async def dies(*_: Any) -> Any:
                raise OSError("gone just before the commit")

            object.__setattr__(first.store, "commit", dies)
            await first.say(access, conversation, "1")
        await second.runner.run_pending(access.workspace_id, conversation)
        assert (await second.texts(access, conversation)) == ["?", "> 1", "Answer to 1", "?"]
    assert (model.asked, other.asked) == (["1"], [])


async def test_a_full_disk_uses_up_no_attempts(
    p: Process, postgres: EmbeddedPostgres, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = publish(postgres.admin_url, ECHO)
    conversation = await p.begin(access)
    monkeypatch.setattr(turn_runner, "FULL_SECONDS", 0.0)
    times = 0

    async def refuses(*_: Any) -> Any:
        nonlocal times
        times += 1
        raise psycopg.errors.DiskFull("could not extend file")

    with monkeypatch.context() as full:
        full.setattr(p.store, "commit", refuses)
        await p.say(access, conversation, "1")
        for _ in range(5):
            await p.runner.run_pending(access.workspace_id, conversation, is_left=True)
    assert times == 6
    waits = admin.execute(
        "SELECT attempts, state FROM inbox WHERE kind = 'message' AND conversation_id = %s", (conversation,)
    )
    assert waits.fetchall() == [(0, "pending")]
    await p.runner.run_pending(access.workspace_id, conversation, is_left=True)
    assert await p.texts(access, conversation) == ["Say something", "> 1", "You said 1", "Say something"]


async def test_an_idle_conversation_takes_little_room(p: Process, postgres: EmbeddedPostgres, admin: Admin) -> None:
    access = publish(postgres.admin_url, ECHO)
    conversation = await p.begin(access)
    for i in range(5):
        await p.say(access, conversation, f"{i}")
    row = admin.execute("SELECT pg_column_size(c.*) FROM conversation c WHERE id = %s", (conversation,)).fetchone()
    assert row is not None
    assert row[0] < 700


async def test_another_workspace_sees_nothing(p: Process, postgres: EmbeddedPostgres) -> None:
    access = publish(postgres.admin_url, ECHO)
    other = publish(postgres.admin_url, ECHO)
    conversation = await p.begin(access)
    assert await p.store.lease(other.workspace_id, conversation) is None
    accepted, _ = await p.store.accept(
        other.workspace_id, conversation, dedupe_key="x", kind="message", payload={}, parts=[]
    )
    assert accepted is None
    assert await p.reader.messages(other.workspace_id, conversation) == []
    assert not await p.store.end(other.workspace_id, conversation, "no")
