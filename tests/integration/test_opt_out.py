"""Whoever opts out is not written to until they write themselves; time, races and programs included."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from graph_runtime.contract.errors import InputInvalid
from graph_runtime.engine.virtual_clock import VirtualClock
from graph_runtime.services.workspace_settings import WorkspaceSettings
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.worker.timers import Timers
from tests.delivery_world import Channel, Place, SendingProcess, sending
from tests.engine.small_nodes import flow
from tests.fakes.webhook_receiver import Lane, WebhookReceiver, receiving
from tests.integration.test_deliveries import until

Admin = psycopg.Connection[tuple[object, ...]]
DAY = 86_400
FLOW = flow(
    {
        "s": ("start", {}),
        "q": ("ask", {"text": "heard {{ message.text }}", "seconds": DAY}),
        "nudge": ("ask", {"text": "still there?", "seconds": DAY}),
    },
    {"s.next": "q", "q.answered": "q", "q.no_reply": "nudge", "nudge.answered": "q", "nudge.no_reply": "nudge"},
)
"""Says back what it hears; a day of silence later it asks by itself, day after day."""


@pytest.fixture(autouse=True)
def _nothing_left_to_send(admin: Admin) -> None:
    admin.execute("DELETE FROM workspace")


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebhookReceiver]:
    with receiving() as fake:
        yield fake


class Town:
    """One workspace that sends to one receiver; `tomorrow` lets a day go by."""

    def __init__(self, side: SendingProcess, place: Place, channel: Channel, lane: Lane) -> None:
        self.side, self.place, self.channel, self.lane = side, place, channel, lane
        self._clock = VirtualClock(datetime.now(UTC))
        self._timers = Timers(side.sweep, side.runner, side.database.listen, self._clock.now)

    async def write(self, text: str) -> None:
        await self.channel.post(self.side, "u1", text)

    async def tomorrow(self) -> None:
        self._clock.advance(timedelta(seconds=DAY + 60))
        await self._timers.once()
        await self.side.settle()


async def _town(side: SendingProcess, admin_url: str, receiver: WebhookReceiver) -> Town:
    place, lane = Place(admin_url, FLOW), receiver.lane()
    return Town(side, place, await side.add(place, "webhook", receiver.url(lane)), lane)


def rows(admin: Admin, what: str, place: Place) -> list[Any]:
    return admin.execute(what.encode(), (place.workspace_id,)).fetchall()


OUTBOX = "SELECT state, error_class, initiated_by FROM outbox WHERE workspace_id = %s ORDER BY place"


async def test_stop_is_obeyed_and_answered_once(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin
) -> None:
    async with sending(postgres.app_url) as side:
        town = await _town(side, postgres.admin_url, receiver)
        await town.write("hello")
        await town.tomorrow()
        await until(lambda: len(town.lane.texts) == 2)
        assert town.lane.texts == ["heard hello", "still there?"]
        await town.write("STOP")
        await town.write("стоп")
        await until(lambda: len(town.lane.texts) == 3)
        assert town.lane.texts[2].startswith("Understood")
        # A day of silence: the flow would ask, and is kept from it; the transcript says so.
        await town.tomorrow()
        assert rows(admin, OUTBOX, town.place)[3:] == [("failed", "opted_out", "proactive")]
        flags = rows(
            admin, "SELECT flags FROM message WHERE workspace_id = %s AND role = 'agent' ORDER BY seq", town.place
        )
        assert flags[-1][0] == {"undelivered": "opted_out"}
        # What they ask themselves is answered, and coming back is one word.
        await town.write("one question")
        await until(lambda: "heard one question" in town.lane.texts)
        await town.write("start")
        await town.tomorrow()
        await until(lambda: town.lane.texts[-1] == "still there?")
    changes = rows(admin, "SELECT kind, actor FROM contact_change WHERE workspace_id = %s ORDER BY id", town.place)
    assert changes == [("opted_out", "contact"), ("came_back", "contact")]
    assert town.lane.repeats() == {}


async def test_stop_as_the_first_word_begins_no_flow(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin
) -> None:
    async with sending(postgres.app_url) as side:
        town = await _town(side, postgres.admin_url, receiver)
        await town.write("Unsubscribe!")
        await until(lambda: town.lane.texts)
        assert town.lane.texts[0].startswith("Understood")
        await town.write("hello again")
        await until(lambda: len(town.lane.texts) == 2)
    assert town.lane.texts[1] == "heard hello again"
    states = rows(admin, "SELECT status, result FROM conversation WHERE workspace_id = %s ORDER BY id", town.place)
    assert states == [("ended", "opted_out"), ("open", "")]


async def test_what_waits_to_be_sent_is_taken_back(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin
) -> None:
    async with sending(postgres.app_url, is_started=False) as side:
        town = await _town(side, postgres.admin_url, receiver)
        await town.write("hello")
        await town.tomorrow()
        assert [r[0] for r in rows(admin, OUTBOX, town.place)] == ["pending", "pending"]
        await town.write("stop")
        assert rows(admin, OUTBOX, town.place) == [
            ("pending", "", "reply"), ("failed", "opted_out", "proactive"), ("pending", "", "reply"),
        ]  # fmt: skip


async def test_whoever_opts_out_while_a_message_is_being_put_there(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin
) -> None:
    """Both orders of the two transactions: the message is taken back, or is not taken in."""
    async with sending(postgres.app_url, is_started=False) as side:
        town = await _town(side, postgres.admin_url, receiver)
        await town.write("hello")
        found = admin.execute(
            "SELECT c.id, c.contact_id, c.channel_id FROM conversation c WHERE workspace_id = %s",
            (town.place.workspace_id,),
        ).fetchone()
        assert found is not None
        put = (
            "INSERT INTO outbox (workspace_id, effect_key, conversation_id, channel_id, recipient, ordinal, parts,"
            f" initiated_by) VALUES ('{town.place.workspace_id}', %s, '{found[0]}', '{found[2]}', 'u1', 9, '[]', 'proactive')"
        )
        opt_out = f"UPDATE contact SET opted_out_at = now() WHERE id = '{found[1]}'"
        for first, second in ((put, opt_out), (opt_out, put)):
            admin.execute("UPDATE contact SET opted_out_at = NULL")
            async with side.database.workspace(town.place.workspace_id) as one:
                await one.execute(first.replace("%s", "'a'").encode())

                async def other(statement: str = second) -> None:
                    async with side.database.workspace(town.place.workspace_id) as connection:
                        await connection.execute(statement.replace("%s", "'b'").encode())

                waiting = asyncio.create_task(other())
                await asyncio.sleep(0.2)
                assert not waiting.done()
            await waiting
    proactive = [r[:2] for r in rows(admin, OUTBOX, town.place) if r[2] == "proactive"]
    assert proactive == [("failed", "opted_out")] * 2


async def test_a_workspace_chooses_its_words(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin
) -> None:
    async with sending(postgres.app_url) as side:
        town = await _town(side, postgres.admin_url, receiver)
        settings = WorkspaceSettings(side.database)
        await settings.update(town.place.who, stop_words=["genug"], stop_answer={"en": "Gone."})
        wrongs: tuple[dict[str, Any], ...] = (
            {"stop_words": []},
            {"start_words": ["x" * 41]},
            {"stop_answer": {"xx": "?"}},
            {"working_hours": {"mon": [["9", "8"]]}},
            {"holiday_country": "ZZ"},
        )
        for wrong in wrongs:
            with pytest.raises(InputInvalid):
                await settings.update(town.place.who, **wrong)
        await settings.update(town.place.who, holiday_country="UA", working_hours={"mon": [["10:00", "12:00"]]})
        await town.write("stop")
        await town.write("genug")
        await until(lambda: len(town.lane.texts) == 2)
    assert town.lane.texts == ["heard stop", "Gone."]
