"""A message that kills its process must not take others to the dead letters: last attempts run alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg

from graph_runtime.contract.models import ModelReply
from graph_runtime.services.isolation import Isolation
from graph_runtime.services.turn_world import Outside
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.conversation_world import process, publish
from tests.engine.small_nodes import flow

FLOW = flow(
    {"s": ("start", {}), "q": ("ask", {"text": "?"}), "m": ("think", {"text": "{{ message.text }}"})},
    {"s.next": "q", "q.answered": "m", "m.next": "q"},
    pace={"gather_ms": 0},
)


class Gate:
    """A model that holds every call until it is let go, and knows who is inside."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.most = 0
        self.order: list[str] = []
        self.entered = asyncio.Event()
        self.may_leave = asyncio.Event()

    async def run(self, request: Any, *_: Any) -> ModelReply:
        text = request.messages[-1].text
        self.inside.append(text)
        self.order.append(text)
        self.most = max(self.most, len(self.inside))
        self.entered.set()
        await self.may_leave.wait()
        self.inside.remove(text)
        return ModelReply(f"Answer to {text}")

    @property
    def outside(self) -> Outside:
        async def models(*_: str) -> list[Any]:
            return []

        return Outside(runner=self, models=models)


async def test_last_attempts_run_one_at_a_time_and_the_waiting_ones_are_not_counted(
    postgres: EmbeddedPostgres, admin: psycopg.Connection[tuple[Any, ...]]
) -> None:
    access, gate = publish(postgres.admin_url, FLOW), Gate()
    async with process(postgres.app_url, gate.outside) as p:
        conversations = [await p.begin(access) for _ in range(3)]
        for n, conversation in enumerate(conversations):
            await p.store.accept(
                access.workspace_id, conversation, dedupe_key=f"x{n}", kind="message",
                payload={"reply": {"text": f"m{n}"}}, parts=[],
            )  # fmt: skip
            admin.execute(
                "UPDATE inbox SET attempts = 2 WHERE conversation_id = %s AND kind = 'message'", (conversation,)
            )
            admin.execute("UPDATE conversation SET lease_until = now() WHERE id = %s", (conversation,))
            p.runner.start(access.workspace_id, conversation)
        await gate.entered.wait()
        async with asyncio.timeout(10):
            while p.runner.kept_apart != set(conversations) or _attempts(admin, conversations) != [2, 2, 3]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # the other two are handed over
        # The sweeper finds those that wait, and leaves them to the task that has them.
        for conversation in conversations:
            await asyncio.wait_for(p.runner.run_pending(access.workspace_id, conversation), 5)
        assert _attempts(admin, conversations) == [2, 2, 3]
        gate.may_leave.set()
        await p.settle()
        for n, conversation in enumerate(conversations):
            assert (await p.texts(access, conversation))[-2:] == [f"Answer to m{n}", "?"]
    assert gate.most == 1


async def test_a_last_attempt_that_was_found_waiting_is_not_leased_before_it_runs(
    postgres: EmbeddedPostgres, admin: psycopg.Connection[tuple[Any, ...]]
) -> None:
    """A process that dies while others wait for their last attempt must not leave these counted: ten deadly messages
    at once took five others with them."""
    access, gate = publish(postgres.admin_url, FLOW), Gate()
    gate.may_leave.set()
    async with process(postgres.app_url, gate.outside) as p:
        conversations = [await p.begin(access) for _ in range(3)]
        for n, conversation in enumerate(conversations):
            await p.store.accept(
                access.workspace_id, conversation, dedupe_key=f"x{n}", kind="message",
                payload={"reply": {"text": f"m{n}"}}, parts=[],
            )  # fmt: skip
            admin.execute(
                "UPDATE inbox SET attempts = 2 WHERE conversation_id = %s AND kind = 'message'", (conversation,)
            )
            admin.execute("UPDATE conversation SET lease_until = now() WHERE id = %s", (conversation,))
        before = _epochs(admin, conversations)
        for conversation in conversations:
            p.runner.start(access.workspace_id, conversation, is_left=True)
        await p.settle()
        for n, conversation in enumerate(conversations):
            assert (await p.texts(access, conversation))[-2:] == [f"Answer to m{n}", "?"]
    assert _attempts(admin, conversations) == [3, 3, 3]
    assert _epochs(admin, conversations) == [epoch + 1 for epoch in before]
    assert gate.most == 1


