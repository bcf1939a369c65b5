"""The voice process: listens for Asterisk's audio, and holds the calls that were announced."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib
import os
import signal
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from graph_runtime import bootstrap, event_loop
from graph_runtime.contract.errors import BuilderError
from graph_runtime.contract.speech import Synthesizer
from graph_runtime.services.asked_once import AskedOnce
from graph_runtime.services.bound_speech import ChosenTranscriber, ChosenVoice
from graph_runtime.services.call_turns import PhoneCall
from graph_runtime.settings import Settings
from graph_runtime.telemetry import logs
from voice.admission import Admission, Limits, Watch
from voice.audiosocket.server import Ears, Server
from voice.clock import Clock
from voice.websocket.protocol import Decoder as WebSocketDecoder

if TYPE_CHECKING:
    from voice.call import Call
    from voice.house import House, SpeechParts

log = structlog.get_logger(__name__)

PRIORITY = -10
DRAIN_SECONDS = 15.0
PORT_AGAIN_SECONDS = 2.0
"""A port that is taken is tried again; it may be a former voice process that gives its last calls away."""

SPARE_AGAIN_SECONDS = 0.05
"""A spare takes the port over this soon; callers hear nothing until then."""


def run(settings: Settings) -> None:
    """Hold calls until SIGTERM or SIGINT."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy reads it when it comes
    logs.set_up(as_json=settings.environment == "production", level=settings.log_level)
    event_loop.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Hold calls until SIGTERM or SIGINT; calls then go to another process at the end of their turn."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    services = await bootstrap.build(settings, holds_calls=True)
    if not services.speech.works_without_keys():
        log.warning("no_speech_without_keys", advice="Calls are held only for agents that have speech connections.")
    clock = Clock()
    admission = Admission(
        Limits(settings.voice_most_calls, settings.voice_most_processor, settings.voice_most_lag_ms / 1000)
    )
    switchboard = Switchboard(lambda: furnished(clock, services), admission)
    instance = services.conversation_side.instance
    watch = Watch(admission, switchboard.held, instance.takes_calls)
    server = Server(switchboard.admit)
    sockets = Server(switchboard.admit, wire=WebSocketDecoder)
    try:
        await _warm(services, switchboard)
        port = await _open(server, settings, stop)
        if port is not None:
            clock.start()
            _hurry()
            event_loop.keep_what_stands(collects=False)  # calls that go on come at once
            await _open_sockets(sockets, settings)
            watch.start()
            log.info("voice_ready", host=settings.voice_host, port=port)
            await stop.wait()
        log.info("voice_stopping", calls=len(switchboard.calls))
        server.stop_listening()
        sockets.stop_listening()
        await watch.close()
        await instance.takes_calls(None)
        await switchboard.leave(DRAIN_SECONDS)
    finally:
        await server.close()
        await sockets.close()
        await switchboard.close()
        clock.stop()
        await services.close()


def furnished(clock: Clock, services: bootstrap.Services) -> House:
    """What calls share, with the detector at work. Raises: ModelMissing."""
    from voice.house import House, SpeechParts
    from voice.voice_activity import Detector

    asked = AskedOnce[tuple[ChosenTranscriber, ChosenVoice, Synthesizer | None]]()

    async def chosen(workspace_id: str, agent_id: str) -> tuple[ChosenTranscriber, ChosenVoice, Synthesizer | None]:
        hears = await services.speech.transcriber(workspace_id, agent_id)
        talks = await services.speech.synthesizer(workspace_id, agent_id)
        return hears, talks, await services.speech.without_key()

    async def speech(call: PhoneCall) -> SpeechParts:
        # A hundred calls that are taken over at once ask once.
        place = (call.workspace_id, call.agent_id)
        hears, talks, backup = await asked.ask(place, lambda: chosen(*place))
        is_other = backup is not None and backup is not talks.synthesizer
        return SpeechParts(hears.transcriber, talks.synthesizer, talks.voice, backup if is_other else None)

    detector = Detector(clock)
    detector.start()
    return House(clock, detector, services.phone_calls, speech, services.phrases)


