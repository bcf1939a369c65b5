"""The promises every connector of speech keeps."""

from __future__ import annotations

import asyncio
import os
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from graph_runtime.contract.errors import (
    BadAnswer,
    ConnectorError,
    CredentialRejected,
    RateLimited,
    Refused,
    Unreachable,
)
from graph_runtime.contract.speech import BACKLOG_SECONDS, ListenRequest, SpeakRequest
from tests.connectors.speech_wires import (
    FAKED,
    HEARING,
    NAMES,
    SPEAKING,
    SpeechWire,
    finals,
    hear,
    make,
    numbers,
    speak,
)
from tests.fakes import google_speech, openai_speech, tiny_whisper

pytestmark = pytest.mark.asyncio
FAULTS = [
    ("rate_limited", RateLimited),
    ("unavailable", Unreachable),
    ("server_error", Unreachable),
    ("unauthorized", CredentialRejected),
    ("bad_request", Refused),
    ("not_found", Refused),
]


@pytest.fixture(scope="module")
def google() -> Iterator[google_speech.GoogleSpeech]:
    with google_speech.serving() as fake:
        yield fake


@pytest.fixture(scope="module")
def vendor() -> Iterator[openai_speech.OpenAiSpeech]:
    with openai_speech.serving() as fake:
        yield fake


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_whisper.make(tmp_path_factory.mktemp("whisper"))


@pytest_asyncio.fixture
async def wire(
    request: pytest.FixtureRequest,
    google: google_speech.GoogleSpeech,
    vendor: openai_speech.OpenAiSpeech,
    whisper: Path,
) -> AsyncIterator[SpeechWire]:
    google.fault = vendor.fault = ""
    google.left.clear()
    vendor.left.clear()
    one = make(request.param, google, vendor, whisper)
    yield one
    await one.aclose()