async def test_a_last_attempt_runs_after_what_was_taken_up_before_and_before_what_comes_later(
    postgres: EmbeddedPostgres, admin: psycopg.Connection[tuple[Any, ...]]
) -> None:
    access, gate = publish(postgres.admin_url, FLOW), Gate()
    async with process(postgres.app_url, gate.outside) as p:
        names = ("earlier", "last", "later")
        conversations = {name: await p.begin(access) for name in names}
        for name, conversation in conversations.items():
            await p.store.accept(
                access.workspace_id, conversation, dedupe_key=name, kind="message",
                payload={"reply": {"text": name}}, parts=[],
            )  # fmt: skip
            tries = 2 if name == "last" else 1
            admin.execute(
                "UPDATE inbox SET attempts = %s WHERE conversation_id = %s AND kind = 'message'", (tries, conversation)
            )
            admin.execute("UPDATE conversation SET lease_until = now() WHERE id = %s", (conversation,))

        async def until(what: Callable[[], bool]) -> None:
            async with asyncio.timeout(10):
                while not what():  # noqa: ASYNC110  # nothing tells of it
                    await asyncio.sleep(0.01)

        p.runner.isolation = Isolation(60, 60)
        p.runner.start(access.workspace_id, conversations["earlier"], is_left=True)
        await until(lambda: gate.inside == ["earlier"])
        p.runner.start(access.workspace_id, conversations["last"], is_left=True)
        await until(lambda: p.runner.isolation.is_closed)
        assert p.runner.kept_apart == {conversations["last"]}
        p.runner.start(access.workspace_id, conversations["later"], is_left=True)
        assert gate.inside == ["earlier"]
        gate.may_leave.set()
        await p.settle()
        for name, conversation in conversations.items():
            assert (await p.texts(access, conversation))[-2:] == [f"Answer to {name}", "?"]
    assert gate.order == ["earlier", "last", "later"]
    assert gate.most == 1


async def test_beside_a_slow_last_attempt_runs_only_what_no_process_can_have_died_of(
    postgres: EmbeddedPostgres, admin: psycopg.Connection[tuple[Any, ...]]
) -> None:
    access, gate = publish(postgres.admin_url, FLOW), Gate()
    async with process(postgres.app_url, gate.outside) as p:
        tries = {"last": 2, "suspect": 1, "fresh": 0}
        conversations = {name: await p.begin(access) for name in tries}
        for name, conversation in conversations.items():
            await p.store.accept(
                access.workspace_id, conversation, dedupe_key=name, kind="message",
                payload={"reply": {"text": name}}, parts=[],
            )  # fmt: skip
            admin.execute(
                "UPDATE inbox SET attempts = %s WHERE conversation_id = %s AND kind = 'message'",
                (tries[name], conversation),
            )
            admin.execute("UPDATE conversation SET lease_until = now() WHERE id = %s", (conversation,))
        p.runner.isolation = Isolation(alone=60, together=0.05, suspect=60)
        p.runner.start(access.workspace_id, conversations["last"], is_left=True)
        async with asyncio.timeout(10):
            while gate.inside != ["last"]:  # noqa: ASYNC110  # nothing tells of it
                await asyncio.sleep(0.01)
            p.runner.start(access.workspace_id, conversations["suspect"])
            p.runner.start(access.workspace_id, conversations["fresh"], is_left=True)
            while gate.inside != ["last", "fresh"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        gate.may_leave.set()
        await p.settle()
    assert gate.order == ["last", "fresh", "suspect"]


async def test_nobody_waits_for_ever_for_a_slow_one() -> None:
    isolation = Isolation(0.05, 0.05)
    async with isolation.together(), isolation.alone():
        assert isolation.is_closed
        async with isolation.together():
            pass
    assert not isolation.is_closed


def _epochs(admin: psycopg.Connection[tuple[Any, ...]], conversations: list[str]) -> list[Any]:
    return [
        row[0] for c in conversations
        for row in admin.execute("SELECT lease_epoch FROM conversation WHERE id = %s", (c,))
    ]  # fmt: skip


def _attempts(admin: psycopg.Connection[tuple[Any, ...]], conversations: list[str]) -> list[Any]:
    rows = admin.execute(
        "SELECT attempts FROM inbox WHERE conversation_id = ANY(%s::uuid[]) AND kind = 'message'", (conversations,)
    )
    return sorted(row[0] for row in rows)


async def test_who_comes_later_does_not_keep_a_last_attempt_from_being_alone() -> None:
    isolation, order = Isolation(alone=30, together=0.01), list[str]()
    may_leave = asyncio.Event()

    async def together(name: str) -> None:
        async with isolation.together():
            order.append(name)
            await may_leave.wait()

    async def alone() -> None:
        async with isolation.alone():
            order.append("alone")

    first = asyncio.create_task(together("first"))
    await asyncio.sleep(0)
    last_attempt = asyncio.create_task(alone())
    await asyncio.sleep(0)
    late = asyncio.create_task(together("late"))
    await asyncio.wait({late}, timeout=0.1)
    assert (order, isolation.is_closed) == (["first"], True)
    may_leave.set()
    await asyncio.gather(first, last_attempt, late)
    assert (order, isolation.is_closed) == (["first", "alone", "late"], False)
