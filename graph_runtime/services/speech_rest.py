"""Accounts of vendors of speech that rest: they asked for a pause, or keep failing, and new calls do not depend on them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from graph_runtime.contract.errors import BadAnswer, ConnectorError, CredentialRejected, RateLimited, Unreachable
from graph_runtime.contract.speech import (
    Audio,
    Listening,
    ListenRequest,
    SpeakRequest,
    Synthesizer,
    Transcriber,
    Transcript,
)
from graph_runtime.engine.breaker import Breakers
from graph_runtime.storage import credentials as rows
from graph_runtime.storage.database import Database

log = structlog.get_logger(__name__)

REST_SECONDS: Final = 30.0
"""When the vendor does not say for how long."""
LONGEST_REST: Final = 600.0
NEWS_SECONDS: Final = 5.0
"""A rest that is longer by less than this is not written down again."""


@dataclass(frozen=True, slots=True)
class Account:
    """A credential of a workspace as what hears, or as what speaks."""

    workspace_id: str
    credential_id: str
    connector: str
    hears: bool


Told = Callable[[ConnectorError | None], None]
"""How one utterance or one text went; None: well."""


class SpeechRest:
    """Every process finds out for itself and writes it down for all of them. `clock`: monotonic seconds."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._breakers = Breakers(clock, seconds=REST_SECONDS)
        self._until: dict[Account, float] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def of(self, account: Account) -> Told:
        """Whom to tell how it went with this account; returns at once."""
        return lambda error: self._told(account, error)

    async def close(self) -> None:
        """Wait for what is being written."""
        await asyncio.gather(*self._writing, return_exceptions=True)

    def _told(self, account: Account, error: ConnectorError | None) -> None:
        key, seconds = (f"speech:{account.connector}", account), 0.0
        if error is None:
            self._breakers.succeeded(key)
        elif isinstance(error, RateLimited):
            seconds = min(error.retry_after or REST_SECONDS, LONGEST_REST)
        elif isinstance(error, Unreachable | BadAnswer | CredentialRejected):
            self._breakers.failed(key)
            seconds = self._breakers.seconds_left(key)
        now, known = self._clock(), self._until.get(account, 0.0)
        if seconds and (known <= now or now + seconds > known + NEWS_SECONDS):
            self._until[account] = now + seconds
            writing = asyncio.create_task(self._write(account, seconds), name="speech rests")
            self._writing.add(writing)
            writing.add_done_callback(self._writing.discard)

    async def _write(self, account: Account, seconds: float) -> None:
        part = "transcriber" if account.hears else "synthesizer"
        log.warning("speech_rests", connector=account.connector, part=part, seconds=round(seconds))
        try:
            async with self._database.workspace(account.workspace_id) as connection:
                await rows.rest(connection, account.credential_id, seconds, hears=account.hears)
        except Exception as error:  # noqa: BLE001 (the next failure tells it again; the call that failed must not end of it)
            self._until.pop(account, None)
            log.warning("speech_rest_not_written", reason=type(error).__name__)


class WatchedTranscriber:
    """Tells how every utterance ended."""

    def __init__(self, transcriber: Transcriber, told: Told) -> None:
        self.provider, self.name = transcriber.provider, transcriber.name
        self._transcriber = transcriber
        self._told = told

    def listen(self, request: ListenRequest) -> WatchedListening:
        """As in the contract."""
        return WatchedListening(self._transcriber.listen(request), self._told)

    async def warm_up(self) -> None:
        """As in the contract."""
        await self._transcriber.warm_up()

    async def aclose(self) -> None:
        """As in the contract."""
        await self._transcriber.aclose()


class WatchedListening:
    """One utterance; frames go straight to whoever listens."""

    def __init__(self, listening: Listening, told: Told) -> None:
        self.feed, self.finish, self.aclose = listening.feed, listening.finish, listening.aclose
        self._listening = listening
        self._told = told

    async def transcripts(self) -> AsyncIterator[Transcript]:
        """As in the contract."""
        try:
            async for transcript in self._listening.transcripts():
                yield transcript
        except ConnectorError as error:
            self._told(error)
            raise
        self._told(None)


class WatchedSynthesizer:
    """Tells how every text ended."""

    def __init__(self, synthesizer: Synthesizer, told: Told) -> None:
        self.provider, self.name = synthesizer.provider, synthesizer.name
        self._synthesizer = synthesizer
        self._told = told

    async def speak(self, request: SpeakRequest) -> AsyncIterator[Audio]:
        """As in the contract."""
        source = self._synthesizer.speak(request)
        try:
            async for audio in source:
                yield audio
        except ConnectorError as error:
            self._told(error)
            raise
        finally:
            if (close := getattr(source, "aclose", None)) is not None:
                await close()
        self._told(None)

    async def warm_up(self) -> None:
        """As in the contract."""
        await self._synthesizer.warm_up()

    async def aclose(self) -> None:
        """As in the contract."""
        await self._synthesizer.aclose()
