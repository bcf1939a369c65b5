"""The voice process in one event loop with the tests: real sockets, real services, a stand-in for Asterisk."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from graph_runtime.bootstrap import Services
from graph_runtime.contract.speech import Synthesizer, Transcriber
from graph_runtime.services.call_turns import PhoneCall
from tests.phone_world import Line as PhoneLine
from tests.voice.asterisk_stand_in import Leg, connect
from voice.admission import Admission, Limits
from voice.audiosocket.server import Server
from voice.call import Call
from voice.clock import Clock
from voice.house import House, SpeechParts, Waiting
from voice.main import Switchboard
from voice.voice_activity import Detector, Silero


class VoiceProcess:
    """Everything `voice.main.serve` puts together, with speech of the test's choice."""

    def __init__(
        self, services: Services, transcriber: Transcriber, synthesizer: Synthesizer, backup: Synthesizer | None = None
    ) -> None:
        self.clock = Clock()
        self.detector = Detector(self.clock, _model())

        async def speech(_: PhoneCall) -> SpeechParts:
            return SpeechParts(transcriber, synthesizer, backup=backup)

        self.house = House(self.clock, self.detector, services.phone_calls, speech)
        self.admission = Admission(Limits(calls=100))
        self.switchboard = Switchboard(lambda: self.house, self.admission)
        self.server = Server(self.switchboard.admit)
        self.port = 0

    async def dial(self, line: PhoneLine) -> tuple[Leg, Call]:
        """Announce, connect."""
        call_id = uuid.UUID(await line.ring())
        leg = await connect(self.port, call_id)
        await until(lambda: any(c.call_id == call_id for c in self.switchboard.calls))
        return leg, next(c for c in self.switchboard.calls if c.call_id == call_id)


_models: list[Silero] = []


def _model() -> Silero:
    if not _models:
        _models.append(Silero())
    return _models[0]


@asynccontextmanager
async def voice_process(
    services: Services, transcriber: Transcriber, synthesizer: Synthesizer, backup: Synthesizer | None = None
) -> AsyncIterator[VoiceProcess]:
    """A running one."""
    process = VoiceProcess(services, transcriber, synthesizer, backup)
    process.port = await process.server.open("127.0.0.1", 0)
    process.clock.start()
    process.detector.start()
    try:
        yield process
    finally:
        async with asyncio.timeout(20):
            await process.server.close()
            for call in list(process.switchboard.calls):
                await call.finished()
            await process.house.recorder.close()
        process.detector.stop()
        process.clock.stop()


class MovedTime:
    """The wait for an answer as a test moves it: `passes` lets so many seconds go by, look by look."""

    def __init__(self) -> None:
        self.at = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    @property
    def waiting(self) -> Waiting:
        """For `House.waiting`."""
        return Waiting(lambda: self.at, self._sleep)

    async def passes(self, seconds: float) -> None:
        """Whoever sleeps gets to look at each moment on the way."""
        until = self.at + seconds
        while self.at < until - 1e-9:
            self.at += 0.05
            due = [event for at, event in self._sleepers if at <= self.at + 1e-9]
            self._sleepers = [s for s in self._sleepers if s[1] not in due]
            for event in due:
                event.set()
            await asyncio.sleep(0.002)

    async def _sleep(self, seconds: float) -> None:
        event = asyncio.Event()
        self._sleepers.append((self.at + seconds, event))
        await event.wait()


async def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    """What is waited for happens on sockets and in the database."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (see above)
            await asyncio.sleep(0.01)


async def quiet(leg: Leg, call: Call, seconds: float = 20) -> None:
    """Until we have said everything and wait."""

    def is_quiet() -> bool:
        dialogue = call._dialogue
        return call.turns.waits and not call.turns.we_speak and dialogue is not None and dialogue._turn is None

    await until(lambda: is_quiet() and bool(leg.frames), seconds)
