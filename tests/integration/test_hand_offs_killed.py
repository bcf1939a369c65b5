"""What a member says leaves like all else: once where the receiver folds repeats, marked where nobody can know."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from graph_runtime.services.hand_offs import HandOffs
from graph_runtime.services.principal import Principal
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.delivery_world import Channel, Place, SendingProcess, sending
from tests.fakes.webhook_receiver import WebhookReceiver, receiving
from tests.hand_off_world import add_member
from tests.integration.test_deliveries import QUIET, letters, outbox, until

Admin = psycopg.Connection[tuple[Any, ...]]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _nothing_left_to_send(admin: Admin) -> None:
    admin.execute("DELETE FROM workspace")


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebhookReceiver]:
    with receiving() as fake:
        yield fake


@asynccontextmanager
async def member_process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process in which a member says something; killed at the end if it still lives."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.mortal_member", *arguments, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
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


async def held(side: SendingProcess, place: Place, channel: Channel, admin: Admin) -> tuple[HandOffs, Principal, str]:
    """A conversation that Anna has."""
    anna = add_member(admin, channel.access(place), "Anna")
    talk = (await channel.post(side, "u1", "hello")).conversation_id
    hand_offs = HandOffs(side)
    await hand_offs.accept(anna, talk)
    return hand_offs, anna, talk


@pytest.mark.parametrize("is_stored", [False, True], ids=["before the commit", "after the commit"])
async def test_killed_while_a_member_speaks(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin, is_stored: bool
) -> None:
    place, lane = Place(postgres.admin_url, QUIET), receiver.lane()
    async with sending(postgres.app_url) as side:
        channel = await side.add(place, "webhook", receiver.url(lane))
        hand_offs, anna, talk = await held(side, place, channel, admin)
        with psycopg.connect(postgres.admin_url) as lock:
            if not is_stored:
                lock.execute("SELECT 1 FROM conversation WHERE id = %s FOR UPDATE", (talk,))
            who = (postgres.app_url, place.workspace_id, str(anna.member_id), talk, "c1")
            async with member_process(*who) as child:
                if is_stored:
                    assert child.stdout is not None
                    assert await child.stdout.readline() == b"said\n"
                else:
                    await until(lambda: _is_blocked(admin), 20)
                child.send_signal(signal.SIGKILL)
                await child.communicate()
        # The lock is gone: the server goes on with what it was asked, for nobody. The page sends it again under its id.
        said = await hand_offs.reply(anna, talk, "I will see to it.", client_id="c1")
        assert not (is_stored and said.is_new)
        await until(lambda: [row[0] for row in outbox(admin, place)] == ["sent"] * 2)
        await channel.post(side, "u1", "thanks")
        await hand_offs.give_back(anna, talk)
        await channel.post(side, "u1", "bye")
        await until(lambda: len(lane.texts) == 3)
    assert lane.texts == ["hello", "I will see to it.", "bye"]
    assert lane.repeats() == {}


def _is_blocked(admin: Admin) -> bool:
    row = admin.execute("SELECT count(*) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0").fetchone()
    return bool(row and row[0])


@pytest.mark.parametrize(
    ("connector", "arrives", "is_marked"),
    [("webhook", 2, False), ("fake_reconcile", 1, False), ("fake_blind", 2, True)],
)
async def test_each_send_class_keeps_its_word(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin, connector: str, arrives: int, is_marked: bool
) -> None:
    place, lane = Place(postgres.admin_url, QUIET), receiver.lane()
    async with sending(postgres.app_url) as side:
        channel = await side.add(place, connector, receiver.url(lane))
        access = channel.access(place)
        anna = add_member(admin, access, "Anna")
        if connector == "webhook":
            talk = (await channel.post(side, "u1", "hello")).conversation_id
        else:
            talk = await side.begin(access)
        await until(lambda: outbox(admin, place)[-1][0] == "sent")
        hand_offs = HandOffs(side)
        await hand_offs.accept(anna, talk)
        lane.fail("reset_after_accept")
        await hand_offs.reply(anna, talk, "Once?", client_id="1")
        await until(lambda: outbox(admin, place)[-1][0] == "sent", 20)
        await until(lambda: lane.texts.count("Once?") == arrives, 20)
        desk = await hand_offs.desk(anna, talk)
        said = [m for m in (await side.conversations.transcript(anna, talk)).messages if m["role"] == "member"]
    assert [bool(m["flags"].get("possibly_duplicate")) for m in said] == [is_marked]
    assert said[0]["flags"]["by"] == "Anna"
    assert desk.sendings[said[0]["seq"]] == "sent"
    assert letters(admin, place) == []
    assert len({a.key for a in lane.accepted if a.data["text"] == "Once?"}) == 1
