"""Offers speech that needs neither a key nor a network, where its extra is installed."""

from __future__ import annotations

from connectors.offline_speech.speech import (
    HEARD,
    LANGUAGES,
    VOICES,
    EspeakSynthesizer,
    SphinxTranscriber,
    missing,
)
from connectors.offline_speech.texts import READY
from graph_runtime.contract.connectors import CheckResult, Connector, CredentialSettings
from graph_runtime.contract.speech import OfferedTranscriber, SynthesizerOffer, TranscriberOffer


class Settings(CredentialSettings):
    """Nothing to fill in."""


async def check(_settings: Settings) -> CheckResult:
    """Whether the extra is installed."""
    sentence = missing()
    return CheckResult(ok=not sentence, message=sentence or READY)


CONNECTOR = Connector(
    id="offline_speech",
    label="Speech without keys",
    summary="Speaks English, Russian and Ukrainian and understands short English answers, with no key and no network.",
    settings=Settings,
    kinds=frozenset({"transcriber", "synthesizer"}),
    needs_credential=False,
    check=check,
    transcriber=TranscriberOffer(
        open=lambda _settings, _model: SphinxTranscriber(),
        models=(OfferedTranscriber("pocketsphinx", "pocketsphinx: answers to a question, in English"),),
        languages=HEARD,
        has_grammar=True,
        is_offline=True,
        needs_key=False,
        missing=missing,
    ),
    synthesizer=SynthesizerOffer(
        open=lambda _settings: EspeakSynthesizer(),
        voices=VOICES,
        languages=LANGUAGES,
        streams=True,
        is_offline=True,
        needs_key=False,
        missing=missing,
    ),
)
