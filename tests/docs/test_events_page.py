"""The page about events: every type has an example with exactly the fields that are sent, and its code verifies."""

from __future__ import annotations

import json
import re
from typing import Any

import psycopg
import pytest

from graph_runtime.places import REPOSITORY
from graph_runtime.services.approvals import Approvals
from graph_runtime.services.event_subscriptions import EVENT_TYPES
from graph_runtime.services.hand_offs import HandOffs
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.approval_world import answer_by
from tests.delivery_world import Channel, Place, SendingProcess, sending
from tests.fakes.webhook_receiver import receiving
from tests.hand_off_world import add_member
from tests.integration.test_deliveries import until
from tests.integration.test_events import ENDS, FAILS, drain, events, talk

PAGE = (REPOSITORY / "docs" / "events.md").read_text("utf-8")
EXAMPLES: dict[str, dict[str, Any]] = {
    name: json.loads(body)
    for name, body in re.findall(r"### ([a-z_.]+)\n(?:(?!###).)*?```json\n(.*?)```", PAGE, re.DOTALL)
}
Admin = psycopg.Connection[tuple[object, ...]]


def shape(value: Any) -> Any:
    """Names and kinds; what a contact's facts are called is its own."""
    if isinstance(value, dict):
        return {k: "facts" if k in ("fields", "variables") else shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shape(v) for v in value[:1]]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def test_every_type_has_an_example() -> None:
    assert set(EXAMPLES) == set(EVENT_TYPES)


async def test_the_examples_are_what_is_sent_and_the_code_verifies(
    postgres: EmbeddedPostgres, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.execute("DELETE FROM workspace")
    ending, failing = Place(postgres.admin_url, ENDS), Place(postgres.admin_url, FAILS)
    scope: dict[str, Any] = {}
    exec(next(iter(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))), scope)
    with receiving() as fake:
        lane, hook = fake.lane(), fake.lane()
        async with sending(postgres.app_url, is_started=False) as side:
            for place in (ending, failing):
                made = await side.subscribe(place, fake.url(lane))
                await _all_that_happens(side, place, fake.url(hook), admin)
                admin.execute(
                    "INSERT INTO version (workspace_id, flow_id, number, document, content_hash, comment)"
                    " SELECT workspace_id, id, 2, '{}', 'h', 'First' FROM flow WHERE workspace_id = %s",
                    (place.workspace_id,),
                )
                hook.fail("bad_request")
                await side.sender.once()
                await drain(side)
                assert scope["is_genuine"](made.secret, lane.journal[-1].headers, lane.journal[-1].body)
                assert not scope["is_genuine"](made.secret, lane.journal[-1].headers, b"x")
            await until(lambda: {e["type"] for e in events(lane)} == set(EVENT_TYPES))
        for event in events(lane):
            assert set(event) == {"type", "timestamp", "data"}
            if event["type"] == "turn.ended" and event["data"]["waits"] == "":
                continue
            told, example = shape(event["data"]), shape(EXAMPLES[event["type"]])
            assert told == example, event["type"]


async def _all_that_happens(side: SendingProcess, place: Place, hook: str, admin: Admin) -> None:
    await talk(side, place, "Monday")
    channel = await side.add(place, "webhook", hook)
    await channel.post(side, "u1", "hello")
    await _a_person_takes_over(side, place, channel, admin)


async def _a_person_takes_over(side: SendingProcess, place: Place, channel: Channel, admin: Admin) -> None:
    """Taken, put back into the queue, taken again and given back."""
    people, anna = HandOffs(side), add_member(admin, channel.access(place), "Anna")
    talk = (await channel.post(side, "u2", "hello")).conversation_id
    if (await side.conversations.transcript(place.who, talk)).status == "ended":
        return
    answer_by(admin, channel.access(place), approval={"approves": "all"})
    await channel.post(side, "u3", "hello")
    approvals = Approvals(side)
    await approvals.decide(anna, (await approvals.list(anna))[0].id, "edit", "Changed")
    answer_by(admin, channel.access(place))
    await people.accept(anna, talk)
    await people.release(anna, talk)
    await people.accept(anna, talk)
    await people.give_back(anna, talk, note="promised", outcome="solved")
