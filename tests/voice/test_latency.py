"""Stamps of a turn."""

from voice.latency import Stamp, TurnLatency


def test_stamps_are_counted_from_the_end_of_speech() -> None:
    turn = TurnLatency()
    turn.stamp(Stamp.SPEECH_ENDED, 10.0)
    turn.stamp(Stamp.SOFT_END, 10.2)
    turn.stamp(Stamp.HARD_END, 10.5)
    turn.stamp(Stamp.FIRST_FRAME, 10.62)
    turn.stamp(Stamp.FIRST_FRAME, 12.0)
    assert turn.response_ms is not None
    assert round(turn.response_ms) == 620
    assert turn.as_milliseconds() == {"speech_ended": 0.0, "soft_end": 200.0, "hard_end": 500.0, "first_frame": 620.0}


def test_who_goes_on_speaking_begins_the_count_anew() -> None:
    turn = TurnLatency()
    turn.stamp(Stamp.SPEECH_ENDED, 10.0)
    turn.stamp(Stamp.FINAL_TEXT, 10.2)
    turn.went_on()
    turn.stamp(Stamp.SPEECH_ENDED, 11.0)
    turn.stamp(Stamp.FINAL_TEXT, 11.25)
    assert turn.as_milliseconds() == {"speech_ended": 0.0, "final_text": 250.0}
    assert turn.response_ms is None


def test_a_turn_without_speech() -> None:
    turn = TurnLatency()
    assert turn.as_milliseconds() == {}
    turn.stamp(Stamp.FIRST_TOKEN, 3.0)
    turn.stamp(Stamp.FIRST_FRAME, 3.1)
    assert turn.as_milliseconds() == {"first_token": 0.0, "first_frame": 100.0}
