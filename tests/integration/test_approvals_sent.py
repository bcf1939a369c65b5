"""What waits for approval keeps its place in the line of its recipient, and leaves once, whoever is killed meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.errors import Conflict
from graph_runtime.services.approvals import Approvals
from graph_runtime.services.hand_offs import HandOffs
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.approval_world import ANSWERS, QUIET, SPEAKING, answer_by
from tests.delivery_world import CONNECTORS, Place, SendingProcess, sending
from tests.engine.small_nodes import flow
from tests.fakes.webhook_receiver import WebhookReceiver, receiving
from tests.hand_off_world import add_member
from tests.integration.test_deliveries import outbox, until

Admin = psycopg.Connection[tuple[Any, ...]]
ROOT = Path(__file__).resolve().parents[2]
CATALOG = Catalog(SPEAKING.nodes, CONNECTORS)
FLOW = ANSWERS.model_copy(update={"pace": ANSWERS.pace.model_copy(update=QUIET)})
BYE = flow(
    {"s": ("start", {}), "m": ("speak", {"text": "Bye {{ message.text }}"})}, {"s.next": "m"}
)  # fmt: skip
"""Says one thing and is over: whoever writes again begins a new conversation."""


@pytest.fixture(autouse=True)
def _nothing_left_to_send(admin: Admin) -> None:
    admin.execute("DELETE FROM workspace")


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebhookReceiver]:
    with receiving() as fake:
        yield fake


@asynccontextmanager
async def sender(postgres: EmbeddedPostgres) -> AsyncIterator[SendingProcess]:
    async with sending(postgres.app_url, catalog=CATALOG) as side:
        yield side


async def test_later_messages_wait_behind_it_whatever_conversation_they_are_of(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin
) -> None:
    document = BYE.model_copy(update={"pace": FLOW.pace})
    place, lane = Place(postgres.admin_url, document), receiver.lane()
    async with sender(postgres) as side:
        channel = await side.add(place, "webhook", receiver.url(lane))
        access = channel.access(place)
        answer_by(admin, access, approval={"approves": "model"})
        anna = add_member(admin, access, "Anna")
        approvals = Approvals(side)
        first = await channel.post(side, "u1", "one")
        await until(lambda: admin.execute("SELECT count(*) FROM held_message").fetchone() == (1,))
        answer_by(admin, access, approval={"approves": "nothing"})
        second = await channel.post(side, "u1", "two")
        assert first.conversation_id != second.conversation_id
        await channel.post(side, "u2", "other")
        await until(lambda: "Bye other" in lane.texts)
        await asyncio.sleep(0.3)  # long enough for a sender that looks every fifth of a second
        assert lane.texts == ["Bye other"]
        [waiting] = await approvals.list(anna)
        await approvals.decide(anna, waiting.id, "send")
        await until(lambda: len(lane.texts) == 3)
    assert lane.texts == ["Bye other", "Bye one", "Bye two"]
    assert lane.repeats() == {}


async def test_what_is_withdrawn_blocks_nobody(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin
) -> None:
    place, lane = Place(postgres.admin_url, FLOW), receiver.lane()
    async with sender(postgres) as side:
        channel = await side.add(place, "webhook", receiver.url(lane))
        access = channel.access(place)
        answer_by(admin, access, approval={"approves": "model"})
        anna = add_member(admin, access, "Anna")
        talk = (await channel.post(side, "u1", "one")).conversation_id
        await channel.post(side, "u1", "two")
        await HandOffs(side).accept(anna, talk)
        await HandOffs(side).reply(anna, talk, "It is me", client_id="1")
        await until(lambda: lane.texts == ["?", "It is me"])


@pytest.mark.parametrize(
    ("by", "is_stored"), [("member", False), ("time", True)], ids=["before the commit", "after the commit"]
)
async def test_killed_while_it_is_decided(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin, by: str, is_stored: bool
) -> None:
    place, lane = Place(postgres.admin_url, FLOW), receiver.lane()
    async with sender(postgres) as side:
        channel = await side.add(place, "webhook", receiver.url(lane))
        access = channel.access(place)
        rules = {"approves": "model", "wait_minutes": 5, "on_timeout": "send"}
        answer_by(admin, access, approval=rules)
        anna = add_member(admin, access, "Anna")
        talk = (await channel.post(side, "u1", "one")).conversation_id
        await channel.post(side, "u1", "two")
        approvals = Approvals(side)
        [waiting] = await approvals.list(anna)
        if by == "time":
            admin.execute("UPDATE held_message SET due_at = now() WHERE id = %s", (waiting.id,))
        member = str(anna.member_id) if by == "member" else ""
        with psycopg.connect(postgres.admin_url) as lock:
            if not is_stored:
                lock.execute("SELECT 1 FROM conversation WHERE id = %s FOR UPDATE", (talk,))
            async with approver(postgres.app_url, place.workspace_id, member, waiting.id) as child:
                if is_stored:
                    assert child.stdout is not None
                    assert await child.stdout.readline() == b"done\n"
                else:
                    await until(lambda: _is_blocked(admin), 20)
                child.send_signal(signal.SIGKILL)
                await child.communicate()
        # Whoever comes next finds it decided, or decides.
        if by == "member":
            with suppress(Conflict):
                await approvals.decide(anna, waiting.id, "edit", "Changed")
        else:
            await approvals.time_out()
        await until(lambda: len(lane.texts) == 3)
        await until(lambda: [row[0] for row in outbox(admin, place)] == ["sent"] * 3)
    assert lane.texts == ["?", "Changed" if by == "member" else "Answer to two", "?"]
    assert lane.repeats() == {}


@asynccontextmanager
async def approver(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process in which it is decided; killed at the end if it still lives."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.mortal_approver", *arguments, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert child.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await child.stdout.readline() == b"ready\n"
        yield child
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGKILL)
            await child.communicate()


def _is_blocked(admin: Admin) -> bool:
    row = admin.execute("SELECT count(*) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0").fetchone()
    return bool(row and row[0])
