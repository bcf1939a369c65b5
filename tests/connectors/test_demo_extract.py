"""The demo model finds typed fields in three languages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.asking import ask

FIELDS = [
    {"name": "name", "type": "text", "label": "Name", "hint": ""},
    {"name": "email", "type": "email"},
    {"name": "phone", "type": "phone"},
    {"name": "guests", "type": "integer", "label": "Guests", "hint": "how many people"},
    {"name": "date", "type": "date"},
    {"name": "time", "type": "time"},
]


@pytest.mark.parametrize(
    ("language", "said", "expected"),
    [
        (
            "en",
            "My name is Anna Smith, table for 4 people tomorrow at 7:30 pm, anna@x.com, +1 (415) 555-0101",
            ["Anna Smith", "anna@x.com", "+14155550101", 4, "2026-11-22", "19:30"],
        ),
        (
            "ru",
            "Меня зовут Пётр, нас будет трое, 25 ноября в 18:00, тел 8 916 123-45-67",
            ["Пётр", None, "89161234567", 3, "2026-11-25", "18:00"],
        ),
        (
            "uk",
            "Мене звати Олена Коваль, нас двоє, у п'ятницю о 12:15, olena@ukr.net",
            ["Олена Коваль", "olena@ukr.net", None, 2, "2026-11-27", "12:15"],
        ),
        ("en", "hello there", [None] * 6),
    ],
)
@pytest.mark.asyncio
async def test_fields_are_found_by_their_form_and_never_invented(language: str, said: str, expected: list[Any]) -> None:
    hints = {"fields": FIELDS, "today": "2026-11-21"}
    _, reply = await ask(said, language, purpose="extract", hints=hints)
    assert reply.data is not None
    found = [reply.data[f["name"]] for f in FIELDS]
    assert found == expected


@pytest.mark.parametrize(
    ("said", "field", "expected"),
    [
        ("Київ", {"name": "city", "type": "text", "label": "Місто"}, "Київ"),
        ("my order is A-1234, thanks", {"name": "order_number", "type": "text"}, "A-1234"),
        ("анна", {"name": "client", "type": "text", "label": "Имя"}, "Анна"),
        ("большую, пожалуйста", {"name": "size", "type": "choice", "options": ["маленькая", "большая"]}, "большая"),
        ("ну да, конечно", {"name": "agree", "type": "boolean"}, True),
        ("ні, дякую", {"name": "agree", "type": "boolean"}, False),
        ("1 250,50 грн", {"name": "sum", "type": "number"}, 1250.5),
        ("31.12.2026", {"name": "day", "type": "date"}, "2026-12-31"),
        ("31.02.2026", {"name": "day", "type": "date"}, None),
        ("5 травня", {"name": "day", "type": "date"}, "2027-05-05"),
    ],
)
@pytest.mark.asyncio
async def test_one_field_at_a_time(said: str, field: dict[str, Any], expected: Any) -> None:
    _, reply = await ask(said, purpose="extract", hints={"fields": [field], "today": "2026-11-21"})
    assert reply.data == {field["name"]: expected}


@pytest.mark.asyncio
async def test_without_hints_the_schema_says_what_to_look_for() -> None:
    schema = {
        "type": "object",
        "properties": {
            "email": {"anyOf": [{"type": "string", "format": "email"}, {"type": "null"}]},
            "guests": {"type": ["integer", "null"]},
            "size": {"type": ["string", "null"], "enum": ["small", "large", None]},
        },
    }
    _, reply = await ask("the large room for 12, mail to a@b.org", purpose="extract", schema=schema)
    assert reply.data == {"email": "a@b.org", "guests": 12, "size": "large"}
    _, reply = await ask("hm", purpose="extract", schema=schema)
    assert reply.data == {"email": None, "guests": None, "size": None}


@pytest.mark.asyncio
async def test_the_field_just_asked_for_takes_a_bare_answer() -> None:
    fields = [{"id": "v_1", "label": "City", "type": "text"}, {"id": "v_2", "label": "Toppings", "type": "list"}]
    hints = {"text": "cheese, ham and olives", "fields": fields, "asked": "v_2"}
    _, reply = await ask("…", purpose="extract", hints=hints)
    assert reply.data == {"v_1": None, "v_2": ["cheese", "ham", "olives"]}


@pytest.mark.asyncio
async def test_the_day_in_the_instructions_is_today() -> None:
    hints = {"fields": [{"id": "day", "type": "date"}]}
    _, reply = await ask("tomorrow", "en", "Today is 2030-01-31.", purpose="extract", hints=hints)
    assert reply.data == {"day": "2030-02-01"}
