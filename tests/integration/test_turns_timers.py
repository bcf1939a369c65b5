"""Waiting for time and for nobody: timers fire once, never early, and not when the contact was quicker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from graph_runtime.engine.virtual_clock import VirtualClock
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.worker.timers import Timers
from tests.conversation_world import Process, process, publish
from tests.engine.small_nodes import flow

DAY = 86_400
FLOW = flow(
    {
        "s": ("start", {}),
        "q": ("ask", {"text": "Still there?", "seconds": DAY}),
        "thanks": ("say", {"text": "Thanks"}),
        "p": ("pause", {"seconds": 30 * DAY}),
        "back": ("say", {"text": "A month later"}),
        "bye": ("end", {"text": "silent"}),
    },
    {"s.next": "q", "q.answered": "thanks", "q.no_reply": "bye", "thanks.next": "p", "p.elapsed": "back"},
)


@pytest.fixture
async def p(postgres: EmbeddedPostgres) -> AsyncIterator[Process]:
    async with process(postgres.app_url) as side:
        yield side


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime.now(UTC))


@pytest.fixture
def timers(p: Process, clock: VirtualClock) -> Timers:
    return Timers(p.sweep, p.runner, p.database.listen, clock.now)


async def fire(timers: Timers, p: Process) -> int:
    """Fire all that is due and run it. Other tests' timers may be among them."""
    fired = 0
    while some := await timers.once():
        fired += some
    await p.settle()
    return fired


async def status(p: Process, access: ChannelAccess, conversation: str) -> tuple[str, str]:
    head = await p.conversations.transcript(access, conversation)
    return head.status, head.waits


async def test_nobody_answers_and_the_timer_fires_once_and_not_early(
    p: Process, postgres: EmbeddedPostgres, clock: VirtualClock, timers: Timers
) -> None:
    access = publish(postgres.admin_url, FLOW)
    conversation = await p.begin(access)
    clock.advance(timedelta(seconds=DAY - 60))
    await fire(timers, p)
    assert await status(p, access, conversation) == ("open", "reply")
    clock.advance(timedelta(seconds=120))
    await asyncio.gather(*(timers.once() for _ in range(4)))
    await p.settle()
    assert await status(p, access, conversation) == ("ended", "")
    assert await p.texts(access, conversation) == ["Still there?"]


async def test_an_answer_in_time_cancels_the_timer(
    p: Process, postgres: EmbeddedPostgres, clock: VirtualClock, timers: Timers
) -> None:
    access = publish(postgres.admin_url, FLOW)
    conversation = await p.begin(access)
    await p.say(access, conversation, "yes")
    clock.advance(timedelta(seconds=2 * DAY))
    await fire(timers, p)
    assert await status(p, access, conversation) == ("open", "time")
    assert (await p.texts(access, conversation))[-1] == "Thanks"


async def test_a_timer_that_was_overtaken_by_a_message_changes_nothing(
    p: Process, postgres: EmbeddedPostgres, clock: VirtualClock
) -> None:
    access = publish(postgres.admin_url, FLOW)
    conversation = await p.begin(access)
    # The message is stored first, the timer fires before its turn has run: both now wait in the inbox.
    _, turn = await p.store.accept(
        access.workspace_id, conversation, dedupe_key="m", kind="message", payload={"reply": {"text": "yes"}}, parts=[]
    )
    clock.advance(timedelta(seconds=2 * DAY))
    assert (access.workspace_id, conversation) in await p.sweep.fire_timers(clock.now())
    assert turn is not None
    await p.store.release(access.workspace_id, conversation, turn.epoch, turn.inbox_id, uncount=False)
    await p.run_all(access, conversation)
    assert await status(p, access, conversation) == ("open", "time")
    assert (await p.texts(access, conversation))[-1] == "Thanks"


async def test_a_pause_of_a_month_survives_messages_and_ends_by_time(
    p: Process, postgres: EmbeddedPostgres, clock: VirtualClock, timers: Timers
) -> None:
    access = publish(postgres.admin_url, FLOW)
    conversation = await p.begin(access)
    await p.say(access, conversation, "yes")
    await p.say(access, conversation, "hello?")
    assert await status(p, access, conversation) == ("open", "time")
    clock.advance(timedelta(seconds=31 * DAY))
    await fire(timers, p)
    assert (await p.texts(access, conversation))[-2:] == ["> hello?", "A month later"]
    assert await status(p, access, conversation) == ("ended", "")


async def test_the_worker_sleeps_until_the_next_timer_and_hears_of_new_ones(
    p: Process, postgres: EmbeddedPostgres
) -> None:
    soon = flow(
        {"s": ("start", {}), "q": ("ask", {"text": "?", "seconds": 0.3}), "e": ("say", {"text": "Silence"})},
        {"s.next": "q", "q.no_reply": "e"},
    )
    access = publish(postgres.admin_url, soon)
    running = asyncio.create_task(Timers(p.sweep, p.runner, p.database.listen).run())
    conversation = await p.begin(access)
    async with asyncio.timeout(10), p.conversations.watch(access, conversation) as events:
        async for event in events:
            if event["type"] == "message" and event["message"]["text"] == "Silence":
                break
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_is_due_is_found_by_its_index_when_one_workspace_has_all(
    p: Process, postgres: EmbeddedPostgres
) -> None:
    access = publish(postgres.admin_url, FLOW)
    await p.begin(access)
    with psycopg.connect(postgres.admin_url) as admin:
        admin.execute("ALTER TABLE timer DISABLE TRIGGER USER")
        admin.execute(
            "INSERT INTO timer (workspace_id, conversation_id, due_at, turn_seq)"
            " SELECT workspace_id, conversation_id, due_at + interval '1 day', turn_seq FROM timer, generate_series(1, 20000)"
        )
        admin.execute("ANALYZE timer")
        read = "SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'timer'"
        before = admin.execute(read).fetchone()
        for look in ("seconds_to_next_timer(NULL, 30)", "fire_timers(NULL, 3)"):
            admin.execute("SELECT " + look)
        assert admin.execute(read).fetchone() == before
        admin.rollback()
