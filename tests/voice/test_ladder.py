"""What is said while an answer is awaited, on a clock that the test moves."""

from __future__ import annotations

from voice.ladder import HELD_SECONDS, Ladder
from voice.texts import Bridge


class Wait:
    """Looks every 50 ms; `spoken` is what was said when."""

    def __init__(self, filler: str | None = "") -> None:
        self.ladder = Ladder(0.0, filler)
        self.at = 0.0
        self.said: list[tuple[float, Bridge]] = []

    def passes(self, seconds: float, *, is_answering: bool = False, is_bridging: bool = False) -> Wait:
        until = self.at + seconds
        while self.at < until - 1e-9:
            self.at = round(self.at + 0.05, 3)
            rung = self.ladder.look(self.at, is_answering=is_answering, is_bridging=is_bridging)
            if rung is not None:
                self.said.append((self.at, rung))
        return self


def test_the_whole_ladder() -> None:
    assert Wait().passes(60).said == [
        (0.7, Bridge.FILLER), (4.0, Bridge.ONE_MOMENT), (10.0, Bridge.SORRY), (20.0, Bridge.GIVE_UP),
    ]  # fmt: skip


def test_a_step_may_do_without_a_filler() -> None:
    assert Wait(filler=None).passes(5).said == [(4.0, Bridge.ONE_MOMENT)]


def test_a_quick_answer_needs_no_bridge() -> None:
    assert Wait().passes(0.6).passes(3, is_answering=True).said == []


def test_the_wait_after_a_long_message_is_a_new_one() -> None:
    wait = Wait().passes(0.5).passes(15, is_answering=True).passes(1)
    assert [rung for _, rung in wait.said] == [Bridge.FILLER]
    assert 16.2 <= wait.said[0][0] < 16.3


def test_nothing_is_said_over_what_bridges() -> None:
    wait = Wait().passes(0.7).passes(4, is_bridging=True).passes(0.05)
    assert [rung for _, rung in wait.said] == [Bridge.FILLER, Bridge.ONE_MOMENT]
    assert wait.said[1][0] > 4.7


def test_a_flow_that_waits_on_purpose_is_never_given_up() -> None:
    wait = Wait()
    wait.ladder.is_held = True
    wait.passes(HELD_SECONDS * 6 + 1)
    assert [rung for _, rung in wait.said] == [Bridge.ONE_MOMENT] * 6
