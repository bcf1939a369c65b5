"""What is played, in which order, and how much of it was heard."""

import asyncio
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.voice.machines import Memory, tone
from voice.frames import PHONE
from voice.playout import QUEUE_MS, Heard, Playout

FRAME = 320


def player() -> tuple[Playout, Memory, list[str]]:
    mouth = Memory()
    playout = Playout(mouth, PHONE)
    log: list[str] = []
    playout.on_started = lambda key: log.append(f"started {key}")
    playout.on_ended = lambda key: log.append(f"ended {key}")
    return playout, mouth, log


def without_zeros(frames: list[bytes | None]) -> bytes:
    samples = array("h", b"".join(f for f in frames if f))
    return array("h", filter(None, samples)).tobytes()


def tick(playout: Playout, times: int) -> None:
    for _ in range(times):
        playout.tick()


def test_nothing_to_say_is_silence() -> None:
    playout, mouth, _ = player()
    tick(playout, 3)
    assert mouth.sent == [None, None, None]
    assert playout.is_idle
    assert playout.counts.silent == 3


def test_audio_comes_out_in_frames_with_its_last_one_filled_up() -> None:
    playout, mouth, log = player()
    audio = tone(50)
    playout.say("a", audio)
    tick(playout, 4)
    assert mouth.sent == [audio[:FRAME], audio[FRAME : 2 * FRAME], audio[2 * FRAME :].ljust(FRAME, b"\0"), None]
    assert log == ["started a", "ended a"]


def test_one_utterance_follows_the_other_without_a_gap() -> None:
    playout, mouth, log = player()
    playout.say("a", tone(40))
    playout.say("b", tone(20, hz=600))
    tick(playout, 3)
    assert b"".join(frame or b"" for frame in mouth.sent) == tone(40) + tone(20, hz=600)
    assert log == ["started a", "ended a", "started b", "ended b"]
    assert playout.is_idle


async def test_audio_may_come_in_pieces_of_any_size() -> None:
    playout, mouth, _ = player()
    audio = tone(100)
    utterance = playout.open("a")
    for at in range(0, len(audio), 14):
        await playout.put(utterance, audio[at : at + 14])
    playout.finish(utterance)
    tick(playout, 5)
    assert b"".join(frame or b"" for frame in mouth.sent) == audio


async def test_a_late_piece_is_one_underrun_and_nothing_is_lost() -> None:
    playout, mouth, log = player()
    utterance = playout.open("a")
    tick(playout, 2)
    assert playout.counts.underruns == 0, "before its first frame it is only not ready yet"
    await playout.put(utterance, tone(30))
    tick(playout, 4)
    assert playout.counts.underruns == 1
    await playout.put(utterance, tone(60)[480:])
    playout.finish(utterance)
    tick(playout, 3)
    assert [f is not None for f in mouth.sent] == [False] * 2 + [True] + [False] * 3 + [True, True, False]
    assert b"".join(frame or b"" for frame in mouth.sent) == tone(60)
    assert log == ["started a", "ended a"]


def test_a_pause_goes_on_with_the_frame_that_was_next() -> None:
    playout, mouth, _ = player()
    playout.say("a", tone(80))
    tick(playout, 2)
    playout.pause()
    tick(playout, 3)
    playout.resume()
    tick(playout, 2)
    assert [f is not None for f in mouth.sent] == [True, True, False, False, False, True, True]
    assert b"".join(frame or b"" for frame in mouth.sent) == tone(80)


def test_flush_tells_what_was_heard_to_the_frame() -> None:
    playout, mouth, log = player()
    playout.say("a", tone(40))
    playout.say("b", tone(100))
    open_one = playout.open("c")
    tick(playout, 5)
    assert playout.flush() == [Heard("b", 60.0, 100.0, is_complete=True), Heard("c", 0.0, 0.0, is_complete=False)]
    tick(playout, 2)
    assert mouth.sent[5:] == [None, None]
    assert log == ["started a", "ended a", "started b"]
    playout.finish(open_one)
    assert log[-1] == "started b"


async def test_what_comes_for_a_flushed_utterance_is_not_played() -> None:
    playout, mouth, _ = player()
    utterance = playout.open("a")
    playout.flush()
    await playout.put(utterance, tone(40))
    tick(playout, 2)
    assert mouth.sent == [None, None]
    assert playout.waiting_ms == 0


def test_what_the_line_does_not_take_was_not_heard() -> None:
    playout, mouth, _ = player()
    playout.say("a", tone(100))
    tick(playout, 2)
    mouth.takes = False
    tick(playout, 5)
    assert playout.counts.held == 5
    mouth.takes = True
    tick(playout, 1)
    assert playout.flush() == [Heard("a", 60.0, 100.0, is_complete=True)]


