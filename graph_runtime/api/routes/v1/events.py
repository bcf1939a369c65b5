"""Event subscriptions over the public API: who is told what, the log, sending again, trying it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.encoders import jsonable_encoder
from starlette.responses import Response

from graph_runtime.api.access import key_with, router, services_of
from graph_runtime.api.routes.v1.conversations import once
from graph_runtime.api.routes.v1.event_shapes import (
    Deliveries,
    Delivery,
    ListedDeliveries,
    NewSecret,
    NewSubscription,
    Replayed,
    ReplayFailed,
    Subscription,
    SubscriptionPatch,
    Subscriptions,
    SubscriptionWithSecret,
)
from graph_runtime.api.routes.v1.shapes import IdempotencyKey
from graph_runtime.services.event_subscriptions import SubscriptionChange
from graph_runtime.services.idempotency import Answer
from graph_runtime.services.principal import Principal

may_read = key_with("events:read")
may_write = key_with("events:write")
reading = router(may_read, "/api/v1", tags=["Events"])
writing = router(may_write, "/api/v1", tags=["Events"])
Reader = Annotated[Principal, Depends(may_read)]
Writer = Annotated[Principal, Depends(may_write)]


@reading.get("/event-subscriptions", response_model=Subscriptions, summary="List event subscriptions")
async def list_subscriptions(request: Request, who: Reader) -> Any:
    """All of the workspace, oldest first."""
    return {"subscriptions": await services_of(request).event_subscriptions.list(who)}


@writing.post(
    "/event-subscriptions", status_code=201, response_model=SubscriptionWithSecret, summary="Subscribe to events"
)
async def subscribe(
    request: Request, body: NewSubscription, who: Writer
) -> Any:  # fmt: skip
    """Be told what happens. The answer holds the secret to verify signatures with; it is not shown again."""
    row, secret = await services_of(request).event_subscriptions.create(
        who,
        body.url,
        body.types,
        description=body.description,
        agent_ids=body.agent_ids,
        allow_private_host=body.allow_private_host,
    )
    return {"subscription": row, "secret": secret}


@reading.get("/event-subscriptions/{subscription_id}", response_model=Subscription, summary="Read a subscription")
async def read_subscription(request: Request, subscription_id: str, who: Reader) -> Any:
    """One subscription, without its secret."""
    return await services_of(request).event_subscriptions.get(who, subscription_id)


@writing.patch("/event-subscriptions/{subscription_id}", response_model=Subscription, summary="Change a subscription")
async def change_subscription(request: Request, subscription_id: str, body: SubscriptionPatch, who: Writer) -> Any:
    """Change a subscription, or switch it on or off. `agent_ids: null` tells about every agent."""
    subscriptions = services_of(request).event_subscriptions
    change = SubscriptionChange(
        url=body.url,
        description=body.description,
        types=body.types,
        agent_ids=body.agent_ids,
        all_agents=body.agent_ids is None and "agent_ids" in body.model_fields_set,
        allow_private_host=body.allow_private_host,
    )
    row = await subscriptions.update(who, subscription_id, change)
    return row if body.is_on is None else await subscriptions.set_on(who, subscription_id, body.is_on)


@writing.delete("/event-subscriptions/{subscription_id}", status_code=204, summary="Delete a subscription")
async def delete_subscription(request: Request, subscription_id: str, who: Writer) -> None:
    """Delete it with its log; what is on its way is not sent any more."""
    await services_of(request).event_subscriptions.delete(who, subscription_id)


@writing.post(
    "/event-subscriptions/{subscription_id}/secret", response_model=SubscriptionWithSecret, summary="Make a new secret"
)
async def new_secret(request: Request, subscription_id: str, body: NewSecret, who: Writer) -> Any:
    """A new secret; until the overlap is over, every event carries a signature of both."""
    row, secret = await services_of(request).event_subscriptions.rotate_secret(
        who, subscription_id, overlap_hours=body.overlap_hours
    )
    return {"subscription": row, "secret": secret}


@reading.get(
    "/event-subscriptions/{subscription_id}/deliveries", response_model=Deliveries, summary="Read a subscription's log"
)
async def deliveries(
    request: Request, subscription_id: str, who: Reader, wanted: Annotated[ListedDeliveries, Query()]
) -> Any:
    """Its events and how they went, newest first."""
    rows = await services_of(request).event_log.list(
        who, subscription_id, state=wanted.state, type=wanted.type, before=wanted.before, limit=wanted.limit
    )
    return {"deliveries": rows, "next_before": rows[-1].id if len(rows) == wanted.limit else ""}


@reading.get(
    "/event-subscriptions/{subscription_id}/deliveries/{delivery_id}",
    response_model=Delivery,
    summary="Read an event of a log",
)
async def delivery(request: Request, subscription_id: str, delivery_id: str, who: Reader) -> Any:
    """One event and how it went."""
    return await services_of(request).event_log.get(who, subscription_id, delivery_id)


@writing.post(
    "/event-subscriptions/{subscription_id}/deliveries/{delivery_id}/replay",
    response_model=Delivery,
    status_code=202,
    summary="Send an event again",
)
async def replay(request: Request, subscription_id: str, delivery_id: str, who: Writer) -> Any:
    """Send it again at once, under the `webhook-id` it had."""
    return await services_of(request).event_log.replay(who, subscription_id, delivery_id)


@writing.post(
    "/event-subscriptions/{subscription_id}/replay",
    response_model=Replayed,
    status_code=202,
    summary="Send all that failed again",
)
async def replay_failed(request: Request, subscription_id: str, body: ReplayFailed, who: Writer) -> Any:
    """Send everything that was given up since a moment again, the oldest first."""
    return {"replayed": await services_of(request).event_log.replay_failed(who, subscription_id, body.since)}


@writing.post(
    "/event-subscriptions/{subscription_id}/test",
    response_model=Delivery,
    status_code=202,
    summary="Send a test event",
)
async def send_test(
    request: Request, subscription_id: str, who: Writer, idempotency_key: IdempotencyKey = None
) -> Response:
    """Send an event of the type `test` to this subscription; read its delivery to see how it went."""

    async def act() -> Answer:
        sent = await services_of(request).event_log.send_test(who, subscription_id)
        return Answer(202, jsonable_encoder(Delivery.model_validate(sent)))

    return await once(request, who, idempotency_key, act)
