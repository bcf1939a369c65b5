"""The web process: builds the services and serves the root application on one port until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import structlog
import uvicorn

from graph_runtime import bootstrap, event_loop
from graph_runtime.api.app import create_app
from graph_runtime.api.bursts import Bursts
from graph_runtime.api.screens import load_screens
from graph_runtime.bootstrap import Services
from graph_runtime.settings import Settings
from graph_runtime.telemetry import logs

MAX_FRAME_BYTES: Final = 1_000_000
"""One WebSocket frame; a pasted flow must fit, the web chat has its own, smaller limit."""
KEPT_SECONDS: Final = 150
"""How long an idle connection is kept: longer than proxies keep theirs (nginx 60 s, Traefik 90 s, Caddy 120 s), which otherwise
send a request into one that is being closed and answer 502."""
STOP_WITHIN_SECONDS: Final = 5
"""For requests and sockets that are still open when the turns have ended."""

log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """Ends orderly: says that it is not ready, serves on for the notice, then stops accepting, lets turns end and
    hands over the rest. Uvicorn's own would raise the signal again when it has stopped, and kill running turns."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._stopping: asyncio.Task[None] | None = None
        self._bursts = Bursts(self._protocol)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; then accept bursts as well."""
        event_loop.keep_what_stands()
        await super().startup(sockets)
        if event_loop.is_uvloop(self._loop):
            self._bursts.open(listening.fileno() for server in self.servers for listening in server.sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening first."""
        self._bursts.close()
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=None
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal begins the orderly end; a second SIGINT does not wait."""
        if self._services.stopping.is_set():
            self.should_exit = True
            super().handle_exit(sig, frame)
            return
        self._loop.call_soon_threadsafe(self._begin_to_stop)

    def _begin_to_stop(self) -> None:
        self._services.stopping.set()
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(), name="stop")

    async def _stop(self) -> None:
        settings, side = self._services.settings, self._services.conversation_side
        log.info("stopping", turns=len(side.runner.running))
        await asyncio.sleep(settings.drain_notice_seconds)
        self.should_exit = True
        await side.drain(settings.drain_seconds)
        await asyncio.sleep(STOP_WITHIN_SECONDS)
        for connection in [*self.server_state.connections]:
            if (transport := getattr(connection, "transport", None)) is not None:
                transport.abort()
        for task in [*self.server_state.tasks]:
            task.cancel()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT ask the server to stop; a second SIGINT does not wait."""
        before = {kind: signal.signal(kind, self.handle_exit) for kind in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    logs.set_up(as_json=settings.environment == "production", level=settings.log_level)
    event_loop.run(_serve(settings))


def server_config(app: object, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves the app."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=settings.host,
        port=settings.port,
        ws="wsproto",
        ws_max_size=MAX_FRAME_BYTES,
        ws_ping_interval=25,
        ws_ping_timeout=35,
        timeout_keep_alive=KEPT_SECONDS,
        timeout_graceful_shutdown=int(settings.drain_seconds) + 2 * STOP_WITHIN_SECONDS,
        server_header=False,
        access_log=False,
        log_config=None,
        proxy_headers=True,
        lifespan="on",
    )


async def _serve(settings: Settings) -> None:
    services = await bootstrap.build(settings)
    try:
        server = Server(server_config(create_app(services, load_screens(settings)), settings), services)
        await server.serve()
        if not server.started:
            sys.exit(1)
    finally:
        await services.close()
