"""The outside of a helper process: libraries with global state, long computations and licences of their own live there."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors._processes.wire import HEAD, Message, pack
from graph_runtime.contract.errors import BadAnswer, Refused, Unreachable

START_SECONDS = 120.0
_ROOT = Path(__file__).parents[2]
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH", "POCKETSPHINX_PATH")
"""A helper gets no secret of this process."""


@dataclass(frozen=True, slots=True)
class Manner:
    """What a person reads of a helper that ended or did not begin in time, and how long after its cancellation a job that
    still runs ends the helper."""

    crashed: str
    slow: str
    cancel_seconds: float = 3.0


class Job:
    """One job in a helper."""

    def __init__(self, helper: Helper, number: int) -> None:
        self._helper = helper
        self._number = number
        self.answers: asyncio.Queue[Message | None] = asyncio.Queue()
        self.is_over = False

    def audio(self, pcm: bytes) -> None:
        """Send audio; nothing when the helper is gone."""
        self._helper.send({"do": "audio", "id": self._number}, pcm)

    def finish(self) -> None:
        """No more audio will come."""
        self._helper.send({"do": "finish", "id": self._number})

    async def results(self) -> AsyncIterator[Message]:
        """What the helper answers, until it is done.

        Raises: BadAnswer (it crashed or could not), Refused
        """
        while True:
            message = await self.answers.get()
            if message is None:
                raise BadAnswer(self._helper.manner.crashed)
            head = message[0]
            if "end" not in head:
                yield message
                continue
            if "misfit" in head:
                raise Refused(head["misfit"])
            if "error" in head:
                raise BadAnswer(self._helper.manner.crashed)
            return

    def cancel(self) -> None:
        """Nobody wants the rest."""
        if not self.is_over:
            self._helper.cancel(self._number)


class Helper:
    """One process, started at its first job and again after its end; belongs to one event loop."""

    def __init__(self, module: str, setup: dict[str, Any], manner: Manner) -> None:
        self.manner = manner
        self._module = module
        self._setup = setup
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)
        self._jobs: dict[int, Job] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}

    @property
    def load(self) -> int:
        """Jobs that are not done."""
        return len(self._jobs)

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        return self._process.pid if self._process is not None else None

    async def begin(self, asked: dict[str, Any]) -> Job:
        """Hand over a job. Raises: Refused (it cannot be loaded), Unreachable."""
        await self.start()
        number = next(self._numbers)
        job = self._jobs[number] = Job(self, number)
        self.send({"do": "job", "id": number, **asked})
        return job

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Write a message; the pipe's buffer is ours, so this never waits."""
        process = self._process
        if process is not None and process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(pack(head, body))

    def cancel(self, number: int) -> None:
        """Ask the helper to drop a job, and end it when it does not."""
        if number in self._jobs and number not in self._timers:
            self.send({"do": "cancel", "id": number})
            self._timers[number] = asyncio.get_running_loop().call_later(self.manner.cancel_seconds, self._kill)

    async def start(self) -> None:
        """Have the process ready; it goes on getting ready when the asker is cancelled. Raises: Refused, Unreachable."""
        while self._process is None:
            starting = self._starting
            if starting is None or starting.done():
                starting = self._starting = asyncio.create_task(self._start())
                starting.add_done_callback(_look_at)
            try:
                await asyncio.shield(starting)
            except asyncio.CancelledError:
                asker = asyncio.current_task()
                if starting.cancelled() and asker is not None and not asker.cancelling():
                    raise Unreachable(self.manner.crashed) from None  # it was closed; the asker was not
                raise

    async def _start(self) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", self._module,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=self._environment(),
            )  # fmt: skip
            try:
                await self._wait_until_ready(process)
            except BaseException:
                _end(process)
                await process.wait()
                raise
            self._process = process
            self._reading = asyncio.create_task(self._read(process))
        finally:
            self._starting = None

    async def _wait_until_ready(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        process.stdin.write(pack(self._setup))
        try:
            async with asyncio.timeout(START_SECONDS):
                message = await _read(process)
        except TimeoutError:
            raise Unreachable(self.manner.slow) from None
        if message is None:
            raise Unreachable(self.manner.crashed)
        if "failed" in message[0]:
            raise Refused(message[0]["failed"])

    def _environment(self) -> dict[str, str]:
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return passed | {"PYTHONPATH": str(_ROOT), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(OSError, ValueError):
            while (message := await _read(process)) is not None:
                self._deliver(message)
        if self._process is process:
            self._process = None
        self._forget_all()
        _end(process)
        await process.wait()

    def _deliver(self, message: Message) -> None:
        number = message[0]["id"]
        job = self._jobs.get(number)
        if job is not None:
            if "end" in message[0]:
                self._forget(number)
            job.answers.put_nowait(message)

    def _forget(self, number: int) -> None:
        self._jobs.pop(number).is_over = True
        if (timer := self._timers.pop(number, None)) is not None:
            timer.cancel()

    def _forget_all(self) -> None:
        for number, job in list(self._jobs.items()):
            self._forget(number)
            job.answers.put_nowait(None)

    def _kill(self) -> None:
        if self._process is not None:
            _end(self._process)
            self._process = None

    async def aclose(self) -> None:
        """End the process; jobs that run end with an error."""
        if (starting := self._starting) is not None:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        self._kill()
        reading, self._reading = self._reading, None
        if reading is not None:
            await reading


class Pool:
    """Several helpers of one kind; a job goes to the one with the least to do."""

    def __init__(self, module: str, setup: dict[str, Any], size: int, manner: Manner) -> None:
        self._helpers = [Helper(module, setup, manner) for _ in range(size)]

    async def begin(self, asked: dict[str, Any]) -> Job:
        """As `Helper.begin`."""
        return await min(self._helpers, key=lambda h: h.load).begin(asked)

    async def start(self) -> None:
        """Have all processes ready. Raises: Refused, Unreachable."""
        for helper in self._helpers:
            await helper.start()

    @property
    def pids(self) -> list[int]:
        """Of the running processes."""
        return [h.pid for h in self._helpers if h.pid is not None]

    async def aclose(self) -> None:
        """End all processes."""
        for helper in self._helpers:
            await helper.aclose()


def _look_at(starting: asyncio.Task[None]) -> None:
    """Nobody may be left who waits for it; whoever asks next starts anew."""
    if not starting.cancelled():
        starting.exception()


async def _read(process: asyncio.subprocess.Process) -> Message | None:
    stream = process.stdout
    assert stream is not None
    try:
        of_head, of_body = HEAD.unpack(await stream.readexactly(HEAD.size))
        return json.loads(await stream.readexactly(of_head)), await stream.readexactly(of_body)
    except asyncio.IncompleteReadError:
        return None


def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
