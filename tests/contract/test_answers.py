"""Answers as people write them, in three languages; and any text at all."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graph_runtime.contract.answers import (
    AnswerKind,
    AnswerRules,
    Choice,
    closest,
    contact_today,
    match_choice,
    read_answer,
    read_date,
    read_email,
    read_number,
    read_phone,
    read_rating,
    read_yes_no,
)
from graph_runtime.contract.messages import Attachment, Reply

MONDAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("1 200,50", "ru", 1200.5),
        ("1\u00a0200", "uk", 1200),
        ("1,200.50", "en", 1200.5),
        ("1,200", "en", 1200),
        ("1,2", "en", 1.2),
        ("0,500", "en", 0.5),
        ("1.200.000", "uk", 1_200_000),
        ("50k", "en", 50_000),
        ("50 тыс", "ru", 50_000),
        ("50 тис.", "uk", 50_000),
        ("1,5 млн", "ru", 1_500_000),
        ("2 мільйони", "uk", 2_000_000),
        ("about $500", "en", 500),
        ("примерно 500 рублей", "ru", 500),
        ("-3", "en", -3),
        ("минус три", "ru", -3),
        ("двадцать пять", "ru", 25),
        ("сто двадцать тысяч пятьсот", "ru", 120_500),
        ("полтора миллиона", "ru", 1_500_000),
        ("тысячи три", "ru", 3_000),
        ("тисяч двадцять п'ять", "uk", 25_000),
        ("тысяча", "ru", 1_000),
        ("тысяча двести", "ru", 1_200),
        ("п’ятдесят тисяч", "uk", 50_000),
        ("one hundred and twenty", "en", 120),
        ("twenty-five", "en", 25),
        ("5-7", "en", None),
        ("two or three", "en", None),
        ("1.2.3", "en", None),
        ("много", "ru", None),
        ("", "en", None),
        ("9" * 200, "en", None),
    ],
)
def test_numbers(text: str, language: str, expected: float | None) -> None:
    assert read_number(text, language) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("today", "2026-03-02"),
        ("завтра", "2026-03-03"),
        ("післязавтра", "2026-03-04"),
        ("the day after tomorrow", "2026-03-04"),
        ("через 3 дня", "2026-03-05"),
        ("за тиждень", "2026-03-09"),
        ("in two weeks", "2026-03-16"),
        ("в пятницу", "2026-03-06"),
        ("у п'ятницю", "2026-03-06"),
        ("next friday", "2026-03-13"),
        ("в понедельник", "2026-03-09"),
        ("12 марта", "2026-03-12"),
        ("12 березня", "2026-03-12"),
        ("двадцатое нет, пять мая", "2026-05-05"),
        ("March 12th", "2026-03-12"),
        ("1 січня", "2027-01-01"),
        ("1 мая 2028 года", "2028-05-01"),
        ("12.03", "2026-03-12"),
        ("12.03.26", "2026-03-12"),
        ("2026-12-01", "2026-12-01"),
        ("12 числа", "2026-03-12"),
        ("the 1st", "2026-04-01"),
        ("31 февраля", None),
        ("99.99.2026", None),
        ("later", None),
    ],
)
def test_dates(text: str, expected: str | None) -> None:
    found = read_date(text, MONDAY)
    assert (found.isoformat() if found else None) == expected


def test_the_order_of_day_and_month_is_a_setting() -> None:
    assert read_date("03/04/2027", MONDAY, "dmy") == date(2027, 4, 3)
    assert read_date("03/04/2027", MONDAY, "mdy") == date(2027, 3, 4)
    assert read_date("25/12/2027", MONDAY, "mdy") == date(2027, 12, 25)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes please", True),
        ("Да, конечно", True),
        ("ну да", True),
        ("так, звісно", True),
        ("👍", True),
        ("no way", False),
        ("нет, спасибо", False),
        ("не надо", False),
        ("ні", False),
        ("не знаю", None),
        ("I don't know", None),
        ("maybe yes", None),
        ("мабуть", None),
        ("what?", None),
        ("", None),
    ],
)
def test_yes_and_no(text: str, expected: bool | None) -> None:
    assert read_yes_no(text) is expected


@pytest.mark.parametrize(
    ("text", "language", "region", "expected"),
    [
        ("+380 67 123 45 67", "en", "", "+380671234567"),
        ("067 123 45 67", "uk", "", "+380671234567"),
        ("8 912 345-67-89", "ru", "", "+79123456789"),
        ("my number is (202) 555-0143, call me", "en", "US", "+12025550143"),
        ("380671234567", "en", "", "+380671234567"),
        ("020 7946 0958", "en", "GB", "+442079460958"),
        ("12345", "en", "", None),
        ("call me", "en", "", None),
    ],
)
def test_phones(text: str, language: str, region: str, expected: str | None) -> None:
    assert read_phone(text, language, region) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ann@Mail.COM", "Ann@mail.com"),
        ("write to a.b+c@x.co.uk!", "a.b+c@x.co.uk"),
        ("ivan собака example точка com", "ivan@example.com"),
        ("ann at example dot com", "ann@example.com"),
        ("a@b", None),
        ("a@b.com and c@d.com", None),
        ("a..b@c.com", None),
        ("later", None),
    ],
)
def test_emails(text: str, expected: str | None) -> None:
    assert read_email(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", 5),
        ("5/5", 5),
        ("4 из 5", 4),
        ("⭐⭐⭐", 3),
        ("п'ять", 5),
        ("four!", 4),
        ("7", None),
        ("8/10", None),
        ("0", None),
    ],
)
def test_ratings(text: str, expected: int | None) -> None:
    assert read_rating(text) == expected


CHOICES = (
    Choice("prices", "Prices", ("cost", "how much")),
    Choice("support", "Technical support"),
    Choice("person", "Talk to a person", ("human", "оператор")),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PRICES", "prices"),
        ("2", "support"),
        ("№3", "person"),
        ("the second one", "support"),
        ("pri", "prices"),
        ("how much is it?", "prices"),
        ("a human, please", "person"),
        ("позовите оператора", "person"),
        ("tecnical suport", "support"),
        ("suport", "support"),
        ("4", None),
        ("weather", None),
        ("prices or a human", None),
        ("", None),
    ],
)
def test_choices(text: str, expected: str | None) -> None:
    assert match_choice(text, CHOICES) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("вторая", "b"), ("третий вариант", "c"), ("другий", "b"), ("стрижка в пятницу", "a"), ("стрижка у вторник", "a")],
)
def test_an_ordinal_is_not_a_weekday(text: str, expected: str) -> None:
    assert match_choice(text, [Choice("a", "Стрижка"), Choice("b", "Окрашивание"), Choice("c", "Маникюр")]) == expected


def test_a_label_that_is_a_number_wins_over_the_position() -> None:
    assert match_choice("1", (Choice("two", "2"), Choice("one", "1"))) == "one"


def test_the_closest_needs_a_shared_word() -> None:
    phrases = {"refund": ["верните деньги"], "delivery": ["где мой заказ"]}
    assert closest("хочу вернуть деньги", phrases)[0] == "refund"
    assert closest("погода", phrases) == ("", 0.0)
    assert closest("деньги за заказ", {"a": ["деньги"], "b": ["заказ"]})[1] < 1


def test_the_day_is_the_contacts_day() -> None:
    late = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    assert contact_today(late, "Europe/Kyiv") == date(2026, 3, 3)
    assert contact_today(late, None) == date(2026, 3, 2)
    assert contact_today(late, "Nowhere/../etc") == date(2026, 3, 2)


@pytest.mark.parametrize(
    ("kind", "text", "limits", "problem"),
    [
        ("number", "5", {"minimum": 10}, "too_small"),
        ("number", "50", {"maximum": 10}, "too_large"),
        ("number", "many", {}, "unreadable"),
        ("date", "yesterday", {"is_future_only": True}, "too_early"),
        ("text", "  ", {}, "empty"),
        ("text", "x" * 11, {"max_length": 10}, "too_long"),
        ("file", "here", {}, "unreadable"),
    ],
)
def test_problems_are_named(kind: AnswerKind, text: str, limits: dict[str, Any], problem: str) -> None:
    parsed = read_answer(Reply(text=text), AnswerRules(kind=kind, today=MONDAY, **limits))
    assert parsed.problem == problem
    assert parsed.value is None


def test_a_file_is_the_first_attachment() -> None:
    file = Attachment(file_id="f_1", name="a.pdf", mime="application/pdf", size=3)
    parsed = read_answer(Reply(attachments=(file,)), AnswerRules(kind="file", today=MONDAY))
    assert parsed.value["name"] == "a.pdf"


PIECES = [
    *("next", "in", "через", "за", "12", "31", "29", "0", "99", "мая", "feb", "лютого", "неделя", "days", "2026"),
    *(".", "/", "два", "сто", "тысяч", "million", "@", "da", "+", "п'ять", "k", "-"),
]
MESSY = st.one_of(
    st.text(max_size=300),
    st.text(alphabet="0123456789.,-+/ '()kmтыс", max_size=60),
    st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join),
    st.characters(codec="utf-8").map(lambda c: c * 50),
)


@given(text=MESSY, kind=st.sampled_from(get_args(AnswerKind)), language=st.sampled_from(["en", "ru", "uk"]))
def test_reading_never_raises(text: str, kind: AnswerKind, language: str) -> None:
    parsed = read_answer(Reply(text=text), AnswerRules(kind=kind, today=MONDAY, language=language))
    assert (parsed.value is None) is bool(parsed.problem)


@given(text=MESSY, labels=st.lists(MESSY, max_size=6))
def test_matching_never_raises_and_finds_only_what_is_there(text: str, labels: list[str]) -> None:
    found = match_choice(text, [Choice(f"o_{i}", label) for i, label in enumerate(labels)])
    assert found is None or found in {f"o_{i}" for i in range(len(labels))}
    best, score = closest(text, {f"c_{i}": [label] for i, label in enumerate(labels)})
    assert 0 <= score <= 1
    assert bool(best) is (score > 0)


@given(text=st.text(min_size=1, max_size=30).filter(lambda t: t.strip() and any(c.isalpha() for c in t)))
@example(text=":2A")
def test_an_option_is_found_by_its_own_name(text: str) -> None:
    assert match_choice(text, [Choice("it", text), Choice("rest", "~")]) == "it"
