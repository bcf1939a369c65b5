"""What a voice makes of written text: no markup, no addresses, and the same whether it comes at once or in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.contract.messages import Option
from graph_runtime.contract.speakable import SpeakableStream, speakable, spoken_choices

SPOKEN = {
    "Hello **World**! See [our site](https://example.com/a?b=c) 😀 now.": "Hello World! See our site now.",
    "- one\n- two\n\n1. First\n2) Second\nend": "one. two. 1: First. 2: Second. end",
    "# Title\n> quote *it* snake_case 2 * 3\n---\n| a | b |\n|---|---|\n| 1 | 2 |": (
        "Title. quote it snake_case 2 * 3. a, b. 1, 2"
    ),
    "Call +44 20 7946 0958 today": "Call plus 4 4, 2 0, 7 9 4 6, 0 9 5 8 today",
    "It costs 1 200 or 12,000.50, from 10–12 h.": "It costs 1200 or 12000.50, from 10 to 12 h.",
    "see https://www.example.com/path?x=1, thanks": "see example.com, thanks",
    "`code` and [a note] end 🎉🎉": "code and [a note] end",
    "Sure! I can help.\n\nWhat is it?": "Sure! I can help. What is it?",
    "№ 5 & co": "number 5 and co",
    "![a cat](https://example.com/cat.png) It is 5": "a cat It is 5",
    "   ": "",
}


@pytest.mark.parametrize(("written", "spoken"), SPOKEN.items())
def test_written_text_as_it_is_spoken(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


def test_words_of_other_languages() -> None:
    assert speakable("Звоните: +380 44 123, 10–12 ч", "ru") == "Звоните: плюс 3 8 0, 4 4, 1 2 3, 10 до 12 ч"
    assert speakable("1,5 кг & більше", "uk") == "1,5 кг і більше"


def in_pieces(text: str, sizes: list[int]) -> str:
    stream, spoken, at = SpeakableStream(), "", 0
    for size in [*sizes, len(text)]:
        spoken += stream.feed(text[at : at + size])
        at += size
    return (spoken + stream.end()).strip()


@given(st.sampled_from([*SPOKEN]), st.lists(st.integers(1, 7), max_size=80))
def test_a_text_in_pieces_is_spoken_like_the_whole(written: str, sizes: list[int]) -> None:
    assert in_pieces(written, sizes) == speakable(written)


@given(st.text(alphabet="ab 1+-*_[](){}|#>`\n.,:/!😀é", max_size=120), st.lists(st.integers(1, 9), max_size=60))
def test_no_text_breaks_it_and_no_letter_is_lost_or_doubled(written: str, sizes: list[int]) -> None:
    def letters(text: str) -> str:
        return "".join(c for c in text if c in "abé")

    whole = speakable(written)
    if "](" not in written and "://" not in written:
        assert letters(whole) == letters(written)
        assert letters(in_pieces(written, sizes)) == letters(written)


def test_words_are_passed_on_before_the_text_is_complete() -> None:
    stream = SpeakableStream()
    assert stream.feed("Our prices begin ") == "Our prices begin "
    assert stream.feed("at 1 ") == "at "
    assert stream.feed("200 euros") == "1200 "
    assert stream.end() == "euros"


def test_options_are_offered_with_their_keys() -> None:
    options = [Option(id="a", label="Prices"), Option(id="b", label="**Support** 😀")]
    assert spoken_choices("What is it about?", options) == (
        "What is it about? For Prices, press 1. For Support, press 2."
    )
    assert spoken_choices("О чём?", options[:1], "ru") == "О чём? Prices: нажмите 1."
    scale = [Option(id=f"r_{n}", label=str(n)) for n in range(1, 6)]
    assert spoken_choices("Rate us", scale) == "Rate us. 1 to 5."
