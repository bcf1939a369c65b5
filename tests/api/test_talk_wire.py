"""The telephone's side of a talk without sockets: what is sent when, and the frames that come back in pieces of any size."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.api.talk import wire
from graph_runtime.api.talk.caller import LEAD_BYTES, MOST_TYPED_BYTES, CallerVoice
from voice.audiosocket.protocol import AudioHeard, CallNamed, Decoder, DigitReleased, Encoder

FRAME = bytes(range(160)) * 2


def test_the_media_process_reads_what_the_bridge_writes() -> None:
    call_id = uuid.uuid4()
    data = wire.naming(str(call_id)) + wire.audio(FRAME) + wire.digit("#")
    assert Decoder().feed(data) == [CallNamed(call_id), AudioHeard(0x10, FRAME), DigitReleased("#")]
    with pytest.raises(ValueError, match="no key"):
        wire.digit("x")


@given(st.integers(min_value=1, max_value=700))
def test_any_segmentation_gives_the_same_frames(size: int) -> None:
    data = Encoder().message(FRAME) + Encoder().silence + b"\0\0\0"
    decoder, frames = wire.Decoder(), []
    for at in range(0, len(data), size):
        frames += decoder.feed(data[at : at + size])
    assert frames == [FRAME, wire.SILENCE]
    assert decoder.has_ended


def test_a_microphone_goes_through_at_once_and_a_pause_of_it_is_silence() -> None:
    caller = CallerVoice()
    assert caller.speak(FRAME[:100], 1.0) == []
    assert caller.speak(FRAME[100:] + FRAME, 1.01) == [FRAME, FRAME]
    assert caller.tick(1.02) is None
    assert caller.speak(FRAME[:100], 1.03) == []
    assert caller.tick(1.2) == wire.SILENCE
    assert caller.speak(FRAME, 1.21) == [FRAME], "half a frame from before the pause is not put before it"


def test_typed_words_take_the_place_of_the_microphone() -> None:
    caller = CallerVoice()
    assert caller.type(FRAME + FRAME[:100])
    assert caller.speak(FRAME, 1.0) == []
    said = []
    while caller.is_typing:
        said.append(caller.tick(1.0) or b"")
    assert b"".join(said).startswith(bytes(LEAD_BYTES) + FRAME + FRAME[:100] + bytes(LEAD_BYTES))
    assert {len(frame) for frame in said} == {wire.FRAME_BYTES}
    assert caller.speak(FRAME, 1.01) == [FRAME]
    assert not caller.type(bytes(MOST_TYPED_BYTES + 2))
