"""Degrading a message: nothing over the limit, no word lost, order kept, no option lost."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.contract.capabilities import TELEGRAM, Capabilities, degrade, numbered, split_text, utf16_length
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


WIDE = Capabilities(60, 3, 20, True, True, False, "blind", max_caption=25, is_utf16=True)
letters = st.text("abю. \U0001f600", min_size=1, max_size=150)
some_options = st.lists(st.text("xyz", min_size=1, max_size=12), min_size=1, max_size=5).map(
    lambda labels: tuple(Option(id=f"o{i}", label=label) for i, label in enumerate(labels))
)
some_parts: st.SearchStrategy[list[Part]] = st.lists(
    st.one_of(
        st.builds(Text, text=letters),
        st.builds(Choices, text=letters, options=some_options),
        st.builds(Media, caption=letters, url=st.just("https://x.test/a.png")),
    ),
    max_size=4,
)


def everything(parts: list[Part], can: Capabilities) -> str:
    """All words and labels in order, without white space; a question without buttons as its numbered lines."""
    out = []
    for part in parts:
        if isinstance(part, Media):
            out += [part.caption] if can.media else [part.caption, part.name, part.url]
        elif isinstance(part, Choices) and len(part.options) > can.max_buttons:
            out.append(numbered(part.text, part.options))
        elif isinstance(part, Choices):
            out += [part.text, *(f"[{o.id}:{o.label}]" for o in part.options)]
        else:
            out.append(part.text)
    return solid("".join(out))


@given(some_parts, st.sampled_from([SMALL, WIDE, TELEGRAM]))
def test_order_words_options_and_limits_of_whole_messages(parts: list[Part], can: Capabilities) -> None:
    sent = degrade(parts, can)
    assert everything(sent, can) == everything(parts, can)
    measure = utf16_length if can.is_utf16 else len
    for part in sent:
        if isinstance(part, Media):
            assert measure(part.caption) <= (can.max_caption or can.max_text)
        else:
            assert measure(part.text) <= can.max_text
        if isinstance(part, Choices):
            assert len(part.options) <= can.max_buttons


def test_what_is_asked_for_stays_with_the_last_piece() -> None:
    sent = degrade([Text(text="One sentence here. " * 6, wants="phone")], SMALL)
    assert [p.wants for p in sent if isinstance(p, Text)] == [None] * (len(sent) - 1) + ["phone"]
