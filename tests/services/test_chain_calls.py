"""Chains that call: again when nobody answers, never twice for one try, and on when somebody does."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.services.chain_acts import Acts
from graph_runtime.services.principal import Principal
from graph_runtime.storage import contacts
from tests.fakes.asterisk_manager import Manager, managing
from tests.phone_world import Line
from tests.services.test_calls_out import line_to

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


async def called(services: Services, owner: Principal, line: Line, tries: int) -> str:
    """A chain of one call with a contact inside; the enrollment's id."""
    call = {"id": "call", "kind": "call", "channel_id": line.channel_id, "tries": tries, "again_minutes": 30}
    draft = await services.chain_drafts.create(owner, "Call", {"quiet": None, "steps": [call]})
    await services.chain_drafts.publish(owner, draft.row.id)
    async with services.database.workspace(owner.workspace_id) as connection:
        contact_id = await contacts.insert(connection, {"phone": "+49301234567"})
    (entered,) = await services.chains.enroll(owner, draft.row.id, [contact_id], now=NOW)
    return entered.enrollment_id


async def look(
    services: Services, owner: Principal, enrollment_id: str, at: datetime
) -> tuple[Any, list[tuple[str, str]]]:
    await services.chain_runner.run_step(owner.workspace_id, enrollment_id, at)
    (chain,) = await services.chain_drafts.list(owner)
    row, lines = await services.chains.person(owner, chain.id, enrollment_id)
    return row, [(line["what"], line["reason"]) for line in lines]


async def settled(services: Services, manager: Manager, count: int) -> None:
    """Until so many calls were placed and their ends are known."""
    async with asyncio.timeout(10):
        while len(manager.calls) < count or services.calls_out._ringing:  # noqa: ASYNC110  # another socket's end
            await asyncio.sleep(0.01)


async def test_nobody_answers_twice(services: Services, owner: Principal) -> None:
    async with managing(ends="busy") as manager:
        line = await line_to(services, owner, manager)
        enrollment = await called(services, owner, line, tries=2)
        row, _ = await look(services, owner, enrollment, NOW)
        await settled(services, manager, 1)
        # The worker died before its commit: the same try rings nobody again.
        row, _ = await look(services, owner, enrollment, NOW + timedelta(seconds=80))
        assert (row.note, row.due_at) == ("not_reached", NOW + timedelta(seconds=80, minutes=30))
        row, _ = await look(services, owner, enrollment, NOW + timedelta(minutes=40))
        await settled(services, manager, 2)
        row, log = await look(services, owner, enrollment, NOW + timedelta(minutes=45))
        assert row.state == "done"
        assert log == [("enrolled", "page"), ("called", ""), ("called", ""), ("failed", "call:busy"), ("finished", "")]
        assert len(manager.calls) == 2


async def test_a_worker_that_dies_after_ringing_rings_once(
    services: Services, owner: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with managing(ends="busy") as manager:
        line = await line_to(services, owner, manager)
        enrollment = await called(services, owner, line, tries=1)
        do = Acts.do

        async def dies(*arguments: Any) -> Any:
            await do(*arguments)
            raise RuntimeError("killed before the commit")

        monkeypatch.setattr(Acts, "do", dies)
        await services.chain_runner.run_step(owner.workspace_id, enrollment, NOW)
        monkeypatch.undo()
        await settled(services, manager, 1)
        await look(services, owner, enrollment, NOW + timedelta(minutes=1))
        row, _ = await look(services, owner, enrollment, NOW + timedelta(minutes=5))
        assert (row.state, len(manager.calls)) == ("done", 1)
