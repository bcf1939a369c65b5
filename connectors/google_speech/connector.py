"""Offers Google Cloud's recognition and voices for phone calls."""

from __future__ import annotations

from pydantic import SecretStr

from connectors.google_speech.hearing import MODELS, GoogleTranscriber
from connectors.google_speech.speaking import VOICES, GoogleSynthesizer
from connectors.google_speech.wire import Line, load, warm_up
from graph_runtime.contract.connectors import CheckResult, Connector, CredentialSettings
from graph_runtime.contract.forms import setting
from graph_runtime.contract.speech import SynthesizerOffer, TranscriberOffer

HEARING = "https://speech.googleapis.com"
SPEAKING = "https://texttospeech.googleapis.com"
WORKS = "The key works: Google lists its voices for it."


class Settings(CredentialSettings):
    """What it takes to connect."""

    key: SecretStr = setting(
        "Key file", default=SecretStr(""), required=True, placeholder='{"type": "service_account", …}',
        help="The whole content of the JSON key file of a service account.",
    )  # fmt: skip
    location: str = setting(
        "Region", default="global", advanced=True, placeholder="global", pattern=r"^[a-z0-9-]{1,40}$",
        help="Where speech is recognised, such as global, eu or us-central1; the address must be of the same region.",
    )  # fmt: skip
    base_url: str = setting(
        "Address of the recognition", default=HEARING, advanced=True, placeholder=HEARING,
        help="In a region: https://eu-speech.googleapis.com.",
    )  # fmt: skip
    voice_url: str = setting(
        "Address of the voices", default=SPEAKING, advanced=True, placeholder=SPEAKING,
        help="In a region: https://eu-texttospeech.googleapis.com.",
    )  # fmt: skip


def transcriber(settings: Settings, model: str) -> GoogleTranscriber:
    """Recognises with this credential."""
    line = Line(settings.base_url, settings.key.get_secret_value(), f"{HEARING}/")
    return GoogleTranscriber(line, model, settings.location)


def synthesizer(settings: Settings) -> GoogleSynthesizer:
    """Speaks with this credential."""
    return GoogleSynthesizer(Line(settings.voice_url, settings.key.get_secret_value(), f"{SPEAKING}/"))


async def check(settings: Settings) -> CheckResult:
    """Ask for the list of voices, which costs nothing."""
    await load()
    voices = synthesizer(settings)
    try:
        await voices.voices()
        return CheckResult(ok=True, message=WORKS)
    finally:
        await voices.aclose()


CONNECTOR = Connector(
    id="google_speech",
    label="Google speech",
    summary="Google Cloud's recognition and voices: Ukrainian, Russian, English and more, streamed.",
    settings=Settings,
    kinds=frozenset({"transcriber", "synthesizer"}),
    check=check,
    warm_up=warm_up,
    transcriber=TranscriberOffer(open=transcriber, models=MODELS, streams=True),
    synthesizer=SynthesizerOffer(open=synthesizer, voices=VOICES, streams=True),
)
