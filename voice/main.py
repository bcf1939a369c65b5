"""The voice process: listens for Asterisk's audio, and holds the calls that were announced."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import uuid

import structlog

from graph_runtime import bootstrap
from graph_runtime.services.call_turns import PhoneCall
from graph_runtime.settings import Settings
from graph_runtime.telemetry import logs
from voice.audiosocket.server import Ears, Server
from voice.call import Call
from voice.clock import Clock
from voice.house import House, SpeechParts
from voice.voice_activity import Detector

log = structlog.get_logger(__name__)

PRIORITY = -10
DRAIN_SECONDS = 15.0


def run(settings: Settings) -> None:
    """Hold calls until SIGTERM or SIGINT."""
    logs.set_up(as_json=settings.environment == "production", level=settings.log_level)
    try:
        os.nice(PRIORITY)
    except OSError:
        log.info("priority_as_usual")
    if sys.platform == "win32":
        asyncio.run(serve(settings))
    else:
        import uvloop

        uvloop.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Hold calls until SIGTERM or SIGINT; calls then go to another process at the end of their turn."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    services = await bootstrap.build(settings)

    async def speech(call: PhoneCall) -> SpeechParts:
        hears = await services.speech.transcriber(call.workspace_id, call.agent_id)
        talks = await services.speech.synthesizer(call.workspace_id, call.agent_id)
        return SpeechParts(hears.transcriber, talks.synthesizer, talks.voice)

    clock = Clock()
    detector = Detector(clock)
    switchboard = Switchboard(
        House(clock, detector, services.phone_calls, speech, services.phrases), settings.voice_most_calls
    )
    server = Server(switchboard.admit)
    try:
        port = await server.open(settings.voice_host, settings.voice_port)
        clock.start()
        detector.start()
        gc.freeze()
        log.info("voice_ready", port=port)
        await stop.wait()
        log.info("voice_stopping", calls=len(switchboard.calls))
        server.stop_listening()
        await switchboard.leave(DRAIN_SECONDS)
    finally:
        await server.close()
        detector.stop()
        clock.stop()
        await services.close()


class Switchboard:
    """The calls of this process. A call that was not announced is found out by attaching it, and then closed."""

    def __init__(self, house: House, most_calls: int) -> None:
        self.calls: set[Call] = set()
        self._house = house
        self._most_calls = most_calls

    def admit(self, call_id: uuid.UUID) -> Ears | None:
        """None when there is no room."""
        if len(self.calls) >= self._most_calls:
            log.warning("call_refused", reason="too many calls", calls=len(self.calls))
            return None
        call = Call(self._house, call_id, self.calls.discard)
        self.calls.add(call)
        return call

    async def leave(self, seconds: float) -> None:
        """Give every call to another process, those that are speaking as soon as they have ended."""
        for call in list(self.calls):
            call.leave_at_turn_boundary()
        try:
            async with asyncio.timeout(seconds):
                for call in list(self.calls):
                    await call.finished()
        except TimeoutError:
            log.warning("calls_cut", calls=len(self.calls))
