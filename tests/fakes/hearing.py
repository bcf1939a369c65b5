"""Voice messages as messengers send them, and a transcriber that says how long what it heard was."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import av
import numpy as np

from graph_runtime.contract.speech import ListenRequest, Transcript
from graph_runtime.services.voice_messages import RATE

KINDS = {
    "audio/ogg": ("ogg", "libopus", 48_000), "audio/mpeg": ("mp3", "libmp3lame", 44_100),
    "audio/wav": ("wav", "pcm_s16le", 8_000), "audio/mp4": ("mp4", "aac", 44_100), "video/webm": ("webm", "libopus", 48_000),
    "video/mp4": ("mp4", "aac", 48_000),
}  # fmt: skip


def recording(mime: str, seconds: float, tone: float = 440.0) -> bytes:
    """A tone, as a messenger would send it."""
    container, codec, rate = KINDS[mime]
    wave = (np.sin(np.arange(int(rate * seconds)) * 2 * np.pi * tone / rate) * 12_000).astype(np.int16)
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream: Any = file.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        frame.rate = rate
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate, frame_size=stream.frame_size or 0)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(piece))
        file.mux(stream.encode(None))
    return out.getvalue()


class Hears:
    """A transcriber, and who has chosen it. Says how long what it heard was."""

    provider = name = "fake"

    def __init__(self) -> None:
        self.asked: list[tuple[ListenRequest, int]] = []
        self.error: Exception | None = None
        self.is_chosen = True

    async def chosen_transcriber(self, workspace_id: str, agent_id: str) -> Any:
        return self if self.is_chosen else None

    def listen(self, request: ListenRequest) -> Any:
        return _Listening(self, request)


class _Listening:
    def __init__(self, hears: Hears, request: ListenRequest) -> None:
        self._hears, self._request, self._pcm = hears, request, b""

    def feed(self, pcm: bytes) -> None:
        self._pcm += pcm

    def finish(self) -> None:
        self._hears.asked.append((self._request, len(self._pcm)))

    async def transcripts(self) -> AsyncIterator[Transcript]:
        if self._hears.error is not None:
            raise self._hears.error
        yield Transcript("I", is_final=False)
        yield Transcript(f"I need {len(self._pcm) / 2 / RATE:.0f} chairs", is_final=True)

    async def aclose(self) -> None:
        pass
