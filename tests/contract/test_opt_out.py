"""Words by which people opt out and come back; everything else is talk."""

import pytest

from graph_runtime.contract.opt_out import wish_of


@pytest.mark.parametrize(
    ("text", "has_opted_out", "wish"),
    [
        ("STOP", False, "stop"), (" stop. ", False, "stop"), ("/stop", False, "stop"), ("Стоп!", False, "stop"),
        ("«Відписатися»", False, "stop"), ("opt-out", False, "stop"), ("STOP", True, "stop"), ("🛑 стоп 🛑", False, "stop"),
        ("hello\nplease\nSTOP", False, "stop"), ("stop by tomorrow", False, ""), ("Не стоп", False, ""), ("", False, ""),
        ("start", False, ""), ("Start", True, "start"), ("СТАРТ", True, "start"), ("/start", True, ""),
        ("STOP\nstart", True, "start"), ("start\nstop", True, "stop"), ("...", False, ""),
    ],
)  # fmt: skip
def test_what_a_message_asks_for(text: str, has_opted_out: bool, wish: str) -> None:
    assert wish_of(text, has_opted_out=has_opted_out) == wish


def test_a_workspace_has_words_of_its_own() -> None:
    assert wish_of("Genug", has_opted_out=False, stop_words=("genug",)) == "stop"
    assert wish_of("stop", has_opted_out=False, stop_words=("genug",)) == ""
    assert wish_of("", has_opted_out=False, stop_words=(" ",)) == ""
