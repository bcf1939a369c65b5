"""Recordings that a call plays: files of its own conversation, and files at public addresses, fetched once in a while."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from typing import Final, Protocol
from urllib.parse import urlsplit

from graph_runtime.contract.calls import Sound
from graph_runtime.contract.errors import InputInvalid
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.files import Files
from graph_runtime.services.principal import Principal

KEPT_BYTES: Final = 32_000_000
FRESH_SECONDS: Final = 300.0
FETCH_SECONDS: Final = 5.0
_OWN: Final = re.compile(r"/api/(?:chat/[\w-]+|builder)/files/([0-9a-f-]{36})")


class Fetches(Protocol):
    """The guarded way out; its docstrings hold."""

    async def fetch(self, url: str, *, seconds: float) -> bytes: ...


class CallSounds:
    """One for a process. Files at addresses are the same for every caller and kept for five minutes."""

    def __init__(self, files: Files, http: Fetches, public_url: str) -> None:
        self.files = files
        self._http = http
        self._host = urlsplit(public_url).netloc
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    async def content(self, access: ChannelAccess | Principal, sound: Sound) -> bytes:
        """The file as it was stored. Raises: NotFound, InputInvalid (no such place), Refused, Unreachable."""
        file_id = sound.file_id or self._own_file(sound.url)
        if file_id:
            return (await self.files.read(access, file_id)).content
        if not sound.url:
            raise InputInvalid("This message has no recording in it. Give the step an address.", field="recording_url")
        found = self._kept.get(sound.url)
        if found is not None and time.monotonic() - found[0] < FRESH_SECONDS:
            return found[1]
        content = await self._http.fetch(sound.url, seconds=FETCH_SECONDS)
        self._kept.pop(sound.url, None)
        self._kept[sound.url] = (time.monotonic(), content)
        while sum(len(kept) for _, kept in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return content

    def _own_file(self, url: str) -> str:
        """Of an address of our own file store: it is read without the way over the network, by the caller's rights."""
        parts = urlsplit(url)
        found = _OWN.fullmatch(parts.path)
        return found[1] if found and parts.netloc in ("", self._host) else ""
