"""Text becomes pieces, early, and none of it is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.contract.sentences import LONGEST, SentenceSplitter

TABLE = [
    ("en", "Hello. How are you?", ["Hello. ", "How are you?"]),
    ("en", "Wait... What? No!", ["Wait... ", "What? ", "No!"]),
    ("en", "Dr. Smith is in. Mrs. Jones, too.", ["Dr. Smith is in. ", "Mrs. Jones, too."]),
    ("en", "It costs 3.50 a day. Fine?", ["It costs 3.50 a day. ", "Fine?"]),
    ("en", "It opened in 2024. Come in.", ["It opened in 2024. ", "Come in."]),
    ("en", "We open at 9 a.m. on Mondays.", ["We open at 9 a.m. on Mondays."]),
    ("en", "We close at 5 p.m. Come early.", ["We close at 5 p.m. ", "Come early."]),
    ("en", "1. Tea\n2. Coffee\n", ["1. Tea\n", "2. Coffee\n"]),
    ("en", "J. R. Smith called. Really.", ["J. R. Smith called. ", "Really."]),
    ("en", 'He said "no." Then he left.', ['He said "no." ', "Then he left."]),
    (
        "en",
        "Of course, I can help you with that, just a moment. Yes.",
        ["Of course, I can help you with that, ", "just a moment. ", "Yes."],
    ),
    (
        "en",
        "Short, so no cut. And a second sentence that is long, with a comma.",
        ["Short, so no cut. ", "And a second sentence that is long, with a comma."],
    ),
    ("ru", "Наш адрес: ул. Ленина, д. 5. Ждём вас!", ["Наш адрес: ул. Ленина, д. 5. ", "Ждём вас!"]),
    ("ru", "Это стоит 300 руб. в месяц. Хорошо?", ["Это стоит 300 руб. в месяц. ", "Хорошо?"]),
    ("ru", "Цена 300 руб. Берёте?", ["Цена 300 руб. ", "Берёте?"]),
    ("ru", "А. С. Пушкин родился в 1799 г. в Москве.", ["А. С. Пушкин родился в 1799 г. в Москве."]),
    ("ru", "Чай, кофе и т. д. Что ещё?", ["Чай, кофе и т. д. ", "Что ещё?"]),
    ("uk", "Ми на вул. Хрещатик, буд. 10. Чекаємо!", ["Ми на вул. Хрещатик, буд. 10. ", "Чекаємо!"]),
    ("uk", "Коштує 1,5 тис. грн. Підходить?", ["Коштує 1,5 тис. грн. ", "Підходить?"]),
    ("uk", "Приїдемо о 10:30. Гаразд?", ["Приїдемо о 10:30. ", "Гаразд?"]),
    ("en", "Take No. 5 please. No. Not that.", ["Take No. 5 please. ", "No. ", "Not that."]),
    ("en", "", []),
    ("en", "  ", ["  "]),
    ("en", "... well. Yes.", ["... well. ", "Yes."]),
]


@pytest.mark.parametrize(("language", "text", "pieces"), TABLE)
def test_table(language: str, text: str, pieces: list[str]) -> None:
    splitter = SentenceSplitter(language)
    assert splitter.feed(text) + splitter.finish() == pieces


def test_a_sentence_comes_with_the_space_behind_it() -> None:
    splitter = SentenceSplitter()
    assert splitter.feed("Hello") == []
    assert splitter.feed(" there.") == []
    assert splitter.feed(" ") == ["Hello there. "]


def test_only_the_first_piece_of_a_text_ends_at_a_comma_and_the_next_text_has_a_first_piece_again() -> None:
    text = "This is the beginning of it, and this goes on for long, and on. "
    splitter = SentenceSplitter()
    first = [*splitter.feed(text), *splitter.feed(text), *splitter.finish()]
    assert first == ["This is the beginning of it, ", "and this goes on for long, and on. ", text]
    assert splitter.feed(text)[0] == "This is the beginning of it, "


def test_a_long_sentence_is_cut_at_a_comma_or_a_space() -> None:
    splitter = SentenceSplitter()
    splitter.feed("Yes. ")
    pieces = splitter.feed("word " * 25 + "end, " + "word " * 100)
    assert pieces[0] == "word " * 25 + "end, "
    assert [len(p) for p in pieces[1:]] == [200, 200]
    assert all(p.endswith(" ") for p in pieces)


alphabet = st.sampled_from([*'abЯї .,!?…\n"»)1239ДрTт', "Dr. ", "руб. ", "грн. ", "e.g. ", "т.д. ", " A. ", "x" * 90])


@given(st.lists(alphabet, max_size=120).map("".join), st.sampled_from(["en", "ru", "uk", "de-AT"]), st.data())
def test_no_text_is_lost_and_the_cuts_do_not_depend_on_the_pieces(
    text: str, language: str, data: st.DataObject
) -> None:
    whole = SentenceSplitter(language)
    at_once = whole.feed(text) + whole.finish()
    assert "".join(at_once) == text
    assert all(0 < len(piece) <= LONGEST for piece in at_once)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    splitter = SentenceSplitter(language)
    found = [p for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True) for p in splitter.feed(text[a:b])]
    assert found + splitter.finish() == at_once
