"""The page of work: what waits is counted, what is stopped stays where it is and goes on afterwards, what failed goes again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import AccessDenied, InputInvalid
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.services.workload import LINES, WorkLine
from graph_runtime.storage import contacts
from graph_runtime.storage.chain_steps import ChainSweep
from graph_runtime.storage.timers import Sweep
from tests.conftest import new_workspace

Admin = psycopg.Connection[tuple[object, ...]]
NOTE = {"id": "note", "kind": "notify", "text": "Ring them"}


async def seen(services: Services, owner: Principal) -> dict[str, WorkLine]:
    return {one.line: one for one in (await services.workload.view(owner)).lines}


async def inside(services: Services, owner: Principal, count: int = 3) -> list[str]:
    """People whose step is due."""
    draft = await services.chain_drafts.create(owner, "Later", {"quiet": None, "steps": [NOTE]})
    await services.chain_drafts.publish(owner, draft.row.id)
    async with services.database.workspace(owner.workspace_id) as connection:
        ids = [await contacts.insert(connection, {"name": f"c{n}"}) for n in range(count)]
    entered = await services.chains.enroll(owner, draft.row.id, ids)
    return [e.enrollment_id for e in entered]


async def test_what_waits_is_counted(services: Services, owner: Principal) -> None:
    work = await services.workload.view(owner)
    assert [one.line for one in work.lines] == [*LINES]
    assert {(one.waiting, one.failed, one.is_paused) for one in work.lines} == {(0, 0, False)}
    assert work.wakes == "postgresql"
    await inside(services, owner)
    timers = (await seen(services, owner))["timers"]
    assert timers.waiting == 3
    assert timers.oldest_at is not None
    assert datetime.now(UTC) - timers.oldest_at < timedelta(minutes=1)


async def test_what_is_stopped_waits_and_then_goes_on(services: Services, owner: Principal) -> None:
    enrollments = await inside(services, owner)
    sweep = ChainSweep(services.database)
    assert await services.workload.set_going(owner, "timers", is_on=False)
    assert not await services.workload.set_going(owner, "timers", is_on=False)
    assert await sweep.due(None, 10) == []
    assert await sweep.seconds_to_next(10.0, None) == 10.0
    assert await Sweep(services.database, 1).fire_timers() == []
    timers = (await seen(services, owner))["timers"]
    assert (timers.is_paused, timers.waiting) == (True, 3)
    assert await services.workload.set_going(owner, "timers", is_on=True)
    assert sorted(e for _, e in await sweep.due(None, 10)) == sorted(enrollments)
    for enrollment_id in enrollments:
        await services.chain_runner.run_step(owner.workspace_id, enrollment_id)
    timers = (await seen(services, owner))["timers"]
    assert (timers.waiting, timers.lately) == (0, 3)


async def test_other_kinds_are_stopped_in_the_database(services: Services, owner: Principal, admin: Admin) -> None:
    import_id = await services.contact_imports.keep(owner, "c.csv", b"name\nMarta\n")
    await services.contact_imports.start(owner, import_id, ["name"])
    assert (await seen(services, owner))["ingest"].waiting == 1
    await services.workload.set_going(owner, "ingest", is_on=False)
    assert not await services.contact_imports.run_next()
    await services.workload.set_going(owner, "ingest", is_on=True)
    assert await services.contact_imports.run_next()
    with pytest.raises(InputInvalid):
        await services.workload.set_going(owner, "chat", is_on=False)
    actions = admin.execute("SELECT action FROM audit WHERE action LIKE 'work.%' ORDER BY at").fetchall()
    assert [row[0] for row in actions] == ["work.paused", "work.resumed"]


async def test_what_failed_goes_again(services: Services, owner: Principal, admin: Admin) -> None:
    enrollments = await inside(services, owner, 2)
    admin.execute("UPDATE enrollment SET state = 'failed', reason = 'error', due_at = NULL")
    assert (await seen(services, owner))["timers"].failed == 2
    assert await services.workload.retry(owner, "timers") == 2
    assert (await seen(services, owner))["timers"].failed == 0
    assert len(await ChainSweep(services.database).due(None, 10)) == len(enrollments)
    assert await services.workload.retry(owner, "outbox") == 0


async def test_only_administrators_touch_it(services: Services, owner: Principal, admin: Admin) -> None:
    other_owner = new_workspace(admin, "Other")
    operator = replace(owner, role="operator", scopes=PERMISSIONS["operator"])
    await services.workload.view(operator)
    for act in (services.workload.set_going(operator, "bulk", is_on=False), services.workload.retry(operator, "bulk")):
        with pytest.raises(AccessDenied):
            await act
    with pytest.raises(AccessDenied):
        await services.workload.view(replace(owner, role="viewer", scopes=PERMISSIONS["viewer"]))
    await inside(services, owner)
    assert (await seen(services, other_owner))["timers"].waiting == 0
    await services.workload.set_going(other_owner, "timers", is_on=False)
    assert len(await ChainSweep(services.database).due(None, 10)) == 3


async def test_a_file_leads_into_a_chain_row_by_row(services: Services, owner: Principal) -> None:
    draft = await services.chain_drafts.create(owner, "Later", {"quiet": None, "steps": [NOTE]})
    await services.chain_drafts.publish(owner, draft.row.id)
    async with services.database.workspace(owner.workspace_id) as connection:
        silent = await contacts.insert(connection, {"phone": "+380671000002", "opted_out_at": datetime.now(UTC)})
    table = "name,phone\nAnna,+380671000001\nSilent,+380671000002\nBroken,12\nAnna again,+380671000001\nBoris,+380671000003\n"
    import_id = await services.contact_imports.keep(owner, "c.csv", table.encode())
    await services.contact_imports.start(owner, import_id, ["name", "phone"], chain_id=draft.row.id)
    assert await services.contact_imports.run_next()
    done = await services.contact_imports.progress(owner, import_id)
    assert (done.state, done.created, done.updated, done.broken, done.enrolled) == ("done", 2, 2, 1, 2)
    found = {p["row"]: p["message"] for p in await services.contact_imports.problems(owner, import_id)}
    assert sorted(found) == [3, 4]
    assert found[3] == "This contact does not want to be written to."
    people = await services.chains.people(owner, draft.row.id)
    assert {(row.phone, row.source) for row in people} == {("+380671000001", "csv"), ("+380671000003", "csv")}
    assert silent not in {row.contact_id for row in people}


async def test_old_logs_of_chains_are_forgotten_with_events(services: Services, owner: Principal, admin: Admin) -> None:
    over, _ = await inside(services, owner, 2)
    await services.chain_runner.run_step(owner.workspace_id, over)
    admin.execute("UPDATE enrollment SET ended_at = now() - interval '400 days' WHERE id = %s", (over,))
    admin.execute("UPDATE enrollment SET enrolled_at = now() - interval '400 days'")
    await services.retention.run(owner)
    left = admin.execute(
        "SELECT count(*), (SELECT count(*) FROM chain_log WHERE enrollment_id = %s) FROM enrollment", (over,)
    )
    assert left.fetchone() == (1, 0)  # whoever is still inside stays
