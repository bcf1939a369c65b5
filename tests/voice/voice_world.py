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
from voice.audiosocket.server import Server
from voice.call import Call
from voice.clock import Clock
from voice.house import House, SpeechParts
from voice.main import Switchboard
from voice.voice_activity import Detector, Silero


class VoiceProcess:
    """Everything `voice.main.serve` puts together, with speech of the test's choice."""

    def __init__(self, services: Services, transcriber: Transcriber, synthesizer: Synthesizer) -> None:
        self.clock = Clock()
        self.detector = Detector(self.clock, _model())

        async def speech(_: PhoneCall) -> SpeechParts:
            return SpeechParts(transcriber, synthesizer)

        self.house = House(self.clock, self.detector, services.phone_calls, speech)
        self.switchboard = Switchboard(lambda: self.house, 100)
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
    services: Services, transcriber: Transcriber, synthesizer: Synthesizer
) -> AsyncIterator[VoiceProcess]:
    """A running one."""
    process = VoiceProcess(services, transcriber, synthesizer)
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
        process.detector.stop()
        process.clock.stop()


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
