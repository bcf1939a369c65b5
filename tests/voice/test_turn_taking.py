"""Whose turn it is, as tables: what happens when, and what is decided."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.turn_taking import (
    Decision,
    DigitPressed,
    DigitsEntered,
    ForgetIt,
    Heard,
    InterruptUs,
    ListenNow,
    NoInput,
    PauseUs,
    Phase,
    ResumeUs,
    Rules,
    SoftEnded,
    TimePassed,
    TurnEnded,
    TurnEvent,
    TurnTaking,
    WeEnded,
    WentOn,
    WeSpeak,
    WeWait,
    Words,
)

STEP_MS = 10


class Call:
    """Plays a script such as "wait speak voice:300 quiet:600"; `log` has each decision and its moment in ms."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.turns = TurnTaking()
        self.rules = rules or Rules()
        self.ms = 0
        self.log: list[tuple[int, Decision]] = []

    def play(self, script: str) -> Call:
        for word in script.split():
            name, _, value = word.partition(":")
            match name:
                case "voice" | "quiet":
                    for _ in range(int(value) // STEP_MS):
                        self.pass_time(STEP_MS)
                        self.tell(Heard(name == "voice", STEP_MS))
                case "gap":
                    for _ in range(int(value) // STEP_MS):
                        self.pass_time(STEP_MS)
                case "says":
                    self.tell(Words(value.replace("_", " ")))
                case "key":
                    self.tell(DigitPressed(value))
                case "speak":
                    self.tell(WeSpeak())
                case "insist":
                    self.tell(WeSpeak(is_interruptible=False))
                case "end":
                    self.tell(WeEnded())
                case "wait":
                    self.tell(WeWait(self.rules))
                case _:
                    raise AssertionError(word)
        return self

    def pass_time(self, ms: int) -> None:
        self.ms += ms
        while (deadline := self.turns.deadline) is not None and deadline <= self.ms / 1000:
            self.tell(TimePassed())

    def tell(self, event: TurnEvent) -> None:
        self.log += [(self.ms, decision) for decision in self.turns.step(event, self.ms / 1000)]

    @property
    def told(self) -> str:
        return " ".join(f"{_short(decision)}@{ms}" for ms, decision in self.log)


def _short(decision: Decision) -> str:
    match decision:
        case DigitsEntered():
            return f"digits:{decision.digits}"
        case NoInput():
            return f"no-input:{decision.count}{'!' if decision.is_last else ''}"
        case TurnEnded(is_cut=True):
            return "cut"
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(decision).__name__).lower()


TABLE = [
    # an ordinary turn
    ("wait quiet:300 voice:600 quiet:700", {}, "listen-now@310 soft-ended@1100 turn-ended@1400"),
    ("wait voice:600 quiet:700", {"endpoint_ms": 400}, "listen-now@10 soft-ended@800 turn-ended@1000"),
    ("wait voice:600 quiet:100 voice:100 quiet:600", {}, "listen-now@10 soft-ended@1000 turn-ended@1300"),
    # a pause for thought: what was begun at the soft end is void
    (
        "wait voice:600 quiet:300 voice:200 quiet:600",
        {},
        "listen-now@10 soft-ended@800 went-on@910 soft-ended@1300 turn-ended@1600",
    ),
    # an endpoint that is shorter than the soft end
    ("wait voice:600 quiet:300", {"endpoint_ms": 150}, "listen-now@10 soft-ended@800 turn-ended@800"),
    # a cough is no turn, a recognised short word is one
    ("wait voice:100 quiet:600", {}, "listen-now@10 forget-it@300"),
    ("wait voice:100 says:yes quiet:600", {}, "listen-now@10 soft-ended@300 turn-ended@600"),
    ("wait voice:250 quiet:600", {"min_speech_ms": 300}, "listen-now@10 forget-it@450"),
    # two coughs do not add up
    ("wait voice:150 quiet:250 voice:150 quiet:250", {}, "listen-now@10 forget-it@350 listen-now@410 forget-it@750"),
    # somebody who does not stop
    (
        "wait voice:3000 quiet:700",
        {"longest_ms": 2000},
        "listen-now@10 cut@2000 listen-now@2010 soft-ended@3200 turn-ended@3500",
    ),
    # the caller is heard before any step waits: at the beginning of a call, or while we think
    ("voice:400 quiet:600", {}, "listen-now@10 soft-ended@600 turn-ended@900"),
    # interruption by half a second of voice
    (
        "wait speak voice:900 quiet:700",
        {},
        "listen-now@10 pause-us@10 interrupt-us@500 soft-ended@1100 turn-ended@1400",
    ),
    # by words
    (
        "wait speak voice:300 says:I_need_help voice:100 quiet:600",
        {},
        "listen-now@10 pause-us@10 interrupt-us@300 soft-ended@600 turn-ended@900",
    ),
    # not by a noise: resumed a second later, when it could not have been a word any more
    ("wait speak voice:300 quiet:1500", {}, "listen-now@10 pause-us@10 soft-ended@500 forget-it@1010 resume-us@1010"),
    ("wait speak voice:100 quiet:1500", {}, "listen-now@10 pause-us@10 forget-it@300 resume-us@300"),
    # not by a listener's yes, in any of the languages, however long
    (
        "wait speak voice:300 says:uh-huh quiet:900",
        {},
        "listen-now@10 pause-us@10 soft-ended@500 forget-it@500 resume-us@500",
    ),
    (
        "wait speak voice:300 says:ага_так quiet:900",
        {"language": "uk"},
        "listen-now@10 pause-us@10 soft-ended@500 forget-it@500 resume-us@500",
    ),
    (
        "wait speak voice:300 says:да_да_понятно voice:400 quiet:900",
        {"language": "ru-RU"},
        "listen-now@10 pause-us@10 soft-ended@900 forget-it@900 resume-us@900",
    ),
    # a listener's yes that becomes a sentence
    (
        "wait speak voice:300 says:yes voice:300 says:yes_but_no voice:100 quiet:600",
        {},
        "listen-now@10 pause-us@10 interrupt-us@600 soft-ended@900 turn-ended@1200",
    ),
    # after two seconds it is decided in any case
    (
        "wait speak voice:300 says:yeah voice:1800",
        {},
        "listen-now@10 pause-us@10 forget-it@2010 resume-us@2010 listen-now@2010 pause-us@2010",
    ),
    # words only, and enough of them
    (
        "wait speak voice:900 says:wait quiet:300",
        {"min_words": 2},
        "listen-now@10 pause-us@10 soft-ended@1100 forget-it@1100 resume-us@1100",
    ),
    (
        "wait speak voice:900 says:wait_a_minute quiet:600",
        {"min_words": 2},
        "listen-now@10 pause-us@10 interrupt-us@900 soft-ended@1100 turn-ended@1400",
    ),
    # a message that must be heard
    ("wait insist voice:900 quiet:300", {}, ""),
    (
        "wait insist voice:900 end voice:300 quiet:600",
        {},
        "listen-now@910 soft-ended@1400 turn-ended@1700",
    ),
    # our answer comes while the caller is speaking
    (
        "wait voice:300 speak voice:300 quiet:600",
        {},
        "listen-now@10 pause-us@300 interrupt-us@500 soft-ended@800 turn-ended@1100",
    ),
    # silence: asked again twice, then the end
    ("wait quiet:30000", {}, "no-input:1@6000 no-input:2@12000 no-input:3!@18000"),
    ("wait gap:6500 speak gap:3000 end gap:6500", {}, "no-input:1@6000 no-input:2@15500"),
    ("wait quiet:5000 voice:300 quiet:600 quiet:9000", {}, "listen-now@5010 soft-ended@5500 turn-ended@5800"),
    ("wait quiet:5950 voice:100 quiet:400", {}, "listen-now@5960 forget-it@6250 no-input:1@6260"),
    ("quiet:9000", {}, ""),
    ("wait speak quiet:9000 end quiet:5900", {}, ""),
    # keys
    ("wait key:1 gap:180 key:2 gap:180 key:# gap:9000", {}, "digits:12@360"),
    ("wait key:1 gap:180 key:2 gap:9000", {}, "digits:12@2680"),
    ("wait key:1 gap:9000", {"longest_digits": 1}, "digits:1@0"),
    ("wait key:4 key:2 key:7 key:9", {"longest_digits": 4, "terminator": ""}, "digits:4279@0"),
    ("wait key:* key:# gap:9000", {"terminator": ""}, "digits:*#@2500"),
    ("wait key:# gap:7000", {}, "no-input:1@6000"),
    ("wait gap:4000 key:5 gap:2400", {}, ""),
    # keys interrupt, unless the message must be heard: then they wait for its end
    ("wait speak key:1 gap:100", {"longest_digits": 1}, "interrupt-us@0 digits:1@0"),
    ("wait insist key:1 gap:100 end", {"longest_digits": 1}, "digits:1@100"),
    ("speak key:2 end gap:500 wait", {"longest_digits": 1}, "interrupt-us@0 digits:2@500"),
    ("wait key:1 key:2 wait", {"longest_digits": 1}, "digits:1@0 digits:2@0"),
    # keys take the place of what was being said
    ("wait voice:400 key:1 gap:200 quiet:600", {"longest_digits": 1}, "listen-now@10 forget-it@400 digits:1@400"),
    # a key held down is a gap in the audio, which is no silence
    ("wait voice:400 quiet:100 gap:350 voice:200 quiet:600", {}, "listen-now@10 soft-ended@1250 turn-ended@1550"),
    # a line that went dead in the middle of a word
    ("wait voice:400 gap:3000", {}, "listen-now@10 soft-ended@1400 turn-ended@1400"),
]


@pytest.mark.parametrize(("script", "rules", "told"), TABLE, ids=[f"{i}" for i in range(len(TABLE))])
def test_table(script: str, rules: dict[str, object], told: str) -> None:
    assert Call(Rules(**rules)).play(script).told == told  # type: ignore[arg-type]


moves = st.one_of(
    st.tuples(st.sampled_from(["voice", "quiet"]), st.integers(1, 90)).map(lambda m: f"{m[0]}:{m[1] * 10}"),
    st.integers(1, 300).map(lambda n: f"gap:{n * 10}"),
    st.sampled_from(
        ["says:yes", "says:one_two_three", "says:but", "speak", "insist", "end", "wait", "key:1", "key:7", "key:#"]
    ),
)
rules = st.builds(
    Rules,
    endpoint_ms=st.sampled_from([100, 300, 500, 2000]),
    min_speech_ms=st.sampled_from([0, 200, 400]),
    min_words=st.integers(0, 2),
    longest_ms=st.sampled_from([1000, 25000]),
    longest_digits=st.integers(1, 4),
    terminator=st.sampled_from(["#", ""]),
)


class Watch:
    """Holds what must be true whatever happens on a call."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.is_listening = self.is_paused = self.is_soft = False

    def see(self, decision: Decision) -> None:
        match decision:
            case ListenNow():
                assert not self.is_listening, "one utterance at a time"
                self.is_listening, self.is_soft = True, False
            case ForgetIt() | TurnEnded():
                assert self.is_listening, "every utterance ends once"
                self.is_listening = self.is_soft = False
            case SoftEnded() | WentOn():
                assert self.is_listening
                assert self.is_soft is isinstance(decision, WentOn), "they take turns"
                self.is_soft = not self.is_soft
            case PauseUs() | ResumeUs():
                assert self.is_paused is isinstance(decision, ResumeUs), "only what was paused goes on"
                self.is_paused = not self.is_paused
            case InterruptUs():
                self.is_paused = False
            case DigitsEntered():
                assert 0 <= len(decision.digits) <= self.rules.longest_digits


@given(st.lists(moves, max_size=40), rules)
def test_invariants(script: list[str], given_rules: Rules) -> None:
    call, watch = Call(given_rules), Watch(given_rules)
    for move in script:
        before = len(call.log)
        call.play(move)
        for _, decision in call.log[before:]:
            watch.see(decision)
        if move == "end":
            watch.is_paused = False
        assert watch.is_paused == call.turns.is_paused
        assert watch.is_listening == (call.turns.phase is not Phase.IDLE)
        deadline = call.turns.deadline
        assert deadline is None or deadline > call.ms / 1000, "time that is asked for is used"
    call.play("end quiet:5000")
    assert call.turns.phase is Phase.IDLE
    assert not call.turns.is_paused
