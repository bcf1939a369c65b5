"""How an agent answers, as values: how long it takes, and what somebody approves."""

import pytest
from pydantic import ValidationError

from graph_runtime.contract.answering import NOTHING, Answering, Approval, Delay


def test_an_answer_takes_longer_the_longer_it_is_up_to_a_limit() -> None:
    delay = Delay(is_on=True, least=1, most=3, per_character=50, limit=8)
    times = [delay.seconds("x" * 20, key) for key in map(str, range(200))]
    assert min(times) >= 2.0
    assert max(times) <= 4.0
    assert max(times) - min(times) > 1.5  # it differs from answer to answer, not for the same one
    assert delay.seconds("x" * 20, "7") == times[7]
    assert delay.seconds("x" * 1000, "7") == 8
    assert delay.seconds("", "7") == 0
    assert Delay(is_on=True, least=5, most=1, per_character=0).seconds("x", "1") >= 1
    assert Delay().seconds("x" * 20, "7") == 0


def test_what_is_stored_is_read_and_nonsense_is_refused() -> None:
    assert Answering.of(None) is NOTHING
    assert Answering.of({"approval": {"approves": "all"}, "later": 1}).approval.approves == "all"
    for bad in ({"approval": {"approves": "some"}}, {"delay": {"limit": 900}}, {"approval": {"wait_minutes": 0}}):
        with pytest.raises(ValidationError):
            Answering.of(bad)


def test_nobody_approves_on_a_call() -> None:
    answering = Answering(approval=Approval(approves="all"))
    assert answering.must_approve(step="agent", is_model_text=False, channel="web_chat")
    assert not answering.must_approve(step="always", is_model_text=True, channel="phone")
    assert not answering.must_approve(step="never", is_model_text=True, channel="web_chat")
