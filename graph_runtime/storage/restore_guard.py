"""What was unfinished when a backup was made is held after a restore, until a person decides; see migration 0005."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import psycopg


@dataclass(frozen=True, slots=True)
class Held:
    """How much is held, released or discarded."""

    deliveries: int
    triggers: int
    timers: int

    def __str__(self) -> str:
        return f"{self.deliveries} deliveries, {self.triggers} messages or triggers, {self.timers} timers"

    def __bool__(self) -> bool:
        return bool(self.deliveries or self.triggers or self.timers)


def hold(admin_url: str, made_at: datetime) -> Held:
    """Hold everything unfinished. `made_at`: the moment that the rows are of.

    Stores of vectors that knowledge bases use are filled anew: what lies there is of another moment.
    """
    with psycopg.connect(admin_url) as connection:
        connection.execute("SELECT renew_copies()")
        row = connection.execute("SELECT * FROM hold_pending(%s)", (made_at,)).fetchone()
    return _held(row)


def decide(admin_url: str, decision: Literal["release", "discard"]) -> Held:
    """Go on with what is held, or drop it."""
    statement = "SELECT * FROM release_held()" if decision == "release" else "SELECT * FROM discard_held()"
    with psycopg.connect(admin_url) as connection:
        row = connection.execute(statement).fetchone()
    return _held(row)


def _held(row: tuple[object, ...] | None) -> Held:
    assert row is not None
    return Held(*(int(str(value)) for value in row))
