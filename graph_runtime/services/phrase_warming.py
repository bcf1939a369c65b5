"""Sentences that a published flow always says on calls are made when it is published, not when the first caller waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final

import structlog

from graph_runtime.contract.calls import LineSettings
from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.errors import BuilderError
from graph_runtime.contract.flow import Flow
from graph_runtime.contract.sentences import SentenceSplitter
from graph_runtime.contract.speakable import speakable
from graph_runtime.contract.speech import SpeakRequest
from graph_runtime.services.bound_speech import BoundSpeech
from graph_runtime.services.phone_lines import PhoneLines
from graph_runtime.services.phrase_cache import PhraseCache
from graph_runtime.storage import channels as channel_rows
from graph_runtime.storage.database import Database

log = structlog.get_logger(__name__)
RATE: Final = 8000
MOST_PHRASES: Final = 200


class PhraseWarming:
    """In the background: publishing never waits for it, and what cannot be made is made when it is said."""

    def __init__(
        self, database: Database, catalog: Catalog, speech: BoundSpeech, phrases: PhraseCache, lines: PhoneLines
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._speech = speech
        self._phrases = phrases
        self._lines = lines
        self._warming: set[asyncio.Task[int]] = set()

    def begin(self, workspace_id: str, agent_id: str, language: str, flows: list[Flow]) -> None:
        """A version of the agent was published."""
        task = asyncio.create_task(self.warm(workspace_id, agent_id, language, flows), name="phrases")
        self._warming.add(task)
        task.add_done_callback(self._warming.discard)

    async def warm(self, workspace_id: str, agent_id: str, language: str, flows: list[Flow]) -> int:
        """How many phrases are there now; none for an agent without a line that is on."""
        try:
            async with self._database.workspace(workspace_id) as connection:
                channels = await channel_rows.of_agent(connection, agent_id, self._lines.connectors)
            lines = [(await self._lines.settings(workspace_id, str(c["id"])))[1] for c in channels if c["is_on"]]
            if not lines:
                return 0
            chosen = await self._speech.synthesizer(workspace_id, agent_id)
            requests = [
                r for line in lines for flow in flows for r in self._requests(flow, line, language, chosen.voice)
            ]
            return await self._phrases.prewarm(chosen.synthesizer, list(dict.fromkeys(requests))[:MOST_PHRASES])
        except BuilderError as error:
            log.info("phrases_not_made", agent=agent_id, reason=error.code)
            return 0

    async def close(self) -> None:
        """What is not made yet is made when it is said."""
        warming = [*self._warming]
        for task in warming:
            task.cancel()
        await asyncio.gather(*warming, return_exceptions=True)

    def _requests(self, flow: Flow, line: LineSettings, language: str, usual: str) -> Iterator[SpeakRequest]:
        """As the voice process will ask for them: one sentence each, with the line's voice and speed."""
        usual_language = line.language or language
        for node_id, node in flow.nodes.items():
            kind = self._catalog.nodes.get(node.type)
            if kind is None or not kind.always_says:
                continue
            text = flow.i18n.get(usual_language, {}).get(f"{node_id}.{kind.always_says}") or node.settings.get(
                kind.always_says
            )
            if not isinstance(text, str) or "{{" in text or "{%" in text:
                continue
            language = _text(node.settings, "language") or usual_language
            voice = _text(node.settings, "voice") or line.voices.get(language, "") or usual
            speed = round(line.rate * float(node.settings.get("rate") or 1), 3)
            splitter = SentenceSplitter(language)
            for sentence in (*splitter.feed(speakable(text.strip(), language) + " "), *splitter.finish()):
                if sentence.strip():
                    yield SpeakRequest(sentence.strip(), language, voice, RATE, speed)


def _text(settings: Mapping[str, Any], key: str) -> str:
    return str(settings.get(key) or "").strip()