async def _warm(services: bootstrap.Services, switchboard: Switchboard) -> None:
    """Load what the first call would wait for; while a call goes on, an import would be heard."""
    try:
        await asyncio.to_thread(_load)
        switchboard.prepare()
        await services.models.warm_up_for_calls()
        backup = await services.speech.without_key()
        if backup is not None:
            await backup.warm_up()
    except (BuilderError, ImportError) as error:
        log.warning("voice_not_prepared", reason=str(error), exc_info=error)


def _load() -> None:
    for module in ("voice.call", "voice.voice_activity"):
        importlib.import_module(module)


async def _open(server: Server, settings: Settings, stop: asyncio.Event) -> int | None:
    """The port, as soon as it is free; None when it is time to stop before that."""
    is_spare = False
    place = f"{settings.voice_host}:{settings.voice_port}"
    said = ""
    while not stop.is_set():
        try:
            return await server.open(settings.voice_host, settings.voice_port)
        except OSError as error:
            reason = error.strerror or str(error)
            if settings.voice_has_spare and error.errno == errno.EADDRINUSE:
                if not is_spare:
                    is_spare = True
                    log.info("voice_spare", place=place)
            elif reason != said:
                log.error(
                    "no_calls", place=place, reason=reason,
                    advice="Calls cannot arrive here. Stop what listens there, or set PATCHCORD_VOICE_HOST or "
                    "PATCHCORD_VOICE_PORT. It is tried again until then.",
                )  # fmt: skip
            said = reason
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SPARE_AGAIN_SECONDS if is_spare else PORT_AGAIN_SECONDS):
                await stop.wait()
    return None


async def _open_sockets(server: Server, settings: Settings) -> None:
    """The second way in, where it is wished for. Whoever has the first one's port has this one's, too."""
    if not settings.voice_websocket_port:
        return
    try:
        await server.open(settings.voice_host, settings.voice_websocket_port)
    except OSError as error:
        log.error(
            "no_websocket_calls", port=settings.voice_websocket_port, reason=error.strerror or str(error),
            advice="Stop what listens there, or set PATCHCORD_VOICE_WEBSOCKET_PORT.",
        )  # fmt: skip


def _hurry() -> None:
    """A frame that is late is heard; nothing else on the machine is that urgent."""
    try:
        os.nice(PRIORITY)
    except OSError:
        log.info("priority_as_usual")


class Switchboard:
    """The calls of this process. A call that was not announced is found out by attaching it, and then closed; so is one that
    is new when there is no room: calls that somebody talks on are never refused.
    """

    def __init__(self, furnish: Callable[[], House], admission: Admission) -> None:
        self.calls: set[Call] = set()
        self._furnish = furnish
        self._house: House | None = None
        self._admission = admission

    def held(self) -> int:
        """How many places are taken."""
        return sum(call.is_held for call in self.calls)

    def admit(self, call_id: uuid.UUID) -> Ears | None:
        """None when there is no way to hear, or too many connections wait to be told from strangers."""
        if sum(not call.is_attached for call in self.calls) >= self._admission.most_calls:
            log.warning("call_refused", reason="too many unknown calls", calls=len(self.calls))
            return None
        try:
            from voice.call import Call

            self._house = self._house or self._furnish()
        except Exception as error:
            log.error("call_refused", reason=str(error), exc_info=error)
            return None
        call = Call(self._house, call_id, self.calls.discard, self._admission.verdict(self.held()))
        self.calls.add(call)
        return call

    def prepare(self) -> None:
        """Furnish before the first call. What is missing is said when that comes."""
        try:
            self._house = self._house or self._furnish()
        except Exception as error:
            log.warning("voice_not_prepared", reason=str(error), exc_info=error)

    async def close(self) -> None:
        """Keep what was recorded last."""
        if self._house is not None:
            await self._house.recorder.close()

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
