"""The outside of the reading process: started with the first file, ended after a pause, replaced when it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass
from typing import Any, Final

from graph_runtime.knowledge.reading_process import HEAD, pack_head
from graph_runtime.knowledge.splitting import Passage
from graph_runtime.places import without_secrets

MODULE: Final = "graph_runtime.knowledge.reading_process"
START_SECONDS: Final = 120.0
FILE_SECONDS: Final = 180.0
IDLE_SECONDS: Final = 120.0
PART_BYTES: Final = 1_000_000
FILES_PER_PROCESS: Final = 200
"""Then a fresh one: what libraries leak goes with it."""
"""It gets no secret of this process."""


class NotRead(Exception):
    """Why a document gave no passages: a code with a sentence in every language, and what it is about."""

    def __init__(self, code: str, about: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.about = about[:300]


@dataclass(frozen=True, slots=True)
class Read:
    """What a file says. `language`: "en", "ru", "uk" or ""; `pictures`: pages that are pictures without text."""

    title: str
    language: str
    passages: tuple[Passage, ...]
    pictures: tuple[int, ...] = ()


class Reader:
    """One process for one worker; files are read one after the other."""

    def __init__(self, *, file_seconds: float = FILE_SECONDS, idle_seconds: float = IDLE_SECONDS) -> None:
        self._file_seconds = file_seconds
        self._idle_seconds = idle_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._files = 0
        self._turn = asyncio.Lock()
        self._idle: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        return self._process.pid if self._process is not None else None

    async def read(self, content: bytes, name: str, extension: str = "") -> Read:
        """Raises: NotRead (its code: what conversion found, or too_slow, crashed)."""
        async with self._turn:
            if self._idle is not None:
                self._idle.cancel()
            try:
                return await self._read(content, name, extension)
            except BaseException as error:
                if not isinstance(error, NotRead) or error.code in ("too_slow", "crashed"):
                    await self._end()
                raise
            finally:
                if self._files >= FILES_PER_PROCESS:
                    await self._end()
                if self._process is not None:
                    self._idle = asyncio.create_task(self._end_when_idle(), name="reader idle")

    async def close(self) -> None:
        """End the process."""
        async with self._turn:
            if self._idle is not None:
                self._idle.cancel()
                await asyncio.gather(self._idle, return_exceptions=True)
            await self._end()

    async def _read(self, content: bytes, name: str, extension: str) -> Read:
        process = self._process or await self._start()
        assert process.stdin is not None
        self._files += 1
        passages: list[Passage] = []
        try:
            async with asyncio.timeout(self._file_seconds):
                process.stdin.write(pack_head({"name": name, "extension": extension}, len(content)))
                for at in range(0, len(content), PART_BYTES):  # what is written at once is copied
                    process.stdin.write(content[at : at + PART_BYTES])
                    await process.stdin.drain()
                while True:
                    head = await _receive(process)
                    if "error" in head:
                        raise NotRead(head["error"], head["about"])
                    if "end" in head:
                        return Read(head["title"], head["language"], tuple(passages), tuple(head["pictures"]))
                    passages += [Passage(text, heading, page) for text, heading, page in head["passages"]]
        except TimeoutError:
            raise NotRead("too_slow") from None
        except (asyncio.IncompleteReadError, OSError):
            raise NotRead("crashed") from None

    async def _start(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", MODULE,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env=without_secrets() | {"HAYSTACK_TELEMETRY_ENABLED": "False", "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        self._process, self._files = process, 0
        try:
            async with asyncio.timeout(START_SECONDS):
                await _receive(process)
        except TimeoutError:
            raise NotRead("too_slow") from None
        except asyncio.IncompleteReadError:
            raise NotRead("crashed") from None
        return process

    async def _end_when_idle(self) -> None:
        await asyncio.sleep(self._idle_seconds)
        async with self._turn:
            self._idle = None
            await self._end()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


async def _receive(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    of_head, of_body = HEAD.unpack(await process.stdout.readexactly(HEAD.size))
    head: dict[str, Any] = json.loads(await process.stdout.readexactly(of_head))
    await process.stdout.readexactly(of_body)
    return head
