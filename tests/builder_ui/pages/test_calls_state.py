"""The page of calls, the dialog that rings a phone, and the waterfall of a spoken answer."""

from __future__ import annotations

import asyncio

import pytest

from builder_ui.pages.agent_call_me_state import CallMe
from builder_ui.pages.agent_phone_state import PhoneLines
from builder_ui.pages.calls_state import ALL, Calls
from builder_ui.stages import stages_of
from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.builder_ui.pages.test_conversations_state import Locked
from tests.builder_ui.tab import Tab
from tests.fakes.asterisk_manager import SECRET, managing
from tests.phone_world import FROM, Line, new_line
from tests.services.test_call_log import FLOW
from tests.services.test_call_recordings import SOUND


@pytest.fixture
async def line(services: Services, who: Principal) -> Line:
    return await new_line(services, who, FLOW)


async def test_calls_are_listed_heard_and_their_recordings_deleted(
    services: Services, tab: Tab, who: Principal, line: Line
) -> None:
    uuid = await line.ring()
    call = await services.phone_calls.attach(uuid)
    await services.phone_calls.keep_part(call, 0, SOUND)
    tab.go("/calls")
    await tab.call(Calls, "load")
    page = tab.state(Calls)
    (row,) = page.rows
    assert (row.number, row.outcome, row.agent, page.live) == (FROM, "talking", "Reception", 1)
    assert row.talk_path == f"/conversations?id={call.conversation_id}"
    assert row.sound == f"/api/builder/calls/{uuid}/recording"
    assert [a.id for a in page.agents] == [line.agent_id]
    await tab.call(Calls, "hear", uuid)
    assert page.heard_id == uuid
    await tab.call(Calls, "delete")
    assert page.rows[0].sound, "nothing is deleted that was not asked about"
    await tab.call(Calls, "ask_delete", uuid)
    await tab.call(Calls, "delete")
    assert tab.notice == ("success", "calls.deleted")
    assert page.rows[0].sound == ""
    async with services.database.workspace(who.workspace_id) as connection:
        cursor = await connection.execute("SELECT action FROM audit ORDER BY seq DESC LIMIT 1")
        told = await cursor.fetchone()
    assert told is not None
    assert told["action"] == "recording.deleted"


async def test_filters_narrow_the_list(tab: Tab, line: Line) -> None:
    await line.ring()
    tab.go(f"/calls?line={line.channel_id}")
    await tab.call(Calls, "load")
    page = tab.state(Calls)
    assert (page.line, len(page.rows)) == (line.channel_id, 1)
    await tab.call(Calls, "choose_kind", "out")
    assert page.rows == []
    await tab.call(Calls, "choose_kind", "no such kind")
    assert (page.kind, len(page.rows)) == (ALL, 1)
    await tab.call(Calls, "find", "999")
    assert page.rows == []


@pytest.mark.parametrize("how", ["busy", "unreachable"])
async def test_call_me_shows_how_the_call_is_doing(services: Services, tab: Tab, who: Principal, how: str) -> None:
    async with managing(ends=how) as manager:
        line = await new_line(services, who, FLOW, manager_address=manager.address, manager_secret=SECRET)
        tab.go(f"/agents/{line.agent_id}/")
        await tab.call(PhoneLines, "load")
        assert tab.state(PhoneLines).lines[0].can_call
        await tab.call(CallMe, "begin", line.channel_id)
        page = tab.state(CallMe)
        (following,) = await tab.call(CallMe, "call", {"number": "PJSIP/100"})
        assert "follow" in str(following)
        assert page.phase == "ringing"
        assert await tab.call(CallMe, "call", {"number": "PJSIP/100"}) == [], "one call at a time"
        async with asyncio.timeout(10):
            async for _ in CallMe.event_handlers["follow"].fn(Locked(page)):
                pass
        assert page.phase == how
        assert len(manager.calls) == 1


async def test_call_me_of_a_line_that_only_takes_calls_says_so(tab: Tab, line: Line) -> None:
    tab.go(f"/agents/{line.agent_id}/")
    await tab.call(PhoneLines, "load")
    assert not tab.state(PhoneLines).lines[0].can_call
    await tab.call(CallMe, "begin", line.channel_id)
    await tab.call(CallMe, "call", {"number": "+4930123"})
    assert tab.notice[0] == "error"
    assert (tab.state(CallMe).phase, tab.state(CallMe).is_placing) == ("", False)
    await tab.call(CallMe, "begin", "another line")
    assert tab.notice[0] == "error"


def test_a_waterfall_has_no_holes_and_ends_at_the_first_word() -> None:
    times = {
        "soft_end": 200, "hard_end": 400, "final_text": 430, "first_token": 700, "first_sentence": 760,
        "first_audio": 765, "first_frame": 800,
    }  # fmt: skip
    stages = stages_of(times)
    assert [(s.key, s.ms) for s in stages] == [
        ("pause", 400), ("understood", 30), ("thought", 270), ("sentence", 60), ("voiced", 5), ("sent", 35),
    ]  # fmt: skip
    assert sum(s.ms for s in stages) == 800
    assert stages[-1].left + stages[-1].width == pytest.approx(100)
    keys = stages_of({"hard_end": None, "first_token": 20, "first_audio": 18, "first_frame": 90})
    assert [(s.key, s.ms) for s in keys] == [("thought", 20), ("sent", 70)], (
        "stamps out of order draw nothing backwards"
    )
    assert stages_of({}) == stages_of({"first_frame": 0}) == []
