"""Event subscriptions over the public API: what a program sees from subscribing to deleting."""

from __future__ import annotations

from typing import Any, get_args

import httpx2
import pytest

from graph_runtime.api.routes.v1.event_shapes import EventType
from graph_runtime.bootstrap import Services
from graph_runtime.services.event_subscriptions import EVENT_TYPES
from tests.api.conftest import Address, Member, key_client

BODY = {"url": "https://example.com/events", "types": ["turn.ended", "flow.finished"], "description": "CRM"}
PATH = "/api/v1/event-subscriptions"


@pytest.fixture
async def api(services: Services, ann: Member, address: Address) -> Any:
    async with await key_client(services, ann.who, address, "events:read", "events:write") as client:
        yield client


def test_the_document_names_every_type() -> None:
    assert get_args(EventType) == EVENT_TYPES


async def test_from_subscribing_to_deleting(api: httpx2.AsyncClient, agent: Any) -> None:
    made = await api.post(PATH, json=BODY)
    assert made.status_code == 201
    one, secret = made.json()["subscription"], made.json()["secret"]
    assert secret.startswith("whsec_")
    assert (one["types"], one["agent_ids"], one["is_on"]) == (["turn.ended", "flow.finished"], None, True)
    place = f"{PATH}/{one['id']}"
    assert (await api.get(PATH)).json() == {"subscriptions": [one]}
    changed = await api.patch(place, json={"agent_ids": [agent.id], "is_on": False})
    assert (changed.json()["agent_ids"], changed.json()["is_on"], changed.json()["off_reason"]) == (
        [agent.id], False, "member",
    )  # fmt: skip
    assert (await api.post(f"{place}/test")).status_code == 409
    changed = await api.patch(place, json={"agent_ids": None, "is_on": True})
    assert (changed.json()["agent_ids"], changed.json()["description"]) == (None, "CRM")
    rotated = (await api.post(f"{place}/secret", json={"overlap_hours": 1})).json()
    assert rotated["secret"] != secret
    assert rotated["subscription"]["previous_until"]
    assert secret not in str((await api.get(place)).json())
    assert (await api.delete(place)).status_code == 204
    assert (await api.get(place)).status_code == 404
    assert (await api.get(PATH)).json() == {"subscriptions": []}


async def test_the_log_in_pages_and_a_test_once_per_key(api: httpx2.AsyncClient) -> None:
    one = (await api.post(PATH, json=BODY)).json()["subscription"]
    place = f"{PATH}/{one['id']}"
    key = {"Idempotency-Key": "t1"}
    first = await api.post(f"{place}/test", headers=key)
    again = await api.post(f"{place}/test", headers=key)
    assert (first.status_code, first.json()) == (202, again.json())
    assert first.json()["payload"]["type"] == "test"
    second = (await api.post(f"{place}/test")).json()
    page = (await api.get(f"{place}/deliveries", params={"limit": 1})).json()
    assert [d["id"] for d in page["deliveries"]] == [second["id"]]
    rest = (await api.get(f"{place}/deliveries", params={"before": page["next_before"]})).json()
    assert [d["id"] for d in rest["deliveries"]] == [first.json()["id"]]
    assert rest["next_before"] == ""
    assert (await api.get(f"{place}/deliveries/{second['id']}")).json()["key"] == second["key"]
    assert (await api.get(f"{place}/deliveries", params={"state": "sent"})).json()["deliveries"] == []
    replayed = await api.post(f"{place}/replay", json={"since": "2026-01-01T00:00:00Z"})
    assert (replayed.status_code, replayed.json()) == (202, {"replayed": 0})
    assert (await api.post(f"{place}/replay", json={"since": "2026-01-01T00:00:00"})).status_code == 422


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "http://example.com"}, "url"),
        ({"url": "nowhere"}, "url"),
        ({"agent_ids": ["x"]}, "agent_ids"),
    ],
)
async def test_what_is_refused_names_its_field(api: httpx2.AsyncClient, change: dict[str, Any], field: str) -> None:
    answer = await api.post(PATH, json=BODY | change)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


async def test_a_key_may_not_reach_into_the_network(api: httpx2.AsyncClient) -> None:
    inside = {"url": "http://10.0.0.5/x", "allow_private_host": True}
    assert (await api.post(PATH, json=BODY | inside)).status_code == 403
    assert (await api.post(PATH, json=BODY | {"types": ["nothing"]})).status_code == 422
