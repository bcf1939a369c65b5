"""The worker process: sweeper, timers and sender until a signal, then a clean hand-over."""

from __future__ import annotations

import asyncio
import signal

import structlog

from graph_runtime import bootstrap
from graph_runtime.services.conversation_side import ConversationSide
from graph_runtime.services.deliveries import Deliveries
from graph_runtime.settings import Settings
from graph_runtime.worker.sender import Sender
from graph_runtime.worker.sweeper import Sweeper
from graph_runtime.worker.timers import Timers

log = structlog.get_logger(__name__)
GRACE_SECONDS = 10.0


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT."""
    asyncio.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; turns and messages on their way then end, or are handed over."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    services = await bootstrap.build(settings)
    try:
        log.info("worker_ready")
        await work(services.conversation_side, stop, services.deliveries)
    finally:
        await services.close()


async def work(side: ConversationSide, stop: asyncio.Event, deliveries: Deliveries | None = None) -> None:
    """Sweep, fire timers and send until `stop` is set."""
    sender = Sender(deliveries, side.database.listen, count=side.instance.senders) if deliveries is not None else None
    jobs = [
        asyncio.create_task(Sweeper(side.sweep, side.runner).run(), name="sweeper"),
        asyncio.create_task(Timers(side.sweep, side.runner, side.database.listen).run(), name="timers"),
    ]
    if sender is not None:
        jobs.append(asyncio.create_task(sender.run(), name="sender"))
    waiting = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait([*jobs, waiting], return_when=asyncio.FIRST_COMPLETED)
    for task in (*jobs, waiting):
        task.cancel()
    results = await asyncio.gather(*jobs, waiting, return_exceptions=True)
    if sender is not None:
        await sender.close(GRACE_SECONDS)
    for result in results:
        if isinstance(result, Exception):
            raise result
