"""Publishing: versions are immutable, numbered without gaps, made once per content, and can be brought back."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.edits import AddNode, ChangeSettings, Connect
from graph_runtime.contract.errors import AccessDenied, Conflict, FlowInvalid, NotFound
from graph_runtime.contract.flow import Node
from graph_runtime.services.agents import AgentRow
from graph_runtime.services.principal import PERMISSIONS, Principal
from tests.services.test_drafts import MESSAGE, save

FINISHED = (
    MESSAGE,
    AddNode(id="n_end", node=Node(type="end")),
    Connect(port="n_start.next", target="n_hi"),
    Connect(port="n_hi.next", target="n_end"),
)


async def ready(services: Services, owner: Principal) -> AgentRow:
    """An agent whose draft can be published, at revision 2."""
    agent = await services.agents.create(owner, name="Bot")
    await save(services, owner, agent.main_flow_id, *FINISHED)
    return agent


async def test_a_published_version_is_what_the_draft_was(services: Services, owner: Principal) -> None:
    agent = await ready(services, owner)
    preview = await services.publishing.preview(owner, agent.main_flow_id)
    assert (preview.number, preview.live_version, preview.errors, preview.revision) == (1, None, 0, 2)
    version = await services.publishing.publish(owner, agent.main_flow_id, revision=2, comment="First")
    assert (version.number, version.is_live) == (1, True)
    assert (await services.agents.get(owner, agent.id)).live_version == 1
    (listed,) = await services.publishing.versions(owner, agent.main_flow_id)
    assert (listed.comment, listed.author, listed.is_live) == ("First", "Acme", True)


async def test_a_double_click_publishes_once(services: Services, owner: Principal) -> None:
    agent = await ready(services, owner)
    flow_id = agent.main_flow_id
    both = await asyncio.gather(*(services.publishing.publish(owner, flow_id, revision=2) for _ in range(2)))
    assert [v.number for v in both] == [1, 1]
    assert both[0].id == both[1].id
    assert (await services.publishing.publish(owner, flow_id, revision=2)).number == 1


async def test_the_preview_says_what_changed(services: Services, owner: Principal) -> None:
    agent = await ready(services, owner)
    await services.publishing.publish(owner, agent.main_flow_id, revision=2)
    change = ChangeSettings(id="n_hi", set={"text": "Hello"})
    await save(services, owner, agent.main_flow_id, change, seq=2, base_revision=2)
    preview = await services.publishing.preview(owner, agent.main_flow_id)
    assert preview.number == 2
    assert [(c.message(), c.old, c.new) for f in preview.changes for c in f.changes] == [
        ("“Message”: “Text” changed", "Hi", "Hello")
    ]


async def test_problems_block_publishing_and_come_with_the_error(services: Services, owner: Principal) -> None:
    agent = await services.agents.create(owner, name="Bot")
    with pytest.raises(FlowInvalid) as refused:
        await services.publishing.publish(owner, agent.main_flow_id, revision=1)
    assert [p.code for p in refused.value.problems] == ["F001"]
    assert (await services.agents.get(owner, agent.id)).live_version is None


async def test_a_draft_that_moved_on_is_not_published_unseen(services: Services, owner: Principal) -> None:
    agent = await ready(services, owner)
    with pytest.raises(Conflict, match="Look at the changes again"):
        await services.publishing.publish(owner, agent.main_flow_id, revision=1)


async def test_the_database_refuses_to_change_a_version(
    services: Services, owner: Principal, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    agent = await ready(services, owner)
    version = await services.publishing.publish(owner, agent.main_flow_id, revision=2)
    with pytest.raises(psycopg.errors.RestrictViolation):
        admin.execute("UPDATE version SET document = '{}' WHERE id = %s", (version.id,))


async def test_back_to_a_published_version(services: Services, owner: Principal) -> None:
    agent = await ready(services, owner)
    await services.publishing.publish(owner, agent.main_flow_id, revision=2)
    before = (await services.drafts.open(owner, agent.main_flow_id)).flow
    change = ChangeSettings(id="n_hi", set={"text": "Worse"})
    await save(services, owner, agent.main_flow_id, change, seq=2, base_revision=2)
    await services.publishing.restore_draft(owner, agent.main_flow_id, 1)
    opened = await services.drafts.open(owner, agent.main_flow_id)
    assert (opened.flow, opened.revision) == (before, 4)
    with pytest.raises(NotFound):
        await services.publishing.restore_draft(owner, agent.main_flow_id, 9)


async def test_a_version_holds_the_sub_flows_it_needs(
    services: Services, owner: Principal, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    agent = await services.agents.create(owner, name="Bot")
    sub = await services.agents.add_flow(owner, agent.id, "Sub")
    await services.agents.add_flow(owner, agent.id, "Not used")
    end = AddNode(id="n_end", node=Node(type="end", name="Done"))
    await save(services, owner, sub.id, end, Connect(port="n_start.next", target="n_end"))
    call = AddNode(id="n_call", node=Node(type="run_flow", settings={"flow_id": sub.id}))
    wires = [
        Connect(port="n_start.next", target="n_call"),
        Connect(port="n_call.n_end", target="n_stop"),
        Connect(port="n_call.error", target="n_stop"),
    ]
    stop = AddNode(id="n_stop", node=Node(type="end"))
    await save(services, owner, agent.main_flow_id, call, stop, *wires)
    version = await services.publishing.publish(owner, sub.id, revision=2)
    row = admin.execute("SELECT bundle, flow_id::text FROM version WHERE id = %s", (version.id,)).fetchone()
    assert row is not None
    assert list(row[0]) == [sub.id]  # type: ignore[call-overload]
    assert row[1] == agent.main_flow_id
    with pytest.raises(Conflict, match="called by: Bot"):
        await services.agents.delete_flow(owner, sub.id)


async def test_circular_sub_flows_cannot_be_published(services: Services, owner: Principal) -> None:
    agent = await services.agents.create(owner, name="Bot")
    sub = await services.agents.add_flow(owner, agent.id, "Sub")
    for flow_id, target in ((sub.id, agent.main_flow_id), (agent.main_flow_id, sub.id)):
        call = AddNode(id="n_call", node=Node(type="run_flow", settings={"flow_id": target}))
        await save(services, owner, flow_id, call, Connect(port="n_start.next", target="n_call"))
    with pytest.raises(FlowInvalid) as refused:
        await services.publishing.publish(owner, agent.main_flow_id, revision=2)
    assert "F019" in [p.code for p in refused.value.problems]


async def test_a_test_snapshot_is_made_once_per_content_and_has_no_number(services: Services, owner: Principal) -> None:
    agent = await ready(services, owner)
    first = await services.publishing.snapshot(owner, agent.main_flow_id)
    assert await services.publishing.snapshot(owner, agent.main_flow_id) == first
    change = ChangeSettings(id="n_hi", set={"text": "Hello"})
    await save(services, owner, agent.main_flow_id, change, seq=2, base_revision=2)
    assert await services.publishing.snapshot(owner, agent.main_flow_id) != first
    assert await services.publishing.versions(owner, agent.main_flow_id) == []


async def test_walls(services: Services, owner: Principal, other_workspace: Principal) -> None:
    agent = await ready(services, owner)
    operator = Principal(owner.workspace_id, owner.member_id, "operator", PERMISSIONS["operator"])
    with pytest.raises(AccessDenied):
        await services.publishing.publish(operator, agent.main_flow_id, revision=2)
    for act in (
        services.publishing.publish(other_workspace, agent.main_flow_id, revision=2),
        services.publishing.preview(other_workspace, agent.main_flow_id),
        services.publishing.versions(other_workspace, agent.main_flow_id),
        services.publishing.snapshot(other_workspace, agent.main_flow_id),
        services.publishing.restore_draft(other_workspace, agent.main_flow_id, 1),
    ):
        with pytest.raises(NotFound):
            await act
