"""JSON of what is our own and known to be right: no model is asked how its fields are to be shown."""

from __future__ import annotations

import json
from typing import Any

import orjson
from fastapi.encoders import jsonable_encoder
from starlette.responses import JSONResponse


def dumps(value: Any) -> bytes:
    """As UTF-8. Models among the values are shown as FastAPI shows them."""
    try:
        return _quick(value)
    except orjson.JSONEncodeError:  # whole numbers beyond 64 bits
        return json.dumps(jsonable_encoder(value), ensure_ascii=False, separators=(",", ":")).encode()


def plain(value: Any) -> Any:
    """As JSON values: moments and ids as texts, models as objects."""
    try:
        return orjson.loads(_quick(value))
    except orjson.JSONEncodeError:
        return jsonable_encoder(value)


def _quick(value: Any) -> bytes:
    return orjson.dumps(value, default=jsonable_encoder, option=orjson.OPT_NON_STR_KEYS)


class Json(JSONResponse):
    """An answer of such values."""

    def render(self, content: Any) -> bytes:
        """Its body."""
        return dumps(content)
