"""The list of faults of delivery.md, each with the code that plays it or the reason why nothing can be played yet."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from tests.faults.play import (
    access,
    calls,
    commits,
    database,
    load,
    models,
    poison,
    processes,
    receivers,
    redis_lost,
    time_faults,
)
from tests.faults.stage import Stage

Play = Callable[[Stage], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Scenario:
    """`play` None: `missing` says what it waits for. `needs_redis`: played only in the layout with Redis."""

    id: str
    title: str
    play: Play | None = None
    missing: str = ""
    needs_redis: bool = False


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("F1", "kill -9 of processes that run turns", processes.kill_those_that_run_turns),
    Scenario("F2", "kill -9 of the web process while messages arrive", processes.kill_web),
    Scenario("F3", "the same with a client that never repeats", processes.kill_web_after_acknowledging),
    Scenario("F4", "kill -9 of PostgreSQL, fsync on", database.kill_database),
    Scenario("F5", "Redis killed and flushed", redis_lost.killed_and_flushed, needs_redis=True),
    Scenario("F6", "Redis away for ten minutes", redis_lost.away, needs_redis=True),
    Scenario("F7", "PostgreSQL away", database.database_away),
    Scenario(
        "F8", "every message delivered ten times, once with other words, and again after two days", load.redelivered
    ),
    Scenario("F9", "messages in quick succession, answered in order", load.in_quick_succession),
    Scenario("F10", "the model fails in five ways", models.model_fails),
    Scenario("F11", "the vendor of a channel says 429", receivers.asked_for_a_pause),
    Scenario("F12", "the vendor of a channel resets after accepting", receivers.reset_after_accepting),
    Scenario("F13", "poison: a message that kills its process, a value of 100 MB", poison.poisoned),
    Scenario("F14", "clocks of processes one hour off", time_faults.clocks_off),
    Scenario("F15", "a process frozen past its lease", processes.frozen_past_its_lease),
    Scenario("F16", "partitions: process–database, process–model", database.partitions),
    Scenario("F17", "expired access, twenty processes ask, and who renews it is killed", access.renewed_once),
    Scenario("F18", "the database's disk is full", database.disk_full),
    Scenario("F20", "rolling restart by SIGTERM, and a new version while people talk", processes.rolling_restart),
    Scenario("F22", "many timers fall due while everything is down", time_faults.timers_due_while_down),
    Scenario("F23", "one conversation talks without pause", load.one_hot_conversation),
    Scenario(
        "F26", "calls: voice processes replaced and killed under a hundred of them", calls.voice_replaced_and_killed
    ),
    Scenario("F29", "kill exactly before and after the commit", commits.at_the_commit),
    Scenario("F30", "many webhooks a second", receivers.many_webhooks),
    Scenario("POWER", "everything killed at once in the middle of it", processes.power_cut),
)
