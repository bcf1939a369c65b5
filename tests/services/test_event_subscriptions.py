"""Event subscriptions: who may, what is refused and why, secrets at rest, and that every change is in the audit log."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import AccessDenied, InputInvalid, NotFound
from graph_runtime.services.event_subscriptions import MOST_SUBSCRIPTIONS, SubscriptionChange
from graph_runtime.services.principal import PERMISSIONS, Principal

URL = "https://example.com/events"


def program(owner: Principal, *permissions: str) -> Principal:
    return Principal(owner.workspace_id, owner.member_id, "api", frozenset(permissions), "k")


async def test_what_was_entered_is_shown_and_the_secret_only_once(
    services: Services, owner: Principal, admin: Any
) -> None:
    row, secret = await services.event_subscriptions.create(
        owner, f" {URL} ", ["turn.ended", "conversation.started"], description="  Our   CRM "
    )
    assert (row.url, row.description) == (URL, "Our CRM")
    assert row.types == ("conversation.started", "turn.ended")
    assert (row.is_on, row.off_reason, row.agent_ids, row.sent) == (True, "", None, 0)
    assert secret.startswith("whsec_")
    assert await services.event_subscriptions.list(owner) == [row]
    assert secret not in str(asdict(row))
    stored = admin.execute("SELECT * FROM event_subscription").fetchall()
    assert secret not in str(stored)
    assert secret.removeprefix("whsec_") not in str(stored)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "http://example.com"}, "url"),
        ({"url": "https://user:pass@example.com"}, "url"),
        ({"url": "https://example.com/" + "x" * 2000}, "url"),
        ({"types": []}, "types"),
        ({"types": ["test"]}, "types"),
        ({"types": ["turn.ended", "everything"]}, "types"),
        ({"description": "x" * 201}, "description"),
        ({"agent_ids": []}, "agent_ids"),
        ({"agent_ids": ["x"]}, "agent_ids"),
        ({"agent_ids": ["0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"]}, "agent_ids"),
    ],
)
async def test_what_does_not_fit_is_refused_with_its_field(
    services: Services, owner: Principal, more: dict[str, Any], field: str
) -> None:
    values: dict[str, Any] = {"url": URL, "types": ["turn.ended"]} | more
    with pytest.raises(InputInvalid) as refused:
        await services.event_subscriptions.create(owner, values.pop("url"), values.pop("types"), **values)
    assert refused.value.field == field
    assert await services.event_subscriptions.list(owner) == []


async def test_a_change_keeps_what_is_left_out(services: Services, owner: Principal) -> None:
    agent = await services.agents.create(owner, name="Reception", language="en")
    subscriptions = services.event_subscriptions
    row, _ = await subscriptions.create(owner, URL, ["turn.ended"], description="CRM")
    changed = await subscriptions.update(owner, row.id, SubscriptionChange(agent_ids=[agent.id]))
    assert (changed.url, changed.description, changed.types) == (row.url, row.description, row.types)
    assert changed.agent_ids == (agent.id,)
    changed = await subscriptions.update(owner, row.id, SubscriptionChange(types=["flow.finished"], all_agents=True))
    assert (changed.types, changed.agent_ids) == (("flow.finished",), None)
    with pytest.raises(InputInvalid):
        await subscriptions.update(owner, row.id, SubscriptionChange(url="nowhere"))
    with pytest.raises(InputInvalid):
        await subscriptions.rotate_secret(owner, row.id, overlap_hours=169)


async def test_only_who_may_change_settings_lets_one_reach_into_the_network(
    services: Services, owner: Principal
) -> None:
    subscriptions, key = services.event_subscriptions, program(owner, "event.read", "event.manage")
    with pytest.raises(AccessDenied):
        await subscriptions.create(key, "http://10.0.0.5/x", ["turn.ended"], allow_private_host=True)
    row, _ = await subscriptions.create(owner, "http://10.0.0.5/x", ["turn.ended"], allow_private_host=True)
    with pytest.raises(AccessDenied):
        await subscriptions.update(key, row.id, SubscriptionChange(url="http://10.0.0.6/x"))
    changed = await subscriptions.update(key, row.id, SubscriptionChange(description="still there"))
    assert changed.url == "http://10.0.0.5/x"
    with pytest.raises(InputInvalid):
        await subscriptions.update(key, row.id, SubscriptionChange(allow_private_host=False))
    public = await subscriptions.update(key, row.id, SubscriptionChange(url=URL, allow_private_host=False))
    with pytest.raises(AccessDenied):
        await subscriptions.update(key, public.id, SubscriptionChange(allow_private_host=True))


async def test_only_who_may_reads_and_manages(services: Services, owner: Principal, other_workspace: Principal) -> None:
    subscriptions, log = services.event_subscriptions, services.event_log
    row, _ = await subscriptions.create(owner, URL, ["turn.ended"])
    for role in ("editor", "operator", "viewer"):
        member = Principal(owner.workspace_id, owner.member_id, role, PERMISSIONS[role])
        with pytest.raises(AccessDenied):
            await subscriptions.list(member)
    reader = program(owner, "event.read")
    assert await subscriptions.get(reader, row.id) == row
    assert await log.list(reader, row.id) == []
    deeds: list[Any] = [
        lambda who: subscriptions.update(who, row.id, SubscriptionChange(description="x")),
        lambda who: subscriptions.set_on(who, row.id, False),
        lambda who: subscriptions.rotate_secret(who, row.id),
        lambda who: subscriptions.delete(who, row.id),
        lambda who: log.send_test(who, row.id),
        lambda who: log.replay(who, row.id, row.id),
        lambda who: log.replay_failed(who, row.id, row.created_at),
    ]
    for deed in deeds:
        with pytest.raises(AccessDenied):
            await deed(reader)
        with pytest.raises(NotFound):
            await deed(other_workspace)
    for read in (lambda who: subscriptions.get(who, row.id), lambda who: log.list(who, row.id)):
        with pytest.raises(AccessDenied):
            await read(program(owner))
        with pytest.raises(NotFound):
            await read(other_workspace)
    assert await subscriptions.list(owner) == [row]


async def test_a_workspace_has_at_most_so_many(services: Services, owner: Principal) -> None:
    for _ in range(MOST_SUBSCRIPTIONS):
        await services.event_subscriptions.create(owner, URL, ["turn.ended"])
    with pytest.raises(InputInvalid):
        await services.event_subscriptions.create(owner, URL, ["turn.ended"])


async def test_every_change_is_in_the_audit_log(services: Services, owner: Principal, admin: Any) -> None:
    subscriptions = services.event_subscriptions
    row, _ = await subscriptions.create(owner, URL, ["turn.ended"])
    await subscriptions.update(owner, row.id, SubscriptionChange(description="x"))
    await subscriptions.set_on(owner, row.id, is_on=False)
    await subscriptions.set_on(owner, row.id, is_on=False)
    await subscriptions.set_on(owner, row.id, is_on=True)
    await subscriptions.rotate_secret(owner, row.id)
    await subscriptions.delete(owner, row.id)
    found = admin.execute(
        "SELECT action FROM audit WHERE workspace_id = %s AND action LIKE 'event%%' ORDER BY seq", (owner.workspace_id,)
    ).fetchall()
    assert [a.rpartition(".")[2] for (a,) in found] == [
        "created", "changed", "switched_off", "switched_on", "secret_changed", "deleted",
    ]  # fmt: skip


async def test_a_new_data_key_seals_these_secrets_too(services: Services, owner: Principal) -> None:
    row, secret = await services.event_subscriptions.create(owner, URL, ["turn.ended"])
    await services.vault.renew(owner.workspace_id)
    opened = await services.event_sending._subscriptions.get(owner.workspace_id, row.id, 99)
    assert opened.secrets() == [secret]


async def test_publishing_is_told(services: Services, owner: Principal, admin: Any) -> None:
    from tests.api.flows import GREETING

    agent = await services.agents.create(owner, name="Reception", language="en")
    row, _ = await services.event_subscriptions.create(owner, URL, ["flow.published"], agent_ids=[agent.id])
    await services.drafts.replace(owner, agent.main_flow_id, GREETING)
    draft = await services.drafts.open(owner, agent.main_flow_id)
    version = await services.publishing.publish(owner, agent.main_flow_id, revision=draft.revision, comment="First")
    (told,) = await services.event_log.list(owner, row.id)
    assert told.type == told.payload["type"] == "flow.published"
    assert told.payload["data"] == {
        "agent_id": agent.id, "flow_id": agent.main_flow_id, "name": GREETING["name"], "kind": "main",
        "version_id": version.id, "version": 1, "comment": "First",
    }  # fmt: skip
