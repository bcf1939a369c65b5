"""The Delay step with real timer rows: months, other processes, new versions, messages meanwhile, working hours."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.flow import Flow
from graph_runtime.engine.validate import FlowCheck, Surroundings
from graph_runtime.engine.virtual_clock import VirtualClock
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.worker.timers import Timers
from tests.conversation_world import Process, process, publish
from tests.engine.small_nodes import flow

Admin = psycopg.Connection[tuple[object, ...]]


def waiting(**settings: object) -> Flow:
    return flow(
        {
            "s": ("start", {}),
            "d": ("delay", settings),
            "late": ("send_message", {"text": "time is up"}),
            "early": ("send_message", {"text": "you wrote {{ message.text }}"}),
            "q": ("ask", {"text": "and now?"}),
        },
        {
            "s.next": "d",
            "d.elapsed": "late",
            "d.cancelled": "early",
            "late.next": "q",
            "early.next": "q",
            "q.answered": "q",
        },
    )


async def pass_time(p: Process, **more: float) -> None:
    clock = VirtualClock(datetime.now(UTC) + timedelta(**more))
    await Timers(p.sweep, p.runner, p.database.listen, clock.now).once()
    await p.settle()


async def test_months_later_another_process_goes_on_in_the_old_version(
    postgres: EmbeddedPostgres, catalog: Catalog, admin: Admin
) -> None:
    admin.execute("DELETE FROM workspace")
    access = publish(postgres.admin_url, waiting(duration="P26W", is_cancelled_by_reply=False))
    async with process(postgres.app_url, catalog=catalog) as one:
        conversation = await one.begin(access)
        await one.say(access, conversation, "hello?")
        assert await one.texts(access, conversation) == ["> hello?"]
    admin.execute(
        "UPDATE flow SET live_version_id = NULL WHERE workspace_id = %s", (access.workspace_id,)
    )  # whatever is live now
    async with process(postgres.app_url, catalog=catalog) as two:
        await pass_time(two, days=181)
        assert await two.texts(access, conversation) == ["> hello?"]
        await pass_time(two, days=183)
        assert await two.texts(access, conversation) == ["> hello?", "time is up", "and now?"]
        await pass_time(two, days=400)
        assert len(await two.texts(access, conversation)) == 3


async def test_a_message_ends_the_wait_and_its_timer(
    postgres: EmbeddedPostgres, catalog: Catalog, admin: Admin
) -> None:
    admin.execute("DELETE FROM workspace")
    access = publish(postgres.admin_url, waiting(duration="P1D", is_cancelled_by_reply=True))
    async with process(postgres.app_url, catalog=catalog) as p:
        conversation = await p.begin(access)
        await p.say(access, conversation, "back")
        await pass_time(p, days=2)
        assert await p.texts(access, conversation) == ["> back", "you wrote back", "and now?"]


async def test_working_hours_of_the_workspace_and_the_clock_of_the_contact(
    postgres: EmbeddedPostgres, catalog: Catalog, admin: Admin
) -> None:
    admin.execute("DELETE FROM workspace")
    access = publish(postgres.admin_url, waiting(wait="working"))
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(tomorrow + timedelta(hours=5, minutes=45)).weekday()]
    for key, value in (("working_hours", f'{{"{day}": [["12:00", "13:00"]]}}'), ("time_zone", '"UTC"')):
        admin.execute("INSERT INTO setting VALUES (%s, %s, %s)", (access.workspace_id, key, value))
    async with process(postgres.app_url, catalog=catalog) as p:
        conversation = await p.begin(access, contact={"phone": "+977 1 4200000"})
        row = admin.execute("SELECT due_at FROM timer WHERE conversation_id = %s", (conversation,)).fetchone()
        assert row is not None
        due = row[0]
        assert isinstance(due, datetime)
        assert (due.astimezone(UTC).hour, due.astimezone(UTC).minute) == (6, 15)  # noon in Kathmandu
        # In the simulator the wait is skipped although nobody works then.
        await pass_time(p, days=9)
        assert (await p.texts(access, conversation))[-1] == "and now?"


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"duration": "PT2M"}, False), ({"duration": "PT3M"}, True), ({"duration": "PT3M", "on_call": "pass"}, False),
        ({"wait": "working"}, True), ({"wait": "until", "until": "18:00"}, True),
    ],
)  # fmt: skip
def test_a_wait_that_no_caller_holds_is_told(catalog: Catalog, settings: dict[str, object], found: bool) -> None:
    check = FlowCheck(catalog)
    told = {p.code for p in check.check(waiting(**settings), Surroundings(takes_calls=True))}
    assert ("F024" in told) is found
    assert "F024" not in {p.code for p in check.check(waiting(**settings))}


def event_ends_it(**settings: object) -> Flow:
    parts = {
        "s": ("start", {}), "d": ("delay", {"duration": "P5D", **settings}),
        "late": ("send_message", {"text": "time is up"}),
        "happened": ("send_message", {"text": "it was {{ step.d.event.type }} {{ step.d.event.tag }}"}),
        "q": ("ask", {"text": "and now?"}),
    }  # fmt: skip
    ways = {"s.next": "d", "d.elapsed": "late", "d.happened": "happened", "late.next": "q", "happened.next": "q"}
    return flow(parts, {**ways, "q.answered": "q"})


HAPPENED = ["it was contact.tag_added paid", "and now?"]


async def test_an_event_ends_the_wait_once_whatever_process_is_there(
    postgres: EmbeddedPostgres, catalog: Catalog, admin: Admin
) -> None:
    admin.execute("DELETE FROM workspace")
    access = publish(postgres.admin_url, event_ends_it(event="contact.tag_added", event_value="{{ 'paid' }}"))
    async with process(postgres.app_url, catalog=catalog) as one:
        conversation = await one.begin(access)
        await one.say(access, conversation, "hello?")  # changes nothing, and the wait goes on listening
        other = await one.begin(replace(access, external_user_id="visitor:somebody-else"))
    tag = "UPDATE contact SET tags = tags || %s::text[] WHERE id = (SELECT contact_id FROM conversation WHERE id = %s)"
    admin.execute(tag, (["late payer"], conversation))
    async with process(postgres.app_url, catalog=catalog) as two:
        await pass_time(two)
        assert await two.texts(access, conversation) == ["> hello?"]
    admin.execute(tag, (["paid"], conversation))  # while no process lives
    admin.execute(tag, (["again"], conversation))
    async with process(postgres.app_url, catalog=catalog) as three:
        await pass_time(three, seconds=1)
        assert await three.texts(access, conversation) == ["> hello?", *HAPPENED]
        await pass_time(three, days=6)
        assert (await three.texts(access, conversation))[1:] == HAPPENED
        assert (await three.texts(replace(access, external_user_id="visitor:somebody-else"), other))[0] == "time is up"


async def test_a_trigger_that_fires_for_the_contact_ends_the_wait(
    postgres: EmbeddedPostgres, catalog: Catalog, admin: Admin
) -> None:
    admin.execute("DELETE FROM workspace")
    access = publish(postgres.admin_url, event_ends_it(event="trigger.fired", event_value="Paid"))
    async with process(postgres.app_url, catalog=catalog) as p:
        conversation = await p.begin(access)
        for name in ("Other", "Paid"):
            admin.execute(
                "WITH t AS (INSERT INTO agent_trigger (workspace_id, agent_id, name, kind, document)"
                " VALUES (%(w)s, %(a)s, %(n)s, 'webhook', '{}') RETURNING id)"
                " INSERT INTO trigger_run (workspace_id, trigger_id, key, source, contact_id)"
                " SELECT %(w)s, t.id, 'k', 'webhook', c.contact_id FROM t, conversation c WHERE c.id = %(c)s",
                {"w": access.workspace_id, "a": access.agent_id, "n": name, "c": conversation},
            )
        fire = (
            "UPDATE trigger_run SET state = 'fired' WHERE trigger_id = (SELECT id FROM agent_trigger WHERE name = %s)"
        )
        admin.execute(fire, ("Other",))
        await pass_time(p)
        assert await p.texts(access, conversation) == []
        admin.execute(fire, ("Paid",))
        await pass_time(p, seconds=1)
        assert (await p.texts(access, conversation))[0].startswith("it was trigger.fired")
