"""What a worker's turns show while they run (typing, pieces of text), told to watchers in other processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Final

import psycopg
import structlog

from graph_runtime.storage.news import Direct, News

log = structlog.get_logger(__name__)
SHOW_CHANNEL: Final = "patchcord_show"
GATHER_SECONDS: Final = 0.05
MOST_BYTES: Final = 7000
"""PostgreSQL refuses notifications of 8000 bytes."""
SHOWN: Final = frozenset({"typing", "delta", "reset", "said", "turn", "ended", "step", "error", "times", "cut"})
OF_TESTS: Final = frozenset({"variables", "outside"})
"""Shown elsewhere only of test conversations: nobody watches these of others.

Messages are not among them: their seq is news, and whoever watches reads them from the table."""


class Show:
    """Only while another process listens to news. What is lost is a show, never a message."""

    def __init__(self, database: Direct, news: News, owner: int) -> None:
        self._database = database
        self._news = news
        self._owner = str(owner)
        self._waiting: list[tuple[str, dict[str, Any]]] = []
        self._telling: asyncio.Task[None] | None = None

    @property
    def is_watched(self) -> bool:
        """Whether anybody may be watching."""
        return self._news.is_heard

    def tell(self, conversation_id: str, event: dict[str, Any]) -> None:
        """Pieces of one text are put together before they travel. A turn's end is also news of its messages."""
        kind = event["type"]
        if not self._news.is_heard or (kind not in SHOWN and not (kind in OF_TESTS and event.get("is_test"))):
            return
        if self._waiting and event["type"] == "delta":
            last_id, last = self._waiting[-1]
            if last_id == conversation_id and last["type"] == "delta" and last["key"] == event["key"]:
                self._waiting[-1] = (conversation_id, last | {"text": last["text"] + event["text"]})
                return
        self._waiting.append((conversation_id, event))
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell(), name="show")

    async def close(self) -> None:
        """Tell what is left."""
        if self._telling is not None:
            await self._telling

    async def _tell(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(GATHER_SECONDS)
                waiting, self._waiting = self._waiting, []
                async with self._database.direct() as connection:
                    await connection.execute(_TELL, ([*payloads(waiting, self._owner)],))
        except psycopg.Error as error:
            log.warning("show_lost", error=type(error).__name__)
        finally:
            self._telling = None


def payloads(waiting: list[tuple[str, dict[str, Any]]], owner: str) -> Iterator[str]:
    """Events as few texts, none of them too long; an event that alone is too long is left out."""
    batch: list[str] = []
    size = 0
    for conversation_id, event in waiting:
        before = [{"type": "seq", "seq": 2**31}] if event["type"] == "turn" else []
        for shown in (*before, *_pieces(event)):
            text = json.dumps([conversation_id, shown], ensure_ascii=False, separators=(",", ":"))
            length = len(text.encode("utf-8", "replace")) + 1
            if length > MOST_BYTES:
                continue
            if size + length > MOST_BYTES:
                yield _joined(owner, batch)
                batch, size = [], 0
            batch.append(text)
            size += length
    if batch:
        yield _joined(owner, batch)


def _pieces(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    text = event.get("text", "")
    if event["type"] != "delta" or len(text) <= 1000:
        yield event
        return
    for start in range(0, len(text), 1000):
        yield event | {"text": text[start : start + 1000]}


def _joined(owner: str, batch: list[str]) -> str:
    return f'["{owner}",{",".join(batch)}]'


def read_show(payload: str, own: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(conversation, event) of another process; nothing of one's own or of what cannot be read."""
    try:
        owner, *events = json.loads(payload)
    except ValueError:
        return
    if owner != own:
        yield from ((str(conversation_id), event) for conversation_id, event in events)


_TELL = "SELECT pg_notify('patchcord_show', p) FROM unnest(%s::text[]) p"