async def test_put_waits_when_enough_is_ahead() -> None:
    playout, _, _ = player()
    utterance = playout.open("a")
    await playout.put(utterance, tone(QUEUE_MS + 100))
    waiting = asyncio.create_task(playout.put(utterance, tone(20)))
    await asyncio.sleep(0)
    tick(playout, 4)
    await asyncio.sleep(0)
    assert not waiting.done()
    tick(playout, 1)
    await asyncio.wait_for(waiting, 1)
    assert playout.waiting_ms == QUEUE_MS + 20


async def test_a_flush_frees_who_waits_to_put_and_who_waits_for_the_end() -> None:
    playout, _, _ = player()
    utterance = playout.open("a")
    await playout.put(utterance, tone(3100))
    waiting = asyncio.create_task(playout.put(utterance, tone(20)))
    drained = asyncio.create_task(playout.drained())
    await asyncio.sleep(0)
    playout.flush()
    await asyncio.wait_for(asyncio.gather(waiting, drained), 1)


async def test_drained_is_after_the_last_frame() -> None:
    playout, mouth, _ = player()
    playout.say("a", tone(60))
    drained = asyncio.create_task(playout.drained())
    done_after = []
    for _ in range(3):
        playout.tick()
        await asyncio.sleep(0)
        done_after.append(drained.done())
    assert done_after == [False, False, True]
    assert len(mouth.sent) == 3


def test_the_last_seven_hundred_milliseconds_are_remembered() -> None:
    playout, _, _ = player()
    playout.say("a", tone(2000))
    states = [playout.was_speaking]
    tick(playout, 100)
    assert playout.last_played() == tone(2000)[-700 * 16 :]
    for ticks in (34, 1):
        tick(playout, ticks)
        states.append(playout.was_speaking)
    assert states == [False, True, False]


async def test_what_is_remembered_is_what_was_heard_whatever_it_was_part_of() -> None:
    playout, mouth, _ = player()
    heard: list[bytes] = []
    for number in range(6):
        utterance = playout.open(number)
        for piece in range(number):
            await playout.put(utterance, tone(7 + 23 * piece, hz=200 + 50 * number))
        playout.finish(utterance)
        mouth.takes = number != 4
        for _ in range(11):
            tick(playout, 1)
            heard.append((mouth.sent[-1] if mouth.takes else None) or bytes(FRAME))
            assert playout.last_played() == b"".join(heard[-35:])


async def test_what_is_next_does_not_wait_for_what_comes_after_it() -> None:
    playout, mouth, _ = player()
    first, second = playout.open("a"), playout.open("b")
    await playout.put(second, tone(3100))
    await asyncio.wait_for(playout.put(first, tone(20, hz=300)), 1)
    tick(playout, 1)
    assert mouth.sent == [tone(20, hz=300)]


def test_what_is_withdrawn_is_not_played_unless_it_had_begun() -> None:
    playout, mouth, _ = player()
    playout.say("a", tone(40))
    playout.say("b", tone(40))
    playout.say("c", tone(20, hz=300))
    tick(playout, 1)
    for key in "ab":
        playout.withdraw(key)
    tick(playout, 3)
    assert b"".join(frame or b"" for frame in mouth.sent) == tone(40) + tone(20, hz=300)
    assert playout.waiting_ms == 0


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("say"), st.integers(0, 400)),
            st.tuples(st.just("tick"), st.integers(1, 20)),
            st.tuples(st.sampled_from(["pause", "resume", "flush"]), st.just(0)),
        ),
        max_size=40,
    )
)
def test_every_sample_is_played_once_in_order_or_reported_as_not_heard(moves: list[tuple[str, int]]) -> None:
    playout, mouth, _ = player()
    expected, at = b"", 0
    queued = b""
    for move, amount in moves:
        if move == "say":
            audio = b"".join((at + i + 1).to_bytes(2, "little") for i in range(amount))
            at += amount
            queued += audio
            playout.say(at, audio)
        elif move == "tick":
            before = len(mouth.sent)
            tick(playout, amount)
            out = without_zeros(mouth.sent[before:])
            assert queued.startswith(out)
            expected += out
            queued = queued[len(out) :]
        elif move == "flush":
            lost = sum(h.total_ms - h.played_ms for h in playout.flush())
            assert lost * 16 == pytest.approx(len(queued))
            queued = b""
        else:
            getattr(playout, move)()
    assert without_zeros(mouth.sent) == expected
