"""Both sides of a call lie beside each other, part by part, and nothing of it makes a call wait."""

from __future__ import annotations

import asyncio

import numpy as np

from tests.voice.machines import tone
from voice.frames import PHONE, WIDE, AudioFormat
from voice.recording import PART_SECONDS, Recorder, packed
from voice.wav import MULAW_TABLE


class Shelf:
    """Keeps parts; `is_away` refuses them, `opens` lets them in."""

    def __init__(self) -> None:
        self.parts: dict[int, bytes] = {}
        self.is_away = False
        self.opens = asyncio.Event()
        self.opens.set()

    async def keep(self, part: int, sound: bytes) -> bool:
        await self.opens.wait()
        if self.is_away:
            return False
        self.parts[part] = sound
        return True

    def sides(self) -> tuple[bytes, bytes]:
        both = MULAW_TABLE[np.frombuffer(b"".join(self.parts[n] for n in sorted(self.parts)), "u1")].reshape(-1, 2)
        return both[:, 0].tobytes(), both[:, 1].tobytes()


def near(found: bytes, wanted: bytes) -> bool:
    """As near as mu-law comes."""
    a, b = (np.frombuffer(side, "<i2").astype(int) for side in (found, wanted))
    return len(a) == len(b) and bool((np.abs(a - b) <= np.abs(b) / 16 + 8).all())


async def recorded(caller: bytes, ours: bytes, format: AudioFormat = PHONE) -> Shelf:
    recorder, shelf = Recorder(), Shelf()
    recording = recorder.open(format, shelf.keep)
    size = format.frame_bytes
    for at in range(0, len(ours), size):
        recording.heard(caller[at : at + size])
        recording.sent(ours[at : at + size])
    recording.close()
    await recorder.close()
    return shelf


def test_every_sample_becomes_its_nearest_sound() -> None:
    samples = np.arange(-32768, 32768, dtype=np.int32).astype("<i2")
    found = MULAW_TABLE[np.frombuffer(packed(samples.tobytes(), samples.tobytes(), PHONE), "u1")].reshape(-1, 2)[:, 0]
    nearest = np.array([np.abs(MULAW_TABLE.astype(int) - s).min() for s in range(-32768, 32768, 257)])
    assert (np.abs(found[::257].astype(int) - samples[::257]) == nearest).all()


async def test_the_caller_is_left_and_we_are_right() -> None:
    caller, ours = tone(7000, hz=300), tone(7000, hz=700)
    shelf = await recorded(caller, ours)
    assert len(shelf.parts) == 7 // PART_SECONDS + 1
    left, right = shelf.sides()
    assert near(left, caller)
    assert near(right, ours)


async def test_a_wide_line_is_kept_as_a_telephone_hears_it() -> None:
    shelf = await recorded(tone(2000, rate=16_000), tone(2000, rate=16_000), WIDE)
    left, right = shelf.sides()
    assert abs(len(left) - 2000 * 16) <= 32
    assert left == right


async def test_audio_late_by_a_frame_and_in_odd_pieces_is_kept() -> None:
    recorder, shelf = Recorder(), Shelf()
    recording = recorder.open(PHONE, shelf.keep)
    caller = tone(400)
    recording.sent(None)
    for at in range(0, len(caller), 450):
        recording.heard(caller[at : at + 450])
    for _ in range(21):
        recording.sent(None)
    recording.close()
    await recorder.close()
    left, right = shelf.sides()
    assert near(left[320:], caller.ljust(21 * 320, b"\0"))
    assert not any(right)


async def test_what_piles_up_in_a_standstill_is_not_kept() -> None:
    recorder, shelf = Recorder(), Shelf()
    recording = recorder.open(PHONE, shelf.keep)
    recording.heard(tone(5000))
    for _ in range(100):
        recording.sent(None)
    recording.close()
    await recorder.close()
    assert not any(shelf.sides()[0][500 * 16 + 320 :])


async def test_a_database_that_stalls_costs_parts_of_recordings_and_nothing_else() -> None:
    recorder, shelf = Recorder(most_waiting=2), Shelf()
    shelf.opens.clear()
    recording = recorder.open(PHONE, shelf.keep)
    for _ in range(50 * PART_SECONDS * 6):
        recording.sent(None)
    assert recorder.lost_parts == 4
    shelf.opens.set()
    await recorder.close()
    assert sorted(shelf.parts) == [0, 1]


async def test_parts_that_are_refused_are_counted() -> None:
    recorder, shelf = Recorder(), Shelf()
    shelf.is_away = True
    recording = recorder.open(PHONE, shelf.keep)
    recording.sent(None)
    recording.close()
    await recorder.close()
    assert recorder.lost_parts == 1
