"""Phrases are made once, kept within bounds, and survive in the folder when they were prewarmed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graph_runtime.contract.errors import Unreachable
from graph_runtime.contract.speech import Audio, SpeakRequest
from graph_runtime.services.phrase_cache import PhraseCache

pytestmark = pytest.mark.asyncio


class Speaker:
    """A synthesizer that counts."""

    provider = "fake"
    name = "fake"

    def __init__(self) -> None:
        self.asked: list[SpeakRequest] = []
        self.closed = 0

    async def speak(self, request: SpeakRequest) -> AsyncIterator[Audio]:
        self.asked.append(request)
        if request.text == "broken":
            raise Unreachable("down")
        try:
            for letter in request.text:
                yield Audio(letter.encode("utf-16-le"), 8000)
        finally:
            self.closed += 1

    async def warm_up(self) -> None:
        """Nothing."""

    async def aclose(self) -> None:
        """Nothing."""


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


async def said(cache: PhraseCache, speaker: Speaker, text: str, **more: str) -> bytes:
    return b"".join([a.pcm async for a in cache.speak(speaker, SpeakRequest(text, **more))])  # type: ignore[arg-type]


async def test_a_phrase_is_made_once() -> None:
    cache, speaker = PhraseCache(), Speaker()
    assert await said(cache, speaker, "Hello") == await said(cache, speaker, "Hello") == "Hello".encode("utf-16-le")
    assert len(speaker.asked) == 1
    await said(cache, speaker, "Hello", voice="other")
    await said(cache, speaker, "Hello", language="uk")
    assert len(speaker.asked) == 3


async def test_memory_is_bounded_and_the_oldest_goes() -> None:
    cache, speaker = PhraseCache(memory_bytes=20), Speaker()
    for text in ("aaaa", "bbbb", "cccc", "aaaa"):
        await said(cache, speaker, text)
    assert [r.text for r in speaker.asked] == ["aaaa", "bbbb", "cccc", "aaaa"]
    await said(cache, speaker, "cccc")
    assert len(speaker.asked) == 4


async def test_an_interruption_stops_the_synthesizer_and_keeps_nothing() -> None:
    cache, speaker = PhraseCache(), Speaker()
    source = cache.speak(speaker, SpeakRequest("Hello"))
    await anext(source)
    await source.aclose()  # type: ignore[attr-defined]
    assert speaker.closed == 1
    assert await said(cache, speaker, "Hello") == "Hello".encode("utf-16-le")
    assert len(speaker.asked) == 2


async def test_prewarmed_phrases_survive_in_the_folder(tmp_path: Path) -> None:
    speaker = Speaker()
    requests = [SpeakRequest("Hello"), SpeakRequest("Bye"), SpeakRequest("broken"), SpeakRequest("Hello")]
    assert await PhraseCache(tmp_path / "phrases").prewarm(speaker, requests) == 2
    assert len(speaker.asked) == 3
    cache = PhraseCache(tmp_path / "phrases")
    assert await said(cache, speaker, "Bye") == "Bye".encode("utf-16-le")
    assert len(speaker.asked) == 3
    for file in (tmp_path / "phrases").iterdir():
        file.write_bytes(b"\x00\x00\x01")
    assert await said(PhraseCache(tmp_path / "phrases"), speaker, "Bye") == "Bye".encode("utf-16-le")
    assert len(speaker.asked) == 4


async def test_the_folder_is_bounded(tmp_path: Path) -> None:
    cache = PhraseCache(tmp_path, folder_bytes=60)
    await cache.prewarm(Speaker(), [SpeakRequest(c * 8) for c in "abcdef"])
    assert 0 < size_of(tmp_path) <= 60
