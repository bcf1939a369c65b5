"""What is Google's own: requests within its limits, streams that end before five minutes, voices, tokens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from connectors.google_speech.connector import Settings, check, synthesizer, transcriber
from graph_runtime.contract.errors import BadAnswer, CredentialRejected
from graph_runtime.contract.speech import ListenRequest, Transcript
from tests.connectors.speech_wires import finals, hear, numbers, speak
from tests.fakes.google_speech import LARGEST_REQUEST, SAMPLES_PER_LETTER, GoogleSpeech, serving

pytestmark = pytest.mark.asyncio


@pytest.fixture
def google() -> Iterator[GoogleSpeech]:
    with serving() as fake:
        yield fake


@pytest.fixture
def settings(google: GoogleSpeech) -> Settings:
    return Settings(key=SecretStr(google.account), base_url=google.url, voice_url=google.url)


async def test_a_long_utterance_goes_on_in_new_streams_without_losing_audio(
    google: GoogleSpeech, settings: Settings
) -> None:
    google.stream_limit = 2.0  # the fake refuses longer streams, as Google does after five minutes
    one = transcriber(settings, "")
    one._stream_seconds = 2.0
    pcm = numbers(1, 95)
    found = await hear(one, pcm)
    await one.aclose()
    assert finals(found).split() == [str(n) for n in range(1, 96)]
    assert len(google.streams) == 5
    assert b"".join(bytes(s.audio) for s in google.streams) == pcm
    assert max(size for s in google.streams for size in s.sizes) <= LARGEST_REQUEST


async def test_much_audio_at_once_is_sent_in_allowed_pieces(google: GoogleSpeech, settings: Settings) -> None:
    one = transcriber(settings, "")
    listening = one.listen(ListenRequest(8000))
    listening.feed(numbers(1, 300))
    listening.finish()
    found = [t async for t in listening.transcripts()]
    await listening.aclose()
    await one.aclose()
    assert finals(found).split() == [str(n) for n in range(1, 301)]
    assert max(google.streams[0].sizes) <= LARGEST_REQUEST


async def test_interims_come_while_the_caller_speaks(google: GoogleSpeech, settings: Settings) -> None:
    one = transcriber(settings, "telephony")
    found = await hear(one, numbers(1, 8), language="uk", hints=("Київ",), options=("так", "ні"))
    await one.aclose()
    assert [t.is_final for t in found] == [False] * (len(found) - 1) + [True]
    assert found[0].text
    assert found[-1].confidence == pytest.approx(0.9)
    config = google.streams[0].config
    assert list(config.config.language_codes) == ["uk-UA"]
    assert config.config.model == "telephony"
    phrases = config.config.adaptation.phrase_sets[0].inline_phrase_set.phrases
    assert [p.value for p in phrases] == ["так", "ні", "Київ"]
    routing = google.streams[0].metadata["x-goog-request-params"]
    assert routing == "recognizer=projects/project/locations/global/recognizers/_"


async def test_words_that_never_became_final_are_not_lost(google: GoogleSpeech, settings: Settings) -> None:
    google.fault = "unfinished"
    one = transcriber(settings, "")
    assert finals(await hear(one, numbers(1, 4))) == "1 2 3 4"
    await one.aclose()


@pytest.mark.parametrize("fault", ["cut", "ended"])
async def test_what_was_heard_before_a_cut_stands(google: GoogleSpeech, settings: Settings, fault: str) -> None:
    google.fault = fault
    one = transcriber(settings, "")
    listening = one.listen(ListenRequest(8000))
    listening.feed(numbers(1, 25))
    found: list[Transcript] = []

    async def take() -> None:
        async for transcript in listening.transcripts():
            found.append(transcript)  # noqa: PERF401  # what came before the error counts

    with pytest.raises(BadAnswer):
        await take()
    await listening.aclose()
    await one.aclose()
    assert finals(found).split()[:10] == [str(n) for n in range(1, 11)]


async def test_voices_are_streamed_or_asked_sentence_by_sentence(google: GoogleSpeech, settings: Settings) -> None:
    one = synthesizer(settings)
    pcm, rates = await speak(one, "Добрий день.", language="uk")
    assert rates == {8000}
    assert len(pcm) == 12 * SAMPLES_PER_LETTER * 2
    text = "First sentence that is long enough. " * 12
    whole, rates = await speak(one, text, voice="en-US-Neural2-C", rate=16_000)
    await one.aclose()
    assert rates == {16_000}
    assert set(whole) == {7, 0}, "no header of a file inside the speech"
    assert google.texts[0] == ("uk-UA-Chirp3-HD-Achernar", "Добрий день.", 8000)
    assert {voice for voice, _, _ in google.texts[1:]} == {"en-US-Neural2-C"}
    assert len(google.texts) > 3
    assert " ".join(t for _, t, _ in google.texts[1:]) == text.strip()


async def test_a_voice_that_does_not_speak_the_language_is_not_used(google: GoogleSpeech, settings: Settings) -> None:
    one = synthesizer(settings)
    await speak(one, "Привет.", language="ru", voice="en-US-Neural2-C")
    await one.aclose()
    assert google.texts[0][0] == "ru-RU-Chirp3-HD-Achernar"


async def test_the_check_tries_the_key(google: GoogleSpeech, settings: Settings) -> None:
    assert (await check(settings)).ok
    for text in ("", "not json", '{"project_id": "p"}', google.account.replace("BEGIN PRIVATE", "BEGIN BROKEN")):
        with pytest.raises(CredentialRejected):
            await check(settings.model_copy(update={"key": SecretStr(text)}))
