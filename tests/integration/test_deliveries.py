"""Messages leave once, in order, whatever the receiver does; what cannot be delivered is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.delivery_world import Place, sending
from tests.fakes.webhook_receiver import WebhookReceiver, receiving

Admin = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebhookReceiver]:
    with receiving() as fake:
        yield fake


@pytest.fixture
def place(postgres: EmbeddedPostgres) -> Place:
    return Place(postgres.admin_url)


async def until(what: Callable[[], Any], seconds: float = 15.0) -> None:
    """Until it is true; what it is comes from another thread or process."""
    async with asyncio.timeout(seconds):
        while not what():  # noqa: ASYNC110  # it is true in another thread or process
            await asyncio.sleep(0.01)


def outbox(admin: Admin, place: Place) -> list[tuple[object, ...]]:
    return admin.execute(
        "SELECT state, attempt, possibly_duplicate, error_class FROM outbox WHERE workspace_id = %s ORDER BY place",
        (place.workspace_id,),
    ).fetchall()


def all_are(admin: Admin, place: Place, state: str, count: int) -> bool:
    return [row[0] for row in outbox(admin, place)] == [state] * count


async def test_answers_arrive_signed_and_in_order(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    async with sending(postgres.app_url) as side:
        channel = await side.add(place, "webhook", receiver.url(lane))
        for n in range(5):
            await channel.post(side, "u1", f"hello {n}")
        await until(lambda: all_are(admin, place, "sent", 10))
    assert lane.texts == [f"{part} hello {n}" for n in range(5) for part in (1, 2)]
    assert lane.repeats() == {}
    first = lane.accepted[0]
    assert first.data["user_id"] == "u1"
    from datetime import UTC, datetime

    from connectors.webhook import signing

    signing.verify([channel.secret], first.headers, first.body, datetime.now(UTC))
