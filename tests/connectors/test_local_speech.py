"""The libraries on this machine: espeak-ng speaks, pocketsphinx understands it; Whisper's two windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soxr

from connectors._processes.child_process import Helper
from connectors._speech.helping import SPEECH
from connectors.faster_whisper.connector import Settings, check, transcriber
from connectors.faster_whisper.texts import NO_MODEL
from connectors.offline_speech.speech import EspeakSynthesizer, SphinxTranscriber
from graph_runtime.contract.errors import Refused
from tests.connectors.speech_wires import finals, hear, needs_offline, numbers, speak
from tests.fakes import tiny_whisper

pytestmark = pytest.mark.asyncio
QUESTIONS = (
    ("yes", "no", "yes please"),
    ("sales", "support", "opening hours"),
    ("I want to book a table", "cancel my order", "where is my delivery?"),
)
OTHERS = ("lovely evening outside", "purple elephants", "tomorrow afternoon")


def as_phone(pcm: bytes, rate: int) -> bytes:
    """At 8 kHz, as the telephone brings it."""
    samples = soxr.resample(np.frombuffer(pcm, "<i2").astype(np.float32), rate, 8000)
    return bytes(np.clip(np.round(samples), -32768, 32767).astype("<i2").tobytes())


@needs_offline
@pytest.mark.parametrize("options", QUESTIONS, ids=lambda o: o[0])
async def test_spoken_answers_are_understood_and_others_are_not_taken_for_them(options: tuple[str, ...]) -> None:
    voice, ear = EspeakSynthesizer(), SphinxTranscriber()
    heard, rejected = [], 0
    try:
        for phrase in (*options, *OTHERS):
            pcm, rates = await speak(voice, phrase, voice="gmw/en-US")
            assert rates == {22_050}
            found = finals(await hear(ear, as_phone(pcm, 22_050), options=options))
            if phrase in options:
                heard.append(found)
            else:
                rejected += found == ""
    finally:
        await voice.aclose()
        await ear.aclose()
    assert tuple(heard) == options
    assert rejected >= 2


@needs_offline
async def test_what_offline_speech_cannot_do_is_said() -> None:
    voice, ear = EspeakSynthesizer(), SphinxTranscriber()
    with pytest.raises(Refused):
        await hear(ear, numbers(1, 5), language="uk", options=("так",))
    with pytest.raises(Refused):
        await hear(ear, numbers(1, 5), options=("Zzyzxqqq",))
    with pytest.raises(Refused):
        await speak(voice, "こんにちは", language="ja")
    await voice.aclose()
    await ear.aclose()


async def test_a_short_answer_needs_a_short_window_and_a_poor_one_the_whole(tmp_path: Path) -> None:
    model = tiny_whisper.make(tmp_path / "model")
    rng = np.random.default_rng(1)
    pcm = rng.normal(0, 3000, 16_000).astype("<i2").tobytes()
    for poor, window in ((-1000.0, 4.0), (1000.0, 30.0)):
        setup = {"model": str(model), "may_download": False, "compute_type": "float32", "poor": poor}
        helper = Helper("connectors.faster_whisper.whisper_process", setup, SPEECH)
        job = await helper.begin({"rate": 8000, "language": "uk-UA", "hints": "Київ, Львів"})
        job.audio(pcm)
        job.finish()
        answers = [head async for head, _ in job.results()]
        await helper.aclose()
        assert [a["window"] for a in answers] == [window]
        assert answers[0]["language"] == "en", "a model that knows English only"
        assert 0 <= answers[0]["confidence"] <= 1


async def test_hints_change_what_whisper_is_asked(tmp_path: Path) -> None:
    model = tiny_whisper.make(tmp_path / "model")
    one = transcriber(Settings(model=str(model), compute_type="float32"), "")
    pcm = np.random.default_rng(1).normal(0, 3000, 16_000).astype("<i2").tobytes()
    plain = finals(await hear(one, pcm))
    assert finals(await hear(one, pcm)) == plain
    assert finals(await hear(one, pcm, hints=("a quite different beginning",))) != plain
    await one.aclose()


async def test_a_model_that_is_not_there_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(Refused, match=NO_MODEL[:30]):
        await check(Settings(model="tiny"))
    with pytest.raises(Refused):
        await check(Settings(model=str(tmp_path / "nothing")))


async def test_the_check_loads_the_model(tmp_path: Path) -> None:
    assert (await check(Settings(model=str(tiny_whisper.make(tmp_path / "model"))))).ok
