"""Connections that nobody closed say where they came from. They are warned about when they are collected, which happens in
the middle of another test, in another file."""

from __future__ import annotations

import asyncio.selector_events
import os
from typing import Any

_Transport: Any = asyncio.selector_events._SelectorTransport  # type: ignore[attr-defined]


def name_them() -> None:
    """From now on a transport's description names the test that opened it, and what speaks on it to whom."""
    opened, shown = _Transport.__init__, _Transport.__repr__

    def open_(self: Any, *args: Any, **kwargs: Any) -> None:
        self._opened_in = os.environ.get("PYTEST_CURRENT_TEST", "no test")
        opened(self, *args, **kwargs)

    def show(self: Any) -> str:
        speaker = type(getattr(self, "_protocol", None)).__qualname__
        ends = " to ".join(str(self.get_extra_info(end)) for end in ("sockname", "peername"))
        return f"{shown(self)} of {speaker}, {ends}, opened in {getattr(self, '_opened_in', 'no test')}"

    _Transport.__init__, _Transport.__repr__ = open_, show
