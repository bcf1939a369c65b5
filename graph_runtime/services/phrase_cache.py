"""Speech that was made before: in memory for whatever is said often, in a folder for what a published flow always says."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import struct
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Final

from graph_runtime.contract.errors import ConnectorError
from graph_runtime.contract.speech import Audio, SpeakRequest, Synthesizer

MEMORY_BYTES: Final = 64 * 1024 * 1024
FOLDER_BYTES: Final = 256 * 1024 * 1024
LONGEST: Final = 300
"""Characters of a text worth remembering; longer ones are never said twice."""
_AT_ONCE: Final = 2
_HEAD: Final = struct.Struct("<I")


class PhraseCache:
    """One for a process. The folder may be shared by processes; a damaged file is made anew."""

    def __init__(
        self, folder: Path | None = None, *, memory_bytes: int = MEMORY_BYTES, folder_bytes: int = FOLDER_BYTES
    ) -> None:
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._folder_bytes = folder_bytes
        self._kept: OrderedDict[str, Audio] = OrderedDict()
        self._size = 0
        self._tidying = threading.Lock()

    async def speak(self, synthesizer: Synthesizer, request: SpeakRequest) -> AsyncIterator[Audio]:
        """As `synthesizer.speak`, at once and in one piece when the phrase is known.

        Raises: as `Synthesizer.speak`
        """
        key = _key(synthesizer, request)
        found = await self._find(key)
        if found is not None:
            if found.pcm:
                yield found
            return
        pieces: list[Audio] = []
        source = synthesizer.speak(request)
        try:
            async for audio in source:
                pieces.append(audio)
                yield audio
        finally:
            if (close := getattr(source, "aclose", None)) is not None:
                await close()  # an interruption stops the synthesizer too
        self._remember(key, request, pieces)

    async def prewarm(self, synthesizer: Synthesizer, requests: Iterable[SpeakRequest]) -> int:
        """Make phrases before they are needed and keep them in the folder; how many there are now.

        What cannot be made now is left for the call, which says so.
        """
        done = 0
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(request: SpeakRequest) -> None:
            nonlocal done
            async with gate:
                with contextlib.suppress(ConnectorError):
                    async for _ in self.speak(synthesizer, request):
                        pass
                    audio = self._kept.get(_key(synthesizer, request))
                    if audio is not None:
                        done += 1
                        if self._folder is not None:
                            await asyncio.to_thread(self._write, self._folder, _key(synthesizer, request), audio)

        async with asyncio.TaskGroup() as group:
            for request in dict.fromkeys(requests):
                group.create_task(one(request))
        return done

    async def _find(self, key: str) -> Audio | None:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if self._folder is None:
            return None
        found = await asyncio.to_thread(_read, self._folder / f"{key}.pcm")
        if found is not None:
            self._keep(key, found)
        return found

    def _remember(self, key: str, request: SpeakRequest, pieces: list[Audio]) -> None:
        if len(request.text) <= LONGEST and pieces:
            self._keep(key, Audio(b"".join(p.pcm for p in pieces), pieces[0].rate))

    def _keep(self, key: str, audio: Audio) -> None:
        if len(audio.pcm) > self._memory_bytes or key in self._kept:
            return
        self._kept[key] = audio
        self._size += len(audio.pcm)
        while self._size > self._memory_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._size -= len(oldest.pcm)

    def _write(self, folder: Path, key: str, audio: Audio) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            unfinished = folder / f"{key}.{os.getpid()}"
            unfinished.write_bytes(_HEAD.pack(audio.rate) + audio.pcm)
            unfinished.replace(folder / f"{key}.pcm")
            self._tidy(folder)
        except OSError:  # a full or missing disk makes phrases slower, nothing else
            return

    def _tidy(self, folder: Path) -> None:
        # Threads write side by side; two that tidy at once would stumble over each other's files.
        with self._tidying:
            files = sorted(((f.stat().st_mtime, f.stat().st_size, f) for f in folder.glob("*.pcm")), key=lambda f: f[0])
            size = sum(f[1] for f in files)
            for _, bytes_, file in files:
                if size <= self._folder_bytes:
                    return
                file.unlink(missing_ok=True)
                size -= bytes_


def _key(synthesizer: Synthesizer, request: SpeakRequest) -> str:
    parts = [
        synthesizer.provider, synthesizer.name, request.voice, request.language, request.rate, request.speed, request.text,
    ]  # fmt: skip
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=20).hexdigest()


def _read(file: Path) -> Audio | None:
    try:
        raw = file.read_bytes()
    except OSError:
        return None
    if len(raw) <= _HEAD.size or len(raw) % 2:
        return None
    return Audio(raw[_HEAD.size :], _HEAD.unpack_from(raw)[0])
