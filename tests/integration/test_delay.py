"""The Delay step with real timer rows: months, other processes, new versions, messages meanwhile, working hours."""

from __future__ import annotations

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
