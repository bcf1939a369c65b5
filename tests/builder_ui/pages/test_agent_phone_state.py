"""The phone lines on an agent's page, and what a transcript says about a call."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest

from builder_ui.pages.agent_phone_state import PLAN_FIELD, SECRET_FIELD, PhoneLines
from builder_ui.pages.conversations_state import Talks
from graph_runtime.bootstrap import Services
from graph_runtime.contract.calls import Digits, MessageEnds, TurnTimes
from graph_runtime.services.agents import AgentRow
from graph_runtime.services.principal import Principal
from tests.builder_ui.tab import Tab
from tests.phone_world import Line

FORM = {"label": "Front desk", "language": "uk", "dial_template": "PJSIP/{number}@trunk", "rate": "1,1"}


@pytest.fixture
async def page(services: Services, tab: Tab, agent: AgentRow) -> PhoneLines:
    tab.go(f"/agents/{agent.id}/")
    await tab.call(PhoneLines, "load")
    return tab.state(PhoneLines)


async def add(tab: Tab, **form: Any) -> list[Any]:
    await tab.call(PhoneLines, "begin", "")
    return await tab.call(PhoneLines, "save", FORM | form)


def secret_in(shown: list[Any]) -> str:
    return str(shown).partition("/phone/")[2][:54]


async def test_the_secret_and_the_dialplan_are_shown_once(tab: Tab, page: PhoneLines) -> None:
    shown = await add(tab)
    assert SECRET_FIELD in str(shown)
    assert PLAN_FIELD in str(shown)
    secret = secret_in(shown)
    assert len(secret.strip("'\"\\)")) == 54
    (line,) = page.lines
    assert (line.name, line.language, line.rate, line.is_on, line.call_state) == ("Front desk", "uk", "1.1", True, "")
    assert page.is_fresh_shown
    assert not page.is_editing
    assert secret not in str(tab.root.dict())
    assert "/phone/SECRET" in page.dialplan
    emptied = await tab.call(PhoneLines, "forget")
    assert SECRET_FIELD in str(emptied)
    assert PLAN_FIELD in str(emptied)
    assert not page.is_fresh_shown


async def test_a_call_that_arrives_is_seen(services: Services, tab: Tab, who: Principal, page: PhoneLines) -> None:
    secret = secret_in(await add(tab))
    await services.agents.set_on(who, tab.state(PhoneLines)._agent_id(), True)
    await services.phone_calls.announce(secret, str(uuid4()), "+380441234567", "4930")
    await tab.call(PhoneLines, "look")
    (line,) = page.lines
    assert (line.call_state, line.call_from) == ("announced", "+380441234567")
    assert line.call_at


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"dial_template": "PJSIP/{number},30"}, "error.input_invalid_dial_template"),
        ({"dial_template": "PJSIP/trunk"}, "error.input_invalid_dial_template"),
        ({"rate": "fast"}, "error.input_invalid"),
        ({"endpoint_ms": "5"}, "error.input_invalid"),
        ({"language": "xx"}, "error.input_invalid"),
    ],
)
async def test_what_does_not_fit_is_said(tab: Tab, page: PhoneLines, form: dict[str, str], told: str) -> None:
    await add(tab, **form)
    assert tab.notice == ("error", told)
    assert page.is_editing
    assert not page.is_saving
    assert page.lines == []


async def test_setting_up_switching_renewing_and_deleting(tab: Tab, page: PhoneLines) -> None:
    first = secret_in(await add(tab))
    line = page.lines[0]
    await tab.call(PhoneLines, "begin", line.id)
    assert page.edited == line
    await tab.call(PhoneLines, "save", FORM | {"label": "Night", "language": "same", "voice_en": "Anna"})
    assert tab.notice == ("success", "phone.saved")
    assert (page.lines[0].name, page.lines[0].language, page.lines[0].voice_en) == ("Night", "same", "Anna")
    await tab.call(PhoneLines, "switch", line.id, False)
    assert not page.lines[0].is_on
    second = secret_in(await tab.call(PhoneLines, "renew", line.id))
    assert second != first
    assert page.lines[0].previous_until
    await tab.call(PhoneLines, "delete")
    assert page.lines, "nobody was asked"
    await tab.call(PhoneLines, "ask_delete", line.id)
    assert page.doomed_name == "Night"
    await tab.call(PhoneLines, "delete")
    assert page.lines == []


async def test_every_setting_of_a_line_is_in_its_form(
    services: Services, tab: Tab, who: Principal, page: PhoneLines
) -> None:
    await tab.call(PhoneLines, "begin", "")
    kinds = {item.key: item.kind for item in page.more}
    assert {"hours", "time_zone", "desk", "most_calls", "manager_address", "caller_id"} <= {*kinds}
    assert (kinds["is_recorded"], kinds["manager_secret"]) == ("switch", "password")
    assert not {"secret", "previous_secret", "rate"} & {*kinds}
    given = {item.key: item.default for item in page.more} | {"hours": "mon 09:00-18:00", "is_recorded": "on"}
    given |= {"desk": "office,200,1", "manager_secret": "canary", "hangs_up_on_machines": ""}
    assert "DESK=office,200,1" in str(await tab.call(PhoneLines, "save", FORM | given))
    await tab.call(PhoneLines, "begin", page.lines[0].id)
    shown = {item.key: item.default for item in page.more}
    assert (shown["hours"], shown["is_recorded"], shown["hangs_up_on_machines"]) == ("mon 09:00-18:00", "on", "")
    assert (shown["most_calls"], shown["time_zone"], shown["manager_secret"]) == ("50", "UTC", "")
    assert "canary" not in str(tab.root.dict())
    await tab.call(PhoneLines, "save", FORM | shown | {"most_calls": "", "hours": "monday"})
    assert tab.notice == ("error", "error.input_invalid")
    await tab.call(PhoneLines, "save", FORM | shown | {"most_calls": "", "hours": ""})
    (row,) = await services.channel_setup.list(who, tab.state(PhoneLines)._agent_id())
    assert (row.settings["hours"], row.settings["most_calls"], row.settings["is_recorded"]) == ("", 50, True)


async def test_a_line_of_another_agent_is_not_touched(
    services: Services, tab: Tab, who: Principal, page: PhoneLines
) -> None:
    other = await services.agents.create(who, name="Other", language="en")
    row, _ = await services.channel_setup.create(who, other.id, "asterisk", settings={})
    await tab.call(PhoneLines, "switch", row.id, False)
    assert tab.notice == ("error", "error.not_found")
    assert (await services.channel_setup.list(who, other.id))[0].is_on


async def test_a_transcript_tells_about_its_call(
    services: Services, tab: Tab, who: Principal, agent: AgentRow, page: PhoneLines
) -> None:
    await services.agents.set_on(who, agent.id, True)
    secret = secret_in(await add(tab))
    line = Line(services, who, agent.id, page.lines[0].id, secret)
    call, first = await line.answered()
    (key,) = [e.key for e in first.events if isinstance(e, MessageEnds)]
    await services.phone_calls.heard_until(call, key, "What is")
    await line.turn(call, Digits(digits="7"))
    await services.phone_calls.measured(call, TurnTimes(first_frame=612.4))
    await services.phone_calls.hung_up(secret, call.uuid, 16)
    await line.status(call)
    talks = tab.state(Talks)
    await tab.call(Talks, "open", call.conversation_id)
    assert talks.chosen.channel == "phone"
    (shown,) = talks.calls
    assert (shown.from_number, shown.did, shown.state) == ("+380441234567", "4930123456", "ended")
    assert re.fullmatch(r"0:\d\d", shown.talked)
    said, keyed, answered = talks.messages[:3]
    assert (said.text, said.cut) == ("What is", "interrupted")
    assert (keyed.text, keyed.heard) == ("7", "digits")
    assert answered.latency_ms == 612
