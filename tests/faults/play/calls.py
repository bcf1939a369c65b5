"""Voice processes are replaced and killed while a hundred people telephone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Literal

import httpx2
import psutil

from tests.faults.facts import Violation
from tests.faults.hands import Hands
from tests.faults.stage import Stage, p95
from tests.faults.system import Layout, System
from tests.faults.world import make_line
from tests.voice.accounts import Account, Blow, account, transcripts
from tests.voice.asterisk_stand_in import Mouths
from tests.voice.people import Kind, Person, curl, flow, person

READY_SECONDS = 120.0
FIRST_NUMBER = 3000
RING_SECONDS = 0.6
TURNS_A_SECOND = 4
"""Of all callers together, about: people take their time, and two cores shared with the callers bear no more than twice that."""

GAP_SECONDS = 1.0
"""For so long a telephone sends nothing; both ends silent for two are a call that Asterisk ends."""

_BEGUN = "SELECT p.id::text, p.conversation_id::text, p.state FROM phone_call p"


async def voice_replaced_and_killed(stage: Stage) -> None:
    """F26. The process that holds the calls is asked to end while a spare takes over, twice in a row; then it is killed.
    Meanwhile telephones fall silent, people hang up while the model thinks, and the worker is killed."""
    people = stage.size("calls", 20, 100)
    leavers = stage.size("callers who hang up while the model thinks", 2, 10)
    told: list[Account] = []

    async def deeds(stage: Stage, hands: Hands) -> None:
        told.append(await Telephones(stage, hands).play(people, leavers))

    await stage.play(Layout(voice=2), [], deeds)
    _judge(stage, told[0])


class Telephones:
    """The people, their calls, and what is done to the voice processes."""

    def __init__(self, stage: Stage, hands: Hands) -> None:
        self.stage = stage
        self.system: System = stage.system
        self.hands = hands
        self.blows: list[Blow] = []
        self.people: list[Person] = []
        self._calls: list[asyncio.Task[None]] = []

    async def play(self, people: int, leavers: int) -> Account:
        """From the first ring to the last goodbye."""
        line = await make_line(
            self.system.programs["web1"].environment, self.system.world, flow(has_model=True), "fake_talk",
            most_calls=people + leavers, no_input_ms=120_000,
        )  # fmt: skip
        mouths = Mouths()
        await self._until_spare()
        async with httpx2.AsyncClient(base_url=self.system.address("web1")) as client, asyncio.TaskGroup() as group:
            speaking = group.create_task(mouths.run())
            await self._ring(people, leavers, lambda p, q: curl(client, f"/phone/{line}/{p}", q), mouths)
            muting = group.create_task(self._fall_silent())
            await self._until_given(1)
            await self.hands.kill("worker1")
            for kind in ("replaced", "replaced", "killed"):
                await self._until_spare()
                await self._blow(kind)
                await self._until_given(2 + min((one.at for one, _ in self._talking), default=0))
            for one in self.people:
                one.may_go.set()
            await asyncio.gather(*self._calls)
            for task in (speaking, muting):
                task.cancel()
        return await asyncio.to_thread(self._account)

    async def _ring(
        self, people: int, leavers: int, ask: Callable[[str, dict[str, str]], Awaitable[str]], mouths: Mouths
    ) -> None:
        chance = self.stage.chance
        for number in range(people + leavers):
            kinds: list[Kind] = ["echo", "long", "model"]
            chance.shuffle(kinds)
            leaves = number >= people
            one = person(
                FIRST_NUMBER + number, ["echo", "model"] if leaves else kinds, ask, self.system.voice_port, mouths,
                pause=chance.uniform(0.3, 1.0) * max(people / TURNS_A_SECOND, 4.0), hangs_up_at=1 if leaves else None,
            )  # fmt: skip
            self.people.append(one)
            self._calls.append(asyncio.create_task(one.run(), name=f"call {number}"))
            await asyncio.sleep(RING_SECONDS)

    async def _blow(self, kind: Literal["replaced", "killed"]) -> None:
        name = await asyncio.to_thread(self._holder)
        self.blows.append(Blow(kind, time.monotonic()))
        if kind == "killed":
            await self.hands.kill(name)
        else:
            code = await self.hands.terminate(name)
            if code != 0:
                raise AssertionError(f"{name} ended with {code}")

    async def _until_given(self, codes: int) -> None:
        """Everybody has got so many answers, or their call is over."""
        while any(one.at < codes for one, _ in self._talking):  # noqa: ASYNC110 (people)
            await asyncio.sleep(0.1)

    @property
    def _talking(self) -> list[tuple[Person, asyncio.Task[None]]]:
        """Who stays to the end, and has not come to it."""
        both = zip(self.people, self._calls, strict=True)
        return [(one, call) for one, call in both if one.hangs_up_at is None and not call.done()]

    async def _until_spare(self) -> None:
        """One of the two takes calls, and the other one is ready to."""
        async with asyncio.timeout(READY_SECONDS):
            while not await asyncio.to_thread(self._has_spare):  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.1)

    def _has_spare(self) -> bool:
        holder = self._holder()
        spares = [self.system.programs[name] for name in self.system.named("voice") if name != holder]
        return bool(holder) and all(spare.is_running and spare.has_said("voice_spare") for spare in spares)

    def _holder(self) -> str:
        for name in self.system.named("voice"):
            with contextlib.suppress(psutil.Error):
                sockets = psutil.Process(self.system.programs[name].pid).net_connections(kind="tcp")
                if any(s.status == psutil.CONN_LISTEN and s.laddr.port == self.system.voice_port for s in sockets):
                    return name
        return ""

    async def _fall_silent(self) -> None:
        """One telephone after another sends nothing for a while."""
        while True:
            await asyncio.sleep(0.5)
            legs = [one.legs[-1] for one in self.people if one.legs and not one.legs[-1].over.is_set()]
            if legs:
                leg = self.stage.chance.choice(legs)
                leg.is_muted = True
                await asyncio.sleep(GAP_SECONDS)
                leg.is_muted = False

    def _account(self) -> Account:
        with self.system.database.look() as connection:
            found = account(self.people, self.blows, transcripts(connection))
            rows = connection.execute(_BEGUN).fetchall()
        numbers = {str(one.plan.call_id): one.number for one in self.people}
        for call_id, conversation_id, state in rows:
            self.stage.driver.journal.note(
                "begun", name=numbers[call_id], conversation_id=conversation_id, channel="phone"
            )
            if state != "ended":
                found.faults.append(f"{numbers[call_id]}: its call is still {state}")
        lines = "\n\n".join(one.timeline(self.blows[0].at) for one in self.people)
        (self.stage.folder / "people.txt").write_text(lines, "utf-8")
        return found


def _judge(stage: Stage, told: Account) -> None:
    result = stage.result
    result.gate("calls dropped", len(told.dropped), "==", 0)
    result.gate("calls given up after 20 s without an answer", len(told.given_up), "==", 0)
    result.gate("sentences said twice", len(told.twice), "==", 0)
    result.gate("sentences left out", len(told.left_out), "==", 0)
    result.gate("sentences of another call", len(told.foreign), "==", 0)
    result.gate("sentences or codes lost by an orderly end", len(told.cut) + len(told.keyed_in_vain), "==", 0)
    for name, found in told.troubles.items():
        result.violations += [Violation("calls", name.replace("_", " "), where) for where in found]
    for number, what in enumerate(("1st SIGTERM", "2nd SIGTERM", "kill -9")):
        back, silent = told.back.get(number, []), told.silent.get(number, [])
        result.figures[f"calls handed over by the {what}"] = len(back)
        if back:
            result.figures[f"speech again p95, s ({what})"] = p95(back)
            result.figures[f"speech again longest, s ({what})"] = round(max(back), 2)
            result.figures[f"audio again p95, s ({what})"] = p95(silent)
            result.figures[f"audio again longest, s ({what})"] = round(max(silent), 2)
    result.figures["sentences said once more for a reason"] = told.again
    result.note = "keys only: no recogniser takes part; sound is compared frame by frame"
