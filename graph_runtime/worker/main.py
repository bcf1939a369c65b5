"""The worker process: turns that web processes accepted, conversations left behind, timers, deliveries, events, daily work."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine
from typing import Any, Final

import structlog

from graph_runtime import bootstrap, event_loop
from graph_runtime.bootstrap import Services
from graph_runtime.services.channel_keeper import PLACES as LINK_PLACES
from graph_runtime.services.channel_keeper import ChannelKeeper
from graph_runtime.services.conversation_side import ConversationSide
from graph_runtime.services.deliveries import Deliveries
from graph_runtime.services.event_sending import EventSending
from graph_runtime.services.file_fetching import PLACES as FILE_PLACES
from graph_runtime.services.file_fetching import FileFetching
from graph_runtime.settings import Settings
from graph_runtime.storage.chain_steps import ChainSweep
from graph_runtime.storage.channel_links import LINKS_CHANNEL
from graph_runtime.storage.crm_hooks import CrmHookSweep
from graph_runtime.storage.crm_writes import CrmWriteSweep
from graph_runtime.storage.event_subscriptions import EVENTS_CHANNEL
from graph_runtime.storage.file_fetches import FETCH_CHANNEL
from graph_runtime.storage.trigger_runs import TriggerSweep
from graph_runtime.storage.update_checks import CheckSweep
from graph_runtime.telemetry import logs
from graph_runtime.worker.approvals import ApprovalTimes
from graph_runtime.worker.chains import ChainTimers
from graph_runtime.worker.crm_hooks import CrmReadings
from graph_runtime.worker.crm_writes import CrmLooks
from graph_runtime.worker.daily import AccessRenewal, Daily
from graph_runtime.worker.health import Health
from graph_runtime.worker.imports import FileRemoval, Importer
from graph_runtime.worker.ingest import Ingest
from graph_runtime.worker.listener import Listener
from graph_runtime.worker.sender import EVENT_PLACES, EVENT_SECONDS, PLACES, Sender
from graph_runtime.worker.sweeper import Sweeper
from graph_runtime.worker.timers import Timers
from graph_runtime.worker.triggers import TriggerTimers
from graph_runtime.worker.update_checks import UpdateLooks

log = structlog.get_logger(__name__)
NICENESS: Final = 10


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT."""
    logs.set_up(as_json=settings.environment == "production", level=settings.log_level)
    give_way()
    event_loop.run(serve(settings))


def give_way() -> None:
    """Let processes in which somebody waits for an answer go first where they share a machine with this one."""
    with contextlib.suppress(OSError):
        os.nice(NICENESS)


async def serve(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; turns and messages on their way then end, or are handed over."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    services = await bootstrap.build(settings, is_worker=True)
    health = _health(services, stop)
    try:
        if settings.worker_port:
            await health.open(settings.host, settings.worker_port)
        event_loop.keep_what_stands()
        log.info("worker_ready")
        await work(
            services.conversation_side,
            stop,
            Daily(services.retention).run(),
            Importer(services.contact_imports).run(),
            Importer(services.knowledge_exchange).run(),
            FileRemoval(services.database.files).run(),
            ApprovalTimes(services.approvals).run(),
            TriggerTimers(TriggerSweep(services.database), services.trigger_runner, services.database.listen).run(),
            UpdateLooks(CheckSweep(services.database), services.update_checks).run(),
            Ingest(services.knowledge_ingest, services.database.listen).run(),
            Ingest(services.knowledge_copying, services.database.listen).run(),
            ChainTimers(ChainSweep(services.database), services.chain_runner, services.database.listen).run(),
            AccessRenewal(services.oauth).run(),
            CrmLooks(CrmWriteSweep(services.database), services.crm_later).run(),
            CrmReadings(CrmHookSweep(services.database), services.crm_reading, services.crm_hooks).run(),
            deliveries=services.deliveries,
            events=services.event_sending,
            keeper=services.channel_keeper,
            files=services.file_fetching,
            redis_url=_redis_url(settings),
            drain_seconds=settings.drain_seconds,
        )
    finally:
        await services.close()
        await health.close()


async def work(
    side: ConversationSide,
    stop: asyncio.Event,
    *more: Coroutine[Any, Any, None],
    deliveries: Deliveries | None = None,
    events: EventSending | None = None,
    keeper: ChannelKeeper | None = None,
    files: FileFetching | None = None,
    redis_url: str | None = None,
    drain_seconds: float = 0,
) -> None:
    """Take turns, sweep, fire timers and send until `stop` is set; then take nothing more and let what runs end."""
    listen, count = side.database.listen, side.instance.senders
    senders: list[Sender[Any, Any]] = []
    if deliveries is not None:
        senders.append(Sender(deliveries, listen, PLACES, count=count))
    if events is not None:
        senders.append(Sender(events, listen, EVENT_PLACES, seconds=EVENT_SECONDS, channel=EVENTS_CHANNEL))
    if keeper is not None:
        senders.append(Sender(keeper, listen, LINK_PLACES, channel=LINKS_CHANNEL))
    if files is not None:
        senders.append(Sender(files, listen, FILE_PLACES, channel=FETCH_CHANNEL))
    jobs = [
        asyncio.create_task(Sweeper(side.sweep, side.runner).run(), name="sweeper"),
        asyncio.create_task(Timers(side.sweep, side.runner, side.database.listen).run(), name="timers"),
        asyncio.create_task(Listener(side.runner, side.database.listen).run(), name="listener"),
        *(asyncio.create_task(loop, name="daily") for loop in more),
        *(asyncio.create_task(sender.run(), name="sender") for sender in senders),
    ]
    actors = None
    if redis_url is not None:
        from graph_runtime.worker.actors import Actors

        actors = Actors(redis_url, side.runner)
        actors.start()
    waiting = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait([*jobs, waiting], return_when=asyncio.FIRST_COMPLETED)
    for task in (*jobs, waiting):
        task.cancel()
    results = await asyncio.gather(*jobs, waiting, return_exceptions=True)
    log.info("worker_stopping", turns=len(side.runner.running))
    if keeper is not None:
        await keeper.stop()
    draining = asyncio.create_task(side.drain(drain_seconds), name="drain")
    if actors is not None:
        await actors.stop(drain_seconds + 1)
    await asyncio.gather(*(sender.close(drain_seconds) for sender in senders))
    await draining
    for result in results:
        if isinstance(result, Exception):
            raise result


def _redis_url(settings: Settings) -> str | None:
    return settings.redis_url.get_secret_value() if settings.redis_url else None


def _health(services: Services, stop: asyncio.Event) -> Health:
    async def ready() -> str:
        if stop.is_set():
            return "stopping"
        try:
            async with asyncio.timeout(3):
                await services.accounts.needs_owner()
        except Exception as error:  # noqa: BLE001 (whatever it is, the answer is "not ready")
            log.warning("not_ready", reason=type(error).__name__)
            return "waiting for the database"
        return ""

    settings = services.settings
    return Health(
        ready,
        services.figures.text,
        token=settings.metrics_token.get_secret_value(),
        is_production=settings.environment == "production",
    )
