"""Degrading a message: nothing over the limit, no word lost, order kept, no option lost."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.contract.capabilities import Capabilities, degrade, numbered, split_text
from graph_runtime.contract.messages import Choices, Media, Option, Part, Text

SMALL = Capabilities(60, 3, 20, False, False, False, "blind")
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=400)


def solid(text: str) -> str:
    """The text without white space."""
    return "".join(text.split())


@given(words, st.integers(20, 90))
def test_pieces_keep_every_sign_and_the_limit(text: str, limit: int) -> None:
    pieces = split_text(text, limit)
    assert all(0 < len(p) <= limit for p in pieces)
    assert solid("".join(pieces)) == solid(text)


LETTERS = ["а", "б\u0301", "\U0001f469\u200d\U0001f4bb", " ", "."]


@given(st.lists(st.sampled_from(LETTERS), min_size=50, max_size=200).map("".join))
def test_a_cut_never_falls_inside_a_letter(text: str) -> None:
    for piece in split_text(text, 25):
        assert not unicodedata.combining(piece[0])
        assert piece[0] != "\u200d"
        assert piece[-1] != "\u200d"


def test_cuts_prefer_the_end_of_a_sentence() -> None:
    assert split_text("Первое предложение. Второе предложение.", 25) == ["Первое предложение.", "Второе предложение."]


@given(
    st.text("abc ", min_size=1, max_size=30), st.lists(st.text("xyzю", min_size=1, max_size=15), min_size=1, max_size=8)
)
def test_no_option_is_lost_and_no_part_is_too_long(text: str, labels: list[str]) -> None:
    options = tuple(Option(id=f"o{i}", label=label) for i, label in enumerate(labels))
    sent = degrade([Choices(text=text, options=options)], SMALL)
    if len(labels) <= SMALL.max_buttons:
        assert isinstance(sent[-1], Choices)
        assert sent[-1].options == options
    else:
        assert solid("".join(p.text for p in sent if isinstance(p, Text))) == solid(numbered(text, options))
    assert all(len(p.text) <= SMALL.max_text for p in sent if isinstance(p, Text | Choices))


def test_markup_and_media_become_text() -> None:
    parts: list[Part] = [
        Text(text="**Hi**, see [the map](https://maps.test/x)"),
        Media(media="image", url="https://x.test/a.png", caption="Our office"),
    ]
    assert [p.text for p in degrade(parts, SMALL) if isinstance(p, Text)] == [
        "Hi, see the map: https://maps.test/x",
        "Our office\nhttps://x.test/a.png",
    ]
