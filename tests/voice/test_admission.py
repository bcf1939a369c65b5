"""Who is let in: decisions by table, and a process at its limit in front of a strict stand-in for Asterisk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import REGISTRY

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import BuilderError
from graph_runtime.services.principal import Principal
from graph_runtime.storage.instance import CALL_STATES, Instance
from tests.phone_world import Line, new_line
from tests.voice.asterisk_stand_in import Dialplan, Leg, connect
from tests.voice.fake_speech import FakeSynthesizer, FakeTranscriber
from tests.voice.machines import Seconds
from tests.voice.test_dialogue import BOOKING
from tests.voice.voice_world import VoiceProcess, quiet, until, voice_process
from voice.admission import LOOK_SECONDS, Admission, Limits, Reading, Watch

LIMITS = Limits(calls=2, processor=0.8, lag=0.05)


@dataclass
class Load:
    """What a process would read of itself, tenth by tenth of a second."""

    admission: Admission = field(default_factory=lambda: Admission(LIMITS))
    at: float = 1000.0
    worked: float = 0.0

    def passes(self, seconds: float, *, processor: float = 0.0, lag: float = 0.0) -> str:
        """So many seconds with that load; the verdict for an empty process then."""
        for _ in range(round(seconds / LOOK_SECONDS)):
            self.at += LOOK_SECONDS
            self.worked += LOOK_SECONDS * processor
            self.admission.note(Reading(self.at, self.worked, lag))
        return self.admission.verdict(0)


@pytest.mark.parametrize(("held", "verdict"), [(0, ""), (1, ""), (2, "calls"), (3, "calls")])
def test_places(held: int, verdict: str) -> None:
    assert Admission(LIMITS).verdict(held) == verdict


Spells = list[tuple[dict[str, float], str]]


@pytest.mark.parametrize(
    "spells",
    [
        [({"seconds": 5, "processor": 0.79}, ""), ({"seconds": 5, "processor": 0.81}, "processor")],
        # The window holds the idle time before it: work has to last.
        [({"seconds": 5}, ""), ({"seconds": 3, "processor": 1.0}, ""), ({"seconds": 2, "processor": 1.0}, "processor")],
        # A little less than too much is still too much; clearly less is enough again.
        [
            ({"seconds": 5, "processor": 0.9}, "processor"), ({"seconds": 10, "processor": 0.7}, "processor"),
            ({"seconds": 10, "processor": 0.66}, ""), ({"seconds": 10, "processor": 0.7}, ""),
        ],
        [({"seconds": 5, "lag": 0.049}, ""), ({"seconds": 5, "lag": 0.05}, "lag")],
        [
            ({"seconds": 5, "lag": 0.06}, "lag"), ({"seconds": 10, "lag": 0.03}, "lag"), ({"seconds": 10, "lag": 0.02}, ""),
            ({"seconds": 10, "lag": 0.03}, ""),
        ],
        # Loading what calls need takes a second, and one standstill is no load.
        [({"seconds": 1.5, "processor": 1.0, "lag": 1.0}, "")],
        [({"seconds": 5}, ""), ({"seconds": 0.3, "lag": 2.0}, ""), ({"seconds": 3}, "")],
        # What happened longer ago than the window is forgotten.
        [({"seconds": 5, "processor": 1.0, "lag": 1.0}, "processor"), ({"seconds": 5.1}, "")],
    ],
)  # fmt: skip
def test_load(spells: Spells) -> None:
    load = Load()
    assert [load.passes(**given) for given, _ in spells] == [verdict for _, verdict in spells]


def test_places_come_before_load_and_load_before_nothing() -> None:
    load = Load()
    load.passes(5, processor=1.0, lag=1.0)
    assert (load.admission.verdict(2), load.admission.verdict(0)) == ("calls", "processor")


def test_long_standstills_in_a_row_are_lag() -> None:
    admission = Admission(LIMITS)
    for at in (1000.0, 1003.0, 1006.0):
        admission.note(Reading(at, 0.0, 2.9))
    assert admission.verdict(0) == "lag"


async def test_every_change_is_told_once() -> None:
    clock, worked, told, tries = Seconds(), Seconds(0.0), list[str](), list[str]()
    admission, calls = Admission(LIMITS), [0]

    async def tell(verdict: str) -> None:
        tries.append(verdict)
        if len(tries) % 2:
            raise ConnectionError
        told.append(verdict)

    watch = Watch(admission, lambda: calls[0], tell, monotonic=clock, processor=worked)
    for held, busy, seconds in ((0, 0.0, 3), (2, 0.0, 1), (1, 0.0, 1), (1, 1.0, 6), (1, 0.0, 6)):
        calls[0] = held
        for _ in range(seconds * 10):
            clock.at += 0.1
            worked.at += 0.1 * busy
            watch.look(clock.at)
            await watch.told()
    assert told == ["", "calls", "", "processor", ""]
    assert len(tries) == 2 * len(told), "what failed was told again"


async def test_who_is_slow_to_be_told_hears_what_holds_then() -> None:
    clock, told, opened = Seconds(), list[str](), asyncio.Event()
    calls = [0]

    async def tell(verdict: str) -> None:
        await opened.wait()
        told.append(verdict)

    watch = Watch(Admission(LIMITS), lambda: calls[0], tell, monotonic=clock, processor=Seconds(0.0))
    for held in (0, 2, 0, 2):
        calls[0] = held
        clock.at += 0.1
        watch.look(clock.at)
    opened.set()
    await watch.told()
    watch.look(clock.at)
    await watch.told()
    assert told == ["", "calls"]


# A whole process


@dataclass
class House:
    """A line, a voice process with one place, and what everybody else sees of it."""

    line: Line
    process: VoiceProcess
    watch: Watch
    seconds: Seconds

    async def look(self) -> None:
        """As ten times a second."""
        self.seconds.at += LOOK_SECONDS
        self.watch.look(self.seconds.at)
        await self.watch.told()

    def plan(self, **more: Any) -> Dialplan:
        return Dialplan(self._ask, lambda: self.process.port, self._nobody, pause=0.05, **more)

    async def outcomes(self) -> list[str]:
        """Of the log, newest first."""
        return [c.outcome for c in (await self.line.services.call_log.list(self.line.owner)).rows]

    async def _ask(self, path: str, query: dict[str, str]) -> str:
        calls, secret, uuid = self.line.services.phone_calls, self.line.secret, query["uuid"]
        try:
            if path == "next":
                return await calls.next(secret, uuid, query.get("dialed", ""))
            if path == "hangup":
                await calls.hung_up(secret, uuid, 16)
            else:
                await calls.announce(secret, uuid, query["from"], query["did"])
        except BuilderError as error:
            return str(error.params.get("reason") or error.code)
        return "ok"

    async def _nobody(self, _: str) -> str:
        return "CHANUNAVAIL"


@asynccontextmanager
async def one_place(services: Services, owner: Principal) -> AsyncIterator[House]:
    line = await new_line(services, owner, BOOKING, endpoint_ms=400)
    async with voice_process(services, FakeTranscriber(), FakeSynthesizer()) as process:
        process.switchboard._admission = admission = Admission(Limits(calls=1))
        seconds = Seconds()
        watch = Watch(
            admission, process.switchboard.held, services.conversation_side.instance.takes_calls,
            monotonic=seconds, processor=Seconds(0.0),
        )  # fmt: skip
        yield House(line, process, watch, seconds)
        await services.conversation_side.instance.takes_calls(None)


def to_desk(reason: str) -> float:
    return REGISTRY.get_sample_value("calls_to_desk_total", {"reason": reason}) or 0.0


async def end(house: House, *legs: Leg) -> None:
    for leg in legs:
        leg.hang_up()
    await until(lambda: house.process.switchboard.held() == 0)


async def test_a_process_at_its_limit_sends_the_next_caller_to_the_desk_within_one_answer(
    services: Services, owner: Principal
) -> None:
    async with one_place(services, owner) as house:
        leg, call = await house.process.dial(house.line)
        await quiet(leg, call)
        before = to_desk("calls")
        late = house.plan()  # the others have not been told yet
        assert await late.run() == "desk"
        assert late.trail == ["announced=ok", "continues", "next=desk"]
        assert not any(late.legs[0].audio)
        late.legs[0].check()
        await house.look()
        plan = house.plan()
        assert await plan.run() == "desk"
        assert plan.trail == ["announced=desk"], "it was not even answered"
        assert await house.outcomes() == ["full", "full", "talking"]
        assert to_desk("calls") == before + 2
        await end(house, leg)
        await house.look()
        again, call = await house.process.dial(house.line)
        await quiet(again, call)
        assert any(again.audio)
        await end(house, again)


async def test_who_is_talking_already_is_held_by_a_full_process(services: Services, owner: Principal) -> None:
    async with one_place(services, owner) as house:
        leg, call = await house.process.dial(house.line)
        await quiet(leg, call)
        async with voice_process(services, FakeTranscriber(), FakeSynthesizer()) as other:
            moved, talking = await other.dial(house.line)
            await quiet(moved, talking)
            await other.switchboard.leave(10)
            assert moved.outcome == "continues"
        assert await services.phone_calls.next(house.line.secret, str(moved.call_id)) == "again"
        back = await connect(house.process.port, moved.call_id)
        await until(lambda: house.process.switchboard.held() == 2)
        assert house.process.admission.verdict(2) == ""
        await until(lambda: any(back.audio))
        assert {c.outcome for c in (await services.call_log.list(owner)).rows} == {"talking"}
        await end(house, leg, back)


async def test_an_older_dialplan_comes_again_and_finds_room(services: Services, owner: Principal) -> None:
    async with one_place(services, owner) as house:
        leg, call = await house.process.dial(house.line)
        await quiet(leg, call)
        plan = house.plan(knows_desk=False)
        running = asyncio.create_task(plan.run())
        await until(lambda: plan.trail.count("next=desk") >= 2)
        leg.hang_up()  # its place may be taken the moment it is free
        await until(lambda: any(plan.legs[-1].audio))
        assert (await house.outcomes())[0] == "talking"
        plan.legs[-1].hang_up()
        assert await running == "hangup"
        assert (await house.outcomes())[0] == "talked"


async def test_an_older_dialplan_that_finds_no_room_reaches_the_desk(services: Services, owner: Principal) -> None:
    async with one_place(services, owner) as house:
        leg, call = await house.process.dial(house.line)
        await quiet(leg, call)
        plan = house.plan(knows_desk=False)
        plan.pause = 0
        assert await plan.run() == "desk"
        assert plan.trail.count("next=desk") == 21
        assert (await house.outcomes())[0] == "full"
        await end(house, leg)


async def test_a_full_process_leaves_the_call_to_one_that_has_room_but_not_for_long(
    services: Services, owner: Principal
) -> None:
    async with one_place(services, owner) as house:
        leg, call = await house.process.dial(house.line)
        await quiet(leg, call)
        await house.look()
        other = Instance(services.database.dedicated)
        await other.open()
        try:
            await other.takes_calls("")
            plan = house.plan()
            assert await plan.run() == "desk"
            assert plan.trail[:3] == ["announced=ok", "continues", "next=wait"]
            assert plan.trail[-1] == "next=desk"
        finally:
            await other.close()
        await end(house, leg)


async def test_the_log_and_the_line_know_nothing_of_a_call_that_was_never_answered(
    services: Services, owner: Principal
) -> None:
    """What went to the desk takes no place of the line, and is told by its number and time."""
    async with one_place(services, owner) as house:
        await services.conversation_side.instance.takes_calls("lag")
        assert await house.plan().run() == "desk"
        (row,) = (await services.call_log.list(owner, kind="missed")).rows
        assert (row.outcome, row.is_live, row.number, row.conversation_id, row.seconds) == (
            "full",
            False,
            "+380501112233",
            "",
            None,
        )
        (line,) = await services.call_log.lines(owner)
        assert line.live == 0


@pytest.mark.parametrize("state", CALL_STATES)
async def test_metrics_tell_how_processes_stand(services: Services, state: str) -> None:
    await services.conversation_side.instance.takes_calls(state)
    text = (await services.figures.text()).decode()
    told = {s: f'voice_processes{{state="{s or "open"}"}} {1.0 if s == state else 0.0}' in text for s in CALL_STATES}
    assert all(told.values())