def each(names: tuple[str, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("wire", names, indirect=True)


@each(NAMES)
async def test_the_offer_says_what_it_is(wire: SpeechWire) -> None:
    connector = wire.connector
    assert ("transcriber" in connector.kinds) is (connector.transcriber is not None) is (wire.transcriber is not None)
    assert ("synthesizer" in connector.kinds) is (connector.synthesizer is not None) is (wire.synthesizer is not None)
    for offer in (connector.transcriber, connector.synthesizer):
        if offer is not None:
            assert not (offer.is_offline and offer.needs_key)
            assert offer.missing is None or not offer.missing()
    if connector.synthesizer is not None:
        ids = [voice.id for voice in connector.synthesizer.voices]
        assert len(ids) == len(set(ids)) > 1
        assert all(voice.label for voice in connector.synthesizer.voices)


@each(HEARING)
async def test_an_utterance_ends_with_a_final_transcript(wire: SpeechWire) -> None:
    assert wire.transcriber is not None
    await wire.transcriber.warm_up()
    found = await hear(wire.transcriber, numbers(1, 12), options=("yes", "no"))
    assert found[-1].is_final
    assert found[-1].language
    assert all(t.confidence is None or 0 <= t.confidence <= 1 for t in found)


@each(HEARING)
async def test_an_utterance_without_audio_is_an_empty_final(wire: SpeechWire) -> None:
    assert wire.transcriber is not None
    found = await hear(wire.transcriber, b"", options=("yes", "no"))
    assert [(t.text, t.is_final) for t in found] == [("", True)]


@each(HEARING)
async def test_utterances_at_the_same_time_do_not_mix(wire: SpeechWire) -> None:
    assert wire.transcriber is not None
    alone = [await hear(wire.transcriber, numbers(a, a + 9), options=("yes", "no")) for a in (1, 101, 201)]
    together = await asyncio.gather(
        *(hear(wire.transcriber, numbers(a, a + 9), options=("yes", "no")) for a in (1, 101, 201))
    )
    assert [finals(t) for t in together] == [finals(t) for t in alone]


@each(HEARING)
async def test_half_a_sample_is_refused(wire: SpeechWire) -> None:
    assert wire.transcriber is not None
    listening = wire.transcriber.listen(ListenRequest(8000))
    with pytest.raises(ValueError, match="16-bit"):
        listening.feed(b"\x00")
    await listening.aclose()
    await listening.aclose()
    listening.feed(b"\x00\x00")
    assert [t async for t in listening.transcripts()] == []


@each(("google_speech",))
async def test_a_listening_that_falls_behind_gives_up(wire: SpeechWire) -> None:
    assert wire.transcriber is not None
    listening = wire.transcriber.listen(ListenRequest(8000))
    listening.feed(bytes(round((BACKLOG_SECONDS + 1) * 16_000)))
    with pytest.raises(Unreachable):
        _ = [t async for t in listening.transcripts()]
    await listening.aclose()


@each(FAKED)
async def test_no_word_is_lost_and_the_order_stays(wire: SpeechWire) -> None:
    assert wire.transcriber is not None
    found = await hear(wire.transcriber, numbers(1, 47))
    assert finals(found).split() == [str(n) for n in range(1, 48)]


@each(FAKED)
@pytest.mark.parametrize(("fault", "expected"), FAULTS)
async def test_every_fault_of_hearing_has_its_error(
    wire: SpeechWire, fault: str, expected: type[ConnectorError]
) -> None:
    assert wire.transcriber is not None
    assert wire.fail is not None
    wire.fail(fault)
    with pytest.raises(expected) as caught:
        await hear(wire.transcriber, numbers(1, 12))
    _says_nothing_of_the_vendor(caught.value)
    wire.fail("")
    assert finals(await hear(wire.transcriber, numbers(1, 3))) == "1 2 3", "the next utterance works"


@each(FAKED)
@pytest.mark.parametrize(("fault", "expected"), [*FAULTS, ("cut", BadAnswer)])
async def test_every_fault_of_speaking_has_its_error(
    wire: SpeechWire, fault: str, expected: type[ConnectorError]
) -> None:
    assert wire.synthesizer is not None
    assert wire.fail is not None
    wire.fail(fault)
    with pytest.raises(expected) as caught:
        await speak(wire.synthesizer, "Hello there.")
    _says_nothing_of_the_vendor(caught.value)
    wire.fail("")
    assert (await speak(wire.synthesizer, "Hello there."))[0], "the next text works"


def _says_nothing_of_the_vendor(error: ConnectorError) -> None:
    shown = "".join(traceback.format_exception(error))
    assert "canary" not in f"{shown} {error.params}"
    assert "refused with token" not in shown
    if isinstance(error, RateLimited):
        assert error.retry_after == 7


@each(FAKED)
async def test_silence_ends_in_time(wire: SpeechWire) -> None:
    assert wire.transcriber is not None
    assert wire.synthesizer is not None
    assert wire.fail is not None
    await wire.transcriber.warm_up()
    began = time.monotonic()
    wire.fail("hang")
    with pytest.raises(Unreachable):
        await hear(wire.transcriber, numbers(1, 3), seconds=0.3)
    assert await asyncio.to_thread(wire.left.wait, 5)
    wire.fail("hang")
    with pytest.raises(Unreachable):
        await speak(wire.synthesizer, "Hello.", first_seconds=0.3)
    wire.fail("stall")
    with pytest.raises(BadAnswer):
        await speak(wire.synthesizer, "Hello there.", first_seconds=0.3)
    assert time.monotonic() - began < 6


@each(FAKED)
async def test_cancelling_lets_the_vendor_go(wire: SpeechWire) -> None:
    assert wire.synthesizer is not None
    assert wire.transcriber is not None
    assert wire.fail is not None
    wire.fail("stall")
    heard = asyncio.Event()

    async def listen() -> None:
        async for _ in wire.synthesizer.speak(SpeakRequest("Hello there.", first_seconds=60)):  # type: ignore[union-attr]
            heard.set()

    task = asyncio.create_task(listen())
    async with asyncio.timeout(10):
        await heard.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(wire.left.wait, 5)
    wire.left.clear()
    wire.fail("hang")
    listening = wire.transcriber.listen(ListenRequest(8000))
    listening.feed(numbers(1, 5))
    listening.finish()
    waiting = asyncio.create_task(anext(listening.transcripts(), None))
    await asyncio.sleep(0.1)  # until the request is on its way
    await listening.aclose()
    async with asyncio.timeout(5):
        assert await waiting is None


@each(SPEAKING)
@pytest.mark.parametrize("language", ["en", "ru", "uk"])
async def test_all_three_languages_are_spoken_at_one_stated_rate(wire: SpeechWire, language: str) -> None:
    assert wire.synthesizer is not None
    await wire.synthesizer.warm_up()
    text = {"en": "Good afternoon.", "ru": "Добрый день.", "uk": "Добрий день."}[language]
    pcm, rates = await speak(wire.synthesizer, text, language=language)
    assert len(rates) == 1
    assert len(pcm) > 100


@each(SPEAKING)
async def test_nothing_to_say_is_no_audio(wire: SpeechWire) -> None:
    assert wire.synthesizer is not None
    assert (await speak(wire.synthesizer, " … "))[0] == b""


@each(SPEAKING)
async def test_a_text_that_is_too_long_is_refused(wire: SpeechWire) -> None:
    assert wire.synthesizer is not None
    with pytest.raises(Refused):
        await speak(wire.synthesizer, "word " * 1200)


@each(SPEAKING)
async def test_texts_at_the_same_time_do_not_mix(wire: SpeechWire) -> None:
    assert wire.synthesizer is not None
    texts = ["One.", "Number two.", "This is the third."]
    alone = [await speak(wire.synthesizer, t) for t in texts]
    together = await asyncio.gather(*(speak(wire.synthesizer, t) for t in texts))
    for (pcm, rates), (expected, expected_rates) in zip(together, alone, strict=True):
        assert rates == expected_rates
        assert len(pcm) == pytest.approx(len(expected), rel=0.03)  # espeak-ng differs a little from time to time


@each(("faster_whisper", "offline_speech"))
async def test_a_helper_that_dies_is_an_error_and_comes_back(wire: SpeechWire) -> None:
    assert wire.transcriber is not None
    await wire.transcriber.warm_up()
    before = wire.pids()
    wire.kill()
    failed = 0
    async with asyncio.timeout(30):  # until the death is noticed, utterances fail; then a new process serves them
        while not (set(wire.pids()) - set(before)):
            try:
                assert (await hear(wire.transcriber, numbers(1, 5), options=("yes", "no")))[-1].is_final
            except (BadAnswer, Unreachable):
                failed += 1
    assert failed <= 3
    assert (await hear(wire.transcriber, numbers(1, 5), options=("yes", "no")))[-1].is_final


@each(("faster_whisper", "offline_speech"))
async def test_closing_ends_the_processes(wire: SpeechWire) -> None:
    assert wire.transcriber is not None
    await wire.transcriber.warm_up()
    pids = wire.pids()
    assert pids
    await wire.aclose()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@each(("google_speech", "openai"))
async def test_a_wrong_key_is_refused_by_hearing_and_speaking(wire: SpeechWire) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    wrong = "wrong-key" if wire.name == "openai" else google_speech.key_file(other)
    settings = wire.settings.model_copy(update={"key": SecretStr(wrong)})
    transcriber, synthesizer = wire.module.transcriber(settings, ""), wire.module.synthesizer(settings)
    with pytest.raises(CredentialRejected):
        await hear(transcriber, numbers(1, 3))
    with pytest.raises(CredentialRejected):
        await speak(synthesizer, "Hello.")
    await transcriber.aclose()
    await synthesizer.aclose()
