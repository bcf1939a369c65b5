"""What is written quickly reads as what FastAPI would have written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from fastapi.encoders import jsonable_encoder
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.api.plain_json import Json, dumps, plain
from graph_runtime.contract.messages import Text

MOMENT = datetime(2026, 11, 27, 12, 0, 0, 1200, UTC)


@pytest.mark.parametrize(
    "value",
    [
        {
            "at": MOMENT,
            "whole": MOMENT.replace(microsecond=0),
            "there": MOMENT.astimezone(timezone(timedelta(hours=2))),
        },
        {"id": UUID(int=7), "of": (1, 2.5, None, True), "set": {"a"}, 3: "a key that is a number"},
        {"parts": [Text(text="Привіт 💬")]},
        {"large": 2**70, "at": MOMENT, "id": UUID(int=1)},
    ],
    ids=["moments", "ids and kinds", "models", "large numbers"],
)
def test_values_are_shown_as_before(value: dict[Any, Any]) -> None:
    shown = json.loads(json.dumps(jsonable_encoder(value)))
    assert plain(value) == shown
    assert json.loads(dumps(value)) == shown
    assert json.loads(bytes(Json(value).body)) == shown


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda part: st.lists(part) | st.dictionaries(st.text(), part),
    )
)
def test_json_stays_what_it_is(value: Any) -> None:
    assert plain(value) == value
    assert json.loads(dumps(value)) == value
