"""The clock on a second hand that only tests move."""

import asyncio
import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.voice.machines import Seconds, Stamps
from voice.clock import EARLY_SECONDS, PERIOD, SLOTS, Clock

MS = 0.001


def run(clock: Clock, seconds: Seconds, until: float, standstills: dict[float, float] | None = None) -> None:
    """Wake the clock whenever it asks for it; at each key of `standstills` the process stands still that long."""
    pauses = sorted((standstills or {}).items())
    while (wake := clock.run_due()) is not None and wake < until:
        seconds.at = max(seconds.at, wake)
        while pauses and pauses[0][0] <= seconds.at:
            seconds.at += pauses.pop(0)[1]


def test_a_second_has_fifty_ticks_on_their_moments() -> None:
    seconds = Seconds()
    clock, member = Clock(seconds), Stamps(seconds)
    clock.join(member)
    run(clock, seconds, 1001.0)
    assert 49 <= len(member.at) <= 50
    gaps = [b - a for a, b in itertools.pairwise(member.at)]
    assert max(gaps) == pytest.approx(PERIOD, abs=1e-6)
    assert min(gaps) == pytest.approx(PERIOD, abs=1e-6)


def test_members_share_the_slots_evenly_and_two_milliseconds_apart() -> None:
    seconds = Seconds()
    clock = Clock(seconds)
    members = [Stamps(seconds) for _ in range(2 * SLOTS)]
    for member in members:
        clock.join(member)
    run(clock, seconds, 1000.1)
    phases = sorted(round((m.at[0] - 1000) / MS) % 20 for m in members)
    assert phases == [i * 2 % 20 for i in range(SLOTS) for _ in range(2)]


def test_who_leaves_makes_room_for_the_next() -> None:
    seconds = Seconds()
    clock = Clock(seconds)
    members = [Stamps(seconds) for _ in range(SLOTS)]
    for member in members:
        clock.join(member)
    clock.leave(members[3])
    new = Stamps(seconds)
    clock.join(new)
    run(clock, seconds, 1000.1)
    assert members[3].at == []
    assert round((new.at[0] - 1000) / MS) % 20 == 6


def test_a_short_standstill_is_caught_up() -> None:
    seconds = Seconds()
    clock, member = Clock(seconds), Stamps(seconds)
    clock.join(member)
    run(clock, seconds, 1002.0, {1001.0: 0.090})
    assert 99 <= len(member.at) <= 100
    assert clock.lost == 0
    assert clock.late > 0


def test_a_long_standstill_is_given_up() -> None:
    seconds = Seconds()
    clock, member = Clock(seconds), Stamps(seconds)
    clock.join(member)
    run(clock, seconds, 1003.0, {1001.0: 1.0})
    assert 99 <= len(member.at) <= 101
    assert clock.lost == pytest.approx(50, abs=1)
    after = [t for t in member.at if t > 1002.1]
    assert (after[0] - member.at[0]) / PERIOD == pytest.approx(round((after[0] - member.at[0]) / PERIOD), abs=1e-3)


@given(st.dictionaries(st.floats(1000, 1003), st.floats(0.001, 0.5), max_size=12))
def test_never_more_than_two_frames_in_twenty_milliseconds(standstills: dict[float, float]) -> None:
    seconds = Seconds()
    clock = Clock(seconds)
    members = [Stamps(seconds) for _ in range(12)]
    for member in members:
        clock.join(member)
    run(clock, seconds, 1004.0, standstills)
    for member in members:
        assert all(c - a >= PERIOD - EARLY_SECONDS - 1e-9 for a, c in zip(member.at, member.at[2:], strict=False))


def test_other_work_comes_back_on_its_beat_and_one_piece_at_a_time() -> None:
    seconds = Seconds()
    clock = Clock(seconds)
    done: list[tuple[str, float]] = []
    clock.every(0.032, 0.0, lambda: done.append(("a", seconds.at)))
    clock.every(0.032, 0.0, lambda: done.append(("b", seconds.at)))
    seconds.at = 1000.033
    assert clock.run_due() == seconds.at
    assert [name for name, _ in done] == ["a"]
    clock.run_due()
    assert [name for name, _ in done] == ["a", "b"]
    run(clock, seconds, 1000.321)
    assert len(done) == 20


def test_work_that_was_missed_is_not_repeated() -> None:
    seconds = Seconds()
    clock = Clock(seconds)
    done: list[float] = []
    beat = clock.every(0.032, 0.0, lambda: done.append(seconds.at))
    seconds.at = 1001.0
    run(clock, seconds, 1001.001)
    assert len(done) == 1
    clock.cancel(beat)
    seconds.at = 1002.0
    clock.run_due()
    assert len(done) == 1


async def test_on_a_real_event_loop_a_second_has_fifty_ticks() -> None:
    class Real(Stamps):
        def tick(self) -> None:
            self.at.append(time.monotonic())

    clock, member = Clock(), Real(Seconds())
    clock.start()
    clock.join(member)
    began = time.monotonic()
    await asyncio.sleep(1.0)
    owed = (time.monotonic() - began) / PERIOD
    clock.leave(member)
    ticks = len(member.at)
    await asyncio.sleep(0.05)
    clock.stop()
    assert len(member.at) == ticks
    assert ticks + clock.lost == pytest.approx(owed, abs=6)
