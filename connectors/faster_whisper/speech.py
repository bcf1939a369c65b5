"""The transcriber: a pool of processes, each with the model."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from connectors._processes.child_process import Pool
from connectors._speech.helping import SPEECH
from connectors._speech.listening import Frames, TaskListening
from graph_runtime.contract.speech import ListenRequest, Transcript


class WhisperTranscriber:
    """Whole sentences in a hundred languages, after the caller has finished."""

    provider = "faster_whisper"

    def __init__(self, name: str, setup: dict[str, Any], processes: int) -> None:
        self.name = name
        self._pool = Pool("connectors.faster_whisper.whisper_process", setup, processes, SPEECH)

    def listen(self, request: ListenRequest) -> TaskListening:
        """As in the contract."""
        return TaskListening(request, lambda frames: self._recognise(request, frames))

    async def _recognise(self, request: ListenRequest, frames: Frames) -> AsyncGenerator[Transcript, None]:
        pieces = [pcm async for pcm in frames]
        hints = ", ".join(dict.fromkeys([*request.options, *request.hints]))
        # Only now: a process does one job after the other and must not wait for somebody who still speaks.
        job = await self._pool.begin({"rate": request.rate, "language": request.language, "hints": hints[:1000]})
        try:
            job.audio(b"".join(pieces))
            job.finish()
            async for head, _ in job.results():
                yield Transcript(head["text"], True, head["confidence"], head["language"])
        finally:
            job.cancel()

    async def warm_up(self) -> None:
        """Start the processes and load the model."""
        await self._pool.start()

    async def aclose(self) -> None:
        """End the processes."""
        await self._pool.aclose()
