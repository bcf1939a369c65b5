"""One `Listening` for all transcribers: frames go in, a task of the vendor's makes transcripts, an error ends it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from connectors._speech.errors import BEHIND, SLOW, UNREADABLE
from connectors._speech.waiting import half_sample
from graph_runtime.contract.errors import BadAnswer, ConnectorError, Unreachable
from graph_runtime.contract.speech import BACKLOG_SECONDS, ListenRequest, Transcript

LONGEST_SECONDS = 300.0
"""Of an utterance that is collected before it is recognised."""

Frames = AsyncIterator[bytes]
Recognise = Callable[[Frames], AsyncGenerator[Transcript, None]]


class TaskListening:
    """`recognise` takes the frames until the utterance is over and yields its transcripts; it is closed in any case."""

    def __init__(self, request: ListenRequest, recognise: Recognise) -> None:
        self._request = request
        self._in: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._out: asyncio.Queue[Transcript | ConnectorError | None] = asyncio.Queue()
        self._waiting = 0
        self._is_over = False
        self._limit = asyncio.timeout(None)
        self._finished_at: float | None = None
        self._is_timing = False
        self._task = asyncio.create_task(self._run(recognise))

    def feed(self, pcm: bytes) -> None:
        """As in the contract."""
        half_sample(pcm)
        if self._is_over or not pcm:
            return
        self._waiting += len(pcm)
        if self._waiting > BACKLOG_SECONDS * self._request.rate * 2:
            self._fail(Unreachable(BEHIND))
            return
        self._in.put_nowait(pcm)

    def finish(self) -> None:
        """As in the contract."""
        if not self._is_over:
            self._is_over = True
            self._in.put_nowait(None)
            self._finished_at = asyncio.get_running_loop().time()
            if self._is_timing:
                self._limit.reschedule(self._finished_at + self._request.seconds)

    async def transcripts(self) -> AsyncIterator[Transcript]:
        """As in the contract."""
        while (item := await self._out.get()) is not None:
            if isinstance(item, ConnectorError):
                raise item
            yield item

    async def aclose(self) -> None:
        """As in the contract."""
        self._is_over = True
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(self._task, return_exceptions=True)
        self._out.put_nowait(None)

    def _fail(self, error: ConnectorError) -> None:
        self._is_over = True
        self._task.cancel()
        self._out.put_nowait(error)

    async def _frames(self) -> Frames:
        while (pcm := await self._in.get()) is not None:
            self._waiting -= len(pcm)
            yield pcm

    async def _run(self, recognise: Recognise) -> None:
        has_final = False
        end: ConnectorError | None = None
        try:
            async with self._limit, contextlib.aclosing(recognise(self._frames())) as found:
                self._is_timing = True
                if self._finished_at is not None:
                    self._limit.reschedule(self._finished_at + self._request.seconds)
                async for transcript in found:
                    has_final = has_final or transcript.is_final
                    self._out.put_nowait(transcript)
            if not has_final:
                self._out.put_nowait(Transcript("", is_final=True, language=self._request.language))
        except TimeoutError:
            end = Unreachable(SLOW)
        except ConnectorError as error:
            end = error
        except Exception:  # noqa: BLE001  # vendors' libraries raise anything; whoever listens must not wait for ever
            end = BadAnswer(UNREADABLE)
        self._is_over = True
        self._out.put_nowait(end)


async def collect(frames: Frames, rate: int) -> bytes:
    """The whole utterance. Raises: Unreachable when it is longer than LONGEST_SECONDS."""
    pcm = bytearray()
    async for piece in frames:
        pcm += piece
        if len(pcm) > LONGEST_SECONDS * rate * 2:
            raise Unreachable(BEHIND)
    return bytes(pcm)
