"""The accounting of calls finds what it is there to find."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import pytest

from tests.voice.accounts import Account, Blow, account
from tests.voice.asterisk_stand_in import ASTERISK_22, Dialplan
from tests.voice.people import HearingLeg, Person, bye, echo, hello, question
from tests.voice.readable_speech import FRAME_BYTES, read, speech
from voice.texts import Bridge, text_of

NUMBER, ONE, TWO = "3000", "100001", "900002"
CALL_ID = uuid.UUID(int=1)
FIRST_LEG = (hello(NUMBER), question(NUMBER, "none"), echo(NUMBER, ONE), question(NUMBER, ONE))
SECOND_LEG = (question(NUMBER, ONE), bye(NUMBER, TWO))
TRANSCRIPT = [
    ("agent", hello(NUMBER)), ("agent", question(NUMBER, "none")), ("contact", ONE), ("agent", echo(NUMBER, ONE)),
    ("agent", question(NUMBER, ONE)), ("contact", TWO), ("agent", bye(NUMBER, TWO)),
]  # fmt: skip


async def nobody(*_: object) -> str:
    return ""


def told(
    first: Sequence[str] = FIRST_LEG, second: Sequence[str] = SECOND_LEG, *, outcome: str = "done",
    blow: Blow = Blow("replaced", 99.0), cut: int = 0, transcript: Sequence[tuple[str, str]] = TRANSCRIPT,  # noqa: B008 (it cannot change)
    keyed: Sequence[tuple[int, float]] = ((0, 50.0), (1, 150.0)),
) -> Account:  # fmt: skip
    """One call over two legs; of the first one's last sentence so many frames are missing."""
    plan = Dialplan(nobody, lambda: 0, nobody, call_id=CALL_ID)
    for at, sentences in ((0.0, first), (101.0, second)):
        leg = HearingLeg(CALL_ID, ASTERISK_22)
        sound = b"".join(speech(text) for text in sentences)
        frames = [sound[i : i + FRAME_BYTES] for i in range(0, len(sound), FRAME_BYTES)]
        for place, frame in enumerate(frames[: len(frames) - (cut if at == 0 else 0)]):
            leg.hear(at + place * 0.02, frame)
        leg.ended_at = at + 100.0
        plan.legs.append(leg)
    person = Person(NUMBER, ("echo",), nobody, plan, codes=[ONE, TWO], outcome=outcome, keyed=[*keyed])
    return account([person], [blow], {CALL_ID: [*transcript]})


def test_a_call_that_was_taken_over_is_in_order() -> None:
    found = told()
    assert found.troubles == {}
    assert found.again == 1
    assert found.back == {0: [1.0]}
    assert told(second=("One second.", *SECOND_LEG)).troubles == {}, "what bridges a silence is nobody's"


@pytest.mark.parametrize(
    ("trouble", "found"),
    [
        ("dropped", told(outcome="desk")),
        ("given_up", told(second=(*SECOND_LEG[:1], text_of(Bridge.GIVE_UP, "en")))),
        ("twice", told(second=(echo(NUMBER, ONE), *SECOND_LEG))),
        ("twice", told(first=(*FIRST_LEG, question(NUMBER, ONE)))),
        ("left_out", told(first=(hello(NUMBER), *FIRST_LEG[2:]))),
        ("left_out", told(second=SECOND_LEG[:1])),
        ("foreign", told(second=(hello("3001"), *SECOND_LEG))),
        ("cut", told(cut=3)),
        ("keyed_in_vain", told(keyed=((0, 50.0), (1, 98.0), (1, 150.0)))),
        ("transcript", told(transcript=[*TRANSCRIPT[:2], *TRANSCRIPT[3:]])),
        ("faults", told(second=())),
    ],
)
def test_what_is_not_in_order_is_found(trouble: str, found: Account) -> None:
    assert trouble in found.troubles


def test_a_death_excuses_what_it_broke_off_and_nothing_else() -> None:
    killed = Blow("killed", 99.0)
    assert told(blow=killed, cut=3).troubles == {}
    begins_again = (echo(NUMBER, ONE), *SECOND_LEG)
    assert told(blow=killed, cut=3, second=begins_again).troubles == {}
    assert "twice" in told(blow=killed, second=begins_again).troubles, "it had been heard long before"


def test_a_sentence_is_read_from_each_of_its_frames() -> None:
    sound = speech("Good morning.")
    frames = [read(sound[i : i + FRAME_BYTES]) for i in range(0, len(sound), FRAME_BYTES)]
    assert [(f.text, f.place, f.frames) for f in frames if f] == [("Good morning.", n, 6) for n in range(6)]
    assert read(bytes(FRAME_BYTES)) is None
    with pytest.raises(ValueError, match="nobody made"):
        read(b"\x01" * FRAME_BYTES)
