"""The web process: builds the services and serves the root application on one port until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn

from graph_runtime import bootstrap
from graph_runtime.api.app import create_app
from graph_runtime.api.screens import load_screens
from graph_runtime.settings import Settings

MAX_FRAME_BYTES: Final = 1_000_000
"""One WebSocket frame; a pasted flow must fit, the web chat has its own, smaller limit."""
STOP_WITHIN_SECONDS: Final = 5

log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """Ends orderly: uvicorn's own raises the signal again when it has stopped, which would kill running turns."""

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
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings))


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
        timeout_keep_alive=30,
        timeout_graceful_shutdown=STOP_WITHIN_SECONDS,
        server_header=False,
        access_log=False,
        log_config=None,
        proxy_headers=True,
        lifespan="on",
    )


async def _serve(settings: Settings) -> None:
    services = await bootstrap.build(settings)
    try:
        server = Server(server_config(create_app(services, load_screens(settings)), settings))
        await server.serve()
        if not server.started:
            sys.exit(1)
    finally:
        await services.close()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not made for Windows
        return None
    return uvloop.new_event_loop
