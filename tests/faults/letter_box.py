"""Reads the receivers' books while they are written, and hands each message to the conversation it belongs to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS = 0.05


class LetterBox:
    """`listeners`: recipient → what hears of a message that was taken in."""

    def __init__(self, path: Path) -> None:
        self.listeners: dict[str, Callable[[dict[str, Any]], None]] = {}
        self._path = path
        self._place = 0

    async def run(self) -> None:
        """For ever."""
        while True:
            self.look()
            await asyncio.sleep(SECONDS)

    def look(self) -> None:
        """What is new; a line that is still being written waits."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._place)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._place += len(line)
                entry = json.loads(line)
                listener = self.listeners.get(entry.get("to", ""))
                if listener is not None and entry["kind"] == "arrived" and entry["accepted"]:
                    listener(entry)
