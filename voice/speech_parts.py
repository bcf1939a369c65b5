"""Which recogniser and which voice a line uses: those it names, else what is installed and needs no key."""

from __future__ import annotations

from collections.abc import Callable

from graph_runtime.contract.calls import LineSettings
from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.connectors import Connector
from graph_runtime.contract.errors import Refused
from graph_runtime.contract.speech import Synthesizer, SynthesizerOffer, Transcriber, TranscriberOffer, speaks
from voice.house import SpeechParts

NOTHING = (
    "No speech connector without a key is installed. Start Patchcord with its offline voice, or choose a connector."
)


class InstalledSpeech:
    """Opens each connector's speech once per process. Connectors that need a credential are not opened here."""

    def __init__(self, catalog: Catalog) -> None:
        self._connectors = list(catalog.connectors.values())
        self._transcribers: dict[str, Transcriber] = {}
        self._synthesizers: dict[str, Synthesizer] = {}

    async def for_line(self, line: LineSettings, language: str) -> SpeechParts:
        """Raises: Refused with what to do."""
        hears = self._find(lambda c: c.transcriber, line.speech_to_text, language)
        talks = self._find(lambda c: c.synthesizer, line.text_to_speech, language)
        if hears.id not in self._transcribers:
            assert hears.transcriber is not None
            model = hears.transcriber.models[0].name if hears.transcriber.models else ""
            self._transcribers[hears.id] = hears.transcriber.open(hears.settings(), model)
        if talks.id not in self._synthesizers:
            assert talks.synthesizer is not None
            self._synthesizers[talks.id] = talks.synthesizer.open(talks.settings())
        return SpeechParts(self._transcribers[hears.id], self._synthesizers[talks.id])

    async def close(self) -> None:
        """End their helper processes."""
        for transcriber in self._transcribers.values():
            await transcriber.aclose()
        for synthesizer in self._synthesizers.values():
            await synthesizer.aclose()

    def _find(
        self, offer: Callable[[Connector], TranscriberOffer | SynthesizerOffer | None], wanted: str, language: str
    ) -> Connector:
        fitting = []
        for connector in self._connectors:
            offered = offer(connector)
            if offered is None or offered.needs_key or (offered.missing is not None and offered.missing()):
                continue
            if wanted in ("", connector.id):
                fitting.append((not speaks(offered.languages, language), connector))
        if not fitting:
            raise Refused(NOTHING)
        return min(fitting, key=lambda pair: pair[0])[1]
