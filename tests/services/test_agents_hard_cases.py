"""Agents with all that belongs to them: copies, deletion, damage, keys of other workspaces."""

import psycopg
import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import AccessDenied, Conflict, FlowDamaged, InputInvalid, NotFound
from graph_runtime.services.principal import PERMISSIONS, Principal
from tests.services.flows import HELLO, Editor, new_agent, node, wire

Admin = psycopg.Connection[tuple[object, ...]]


async def test_it_has_the_channels_that_need_no_setting_up(services: Services, owner: Principal, admin: Admin) -> None:
    agent = await services.agents.create(owner, name="Shop")
    found = admin.execute("SELECT connector, length(public_id) >= 22 FROM channel ORDER BY connector").fetchall()
    assert found == [("api", True), ("test", True), ("web_chat", True)]
    assert len(agent.public_id) >= 22
    async with services.database.system() as system:
        row = await (await system.execute("SELECT * FROM find_channel(%s, 'web_chat')", (agent.public_id,))).fetchone()
    assert row is not None
    assert (row["workspace_id"], row["agent_id"], row["is_on"]) == (owner.workspace_id, agent.id, agent.is_on)


async def test_a_copy_shares_nothing_but_the_words(services: Services, owner: Principal, admin: Admin) -> None:
    agent, main = await new_agent(services, owner, *HELLO)
    sub = await services.agents.add_flow(owner, agent.id, "Address")
    await Editor(services, owner, sub.id).save(node("n_done", "end"), wire("n_start.next", "n_done"))
    await main.save(
        node("n_sub", "run_flow", flow_id=sub.id), wire("n_hello.next", "n_sub"), wire("n_sub.n_done", "n_end")
    )
    await services.agents.bind(owner, agent.id, "llm", credential_id=None, connector="demo_model", model="demo")
    await services.publishing.publish(owner, agent.main_flow_id, revision=main.revision)
    copy = await services.agents.duplicate(owner, agent.id)
    assert (copy.name, copy.live_version, copy.flows) == ("Shop (2)", None, 2)
    assert copy.public_id != agent.public_id
    of_copy = {f.kind: f.id for f in await services.agents.flows(owner, copy.id)}
    assert {*of_copy.values()}.isdisjoint({agent.main_flow_id, sub.id})
    flow = (await services.drafts.open(owner, copy.main_flow_id)).flow
    assert flow.nodes["n_sub"].settings["flow_id"] == of_copy["sub"]
    assert [b.connector for b in await services.agents.connections(owner, copy.id)] == ["demo_model"]
    published = await services.publishing.publish(owner, copy.main_flow_id, revision=1)
    assert published.number == 1


async def test_deleting_says_what_goes_and_takes_it(services: Services, owner: Principal, admin: Admin) -> None:
    agent, editor = await new_agent(services, owner, *HELLO)
    other = await services.agents.create(owner, name="Stays")
    await services.publishing.publish(owner, editor.flow_id, revision=editor.revision)
    await services.publishing.snapshot(owner, editor.flow_id)
    admin.execute(
        "WITH c AS (INSERT INTO contact (workspace_id) VALUES (%(w)s) RETURNING id)"
        " INSERT INTO conversation (workspace_id, agent_id, contact_id, version_id, channel_kind, language, status)"
        " SELECT %(w)s, %(a)s, c.id, v.id, 'web_chat', 'en', s FROM c, version v, unnest(ARRAY['open', 'ended']) s"
        " WHERE number = 1",
        {"w": owner.workspace_id, "a": agent.id},
    )
    affected = await services.agents.what_delete_affects(owner, agent.id)
    assert (affected.open_conversations, affected.conversations, affected.flows, affected.versions) == (1, 2, 1, 1)
    assert (await services.agents.get(owner, agent.id)).conversations_today == 2
    await services.agents.delete(owner, agent.id)
    assert [a.id for a in await services.agents.list(owner)] == [other.id]
    assert admin.execute("SELECT count(*) FROM conversation").fetchone() == (0,)
    with pytest.raises(NotFound):
        await services.agents.delete(owner, agent.id)


async def test_a_sub_flow_in_use_is_kept(services: Services, owner: Principal) -> None:
    agent, main = await new_agent(services, owner)
    sub = await services.agents.add_flow(owner, agent.id, "Address")
    await main.save(node("n_sub", "run_flow", flow_id=sub.id))
    with pytest.raises(Conflict, match="Shop"):
        await services.agents.delete_flow(owner, sub.id)
    with pytest.raises(Conflict, match="main flow"):
        await services.agents.delete_flow(owner, agent.main_flow_id)
    unused = await services.agents.add_flow(owner, agent.id, "Unused")
    await services.agents.delete_flow(owner, unused.id)
    assert [f.name for f in await services.agents.flows(owner, agent.id)] == ["Shop", "Address"]


async def test_a_damaged_agent_is_not_copied(services: Services, owner: Principal, admin: Admin) -> None:
    agent = await services.agents.create(owner, name="Shop")
    admin.execute("UPDATE flow SET document = '{}'")
    with pytest.raises(FlowDamaged, match="restore a version"):
        await services.agents.duplicate(owner, agent.id)
    with pytest.raises(FlowDamaged):
        await services.agents.import_flow(owner, agent.id, '{"format": "flow/9"}')


async def test_binding_needs_a_key_of_this_workspace(
    services: Services, owner: Principal, other_workspace: Principal
) -> None:
    agent = await services.agents.create(owner, name="Shop")
    foreign = await services.credentials.create(other_workspace, "openai", "Theirs", {"key": "sk-0123456789abcdef"})
    mine = await services.credentials.create(owner, "openai", "Ours", {"key": "sk-0123456789abcdef"})
    for credential_id, connector in ((foreign.id, "openai"), (mine.id, "anthropic"), ("no-id", "openai")):
        with pytest.raises(NotFound):
            await services.agents.bind(
                owner, agent.id, "llm", credential_id=credential_id, connector=connector, model="m"
            )
    with pytest.raises(InputInvalid):
        await services.agents.bind(owner, agent.id, "llm", credential_id=None, connector="openai", model="m")
    await services.agents.bind(owner, agent.id, "llm", credential_id=mine.id, connector="openai", model="m")
    (model,) = await services.models.chat_model(owner.workspace_id, agent.id, "llm")
    assert model.name == "m"
    await services.agents.bind(owner, agent.id, "llm", credential_id=None, connector="")
    assert await services.agents.connections(owner, agent.id) == []


async def test_who_may(services: Services, owner: Principal, other_workspace: Principal) -> None:
    agent = await services.agents.create(owner, name="Shop")
    viewer = Principal(owner.workspace_id, owner.member_id, "viewer", PERMISSIONS["viewer"])
    assert [a.id for a in await services.agents.list(viewer)] == [agent.id]
    assert await services.agents.list(other_workspace) == []
    service = services.agents

    def attempts(who: Principal) -> tuple[object, ...]:
        return (
            service.update(who, agent.id, name="Mine"),
            service.set_on(who, agent.id, False),
            service.duplicate(who, agent.id),
            service.what_delete_affects(who, agent.id),
            service.delete(who, agent.id),
            service.add_flow(who, agent.id, "F"),
            service.delete_flow(who, agent.main_flow_id),
            service.bind(who, agent.id, "llm", credential_id=None, connector="demo_model", model=""),
        )

    for attempt in attempts(viewer):
        with pytest.raises(AccessDenied):
            await attempt  # type: ignore[misc]
    for attempt in (
        *attempts(other_workspace),
        service.get(other_workspace, agent.id),
        service.flows(other_workspace, agent.id),
    ):
        with pytest.raises(NotFound):
            await attempt  # type: ignore[misc]
