"""Publishing in trouble: gapless numbers, blocking errors, stale and damaged sub-flows, tests of unfinished flows."""

import asyncio

import psycopg
import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.edits import ChangeSettings, Edit, MoveNode, RemoveNode
from graph_runtime.contract.errors import AccessDenied, FlowInvalid, NotFound
from graph_runtime.services.principal import PERMISSIONS, Principal
from tests.services.flows import HELLO, Editor, new_agent, node, text, wire

Admin = psycopg.Connection[tuple[object, ...]]


async def with_sub_flow(services: Services, owner: Principal) -> tuple[Editor, Editor]:
    """Editors of a main flow that calls a sub-flow, and of that sub-flow; both without problems."""
    agent, main = await new_agent(services, owner, *HELLO)
    sub = await services.agents.add_flow(owner, agent.id, "Address")
    inside = Editor(services, owner, sub.id)
    await inside.save(node("n_done", "end"), wire("n_start.next", "n_done"))
    await main.save(
        node("n_sub", "run_flow", flow_id=sub.id), wire("n_hello.next", "n_sub"), wire("n_sub.n_done", "n_end")
    )
    return main, inside


async def test_publishing_makes_gapless_versions_and_the_last_is_live(services: Services, owner: Principal) -> None:
    agent, editor = await new_agent(services, owner, *HELLO)
    for number in (1, 2, 3):
        version = await services.publishing.publish(
            owner, editor.flow_id, revision=editor.revision, comment=f"no. {number}"
        )
        assert (version.number, version.is_live) == (number, True)
        await editor.save(text("n_hello", f"Hello {number}"))
    history = await services.publishing.versions(owner, editor.flow_id)
    assert [(v.number, v.is_live, v.comment, v.author) for v in history] == [
        (3, True, "no. 3", "Acme"), (2, False, "no. 2", "Acme"), (1, False, "no. 1", "Acme"),
    ]  # fmt: skip
    assert (await services.agents.get(owner, agent.id)).live_version == 3


async def test_moving_steps_about_is_nothing_to_publish(services: Services, owner: Principal) -> None:
    _, editor = await new_agent(services, owner, *HELLO)
    await services.publishing.publish(owner, editor.flow_id, revision=editor.revision)
    await editor.save(MoveNode(id="n_hello", at=(500, 500)))
    assert (await services.publishing.preview(owner, editor.flow_id)).changes == ()
    assert (await services.publishing.publish(owner, editor.flow_id, revision=editor.revision)).number == 1


@pytest.mark.parametrize(
    ("edits", "code"),
    [
        ([RemoveNode(id="n_start")], "F022"),
        ([RemoveNode(id="n_end")], "F001"),
        ([text("n_hello", "")], "F003"),
        ([node("n_odd", "not_installed"), wire("n_hello.next", "n_odd")], "F020"),
        ([text("n_hello", "{{ var.nobody }}")], "F017"),
        ([wire("n_hello.next", "n_hello")], "F005"),
        ([wire("n_hello.gone", "n_end")], "F016"),
        ([node("n_sub", "run_flow", flow_id="gone"), wire("n_hello.next", "n_sub")], "F023"),
    ],
)
async def test_an_error_blocks_publishing_and_is_named(
    services: Services, owner: Principal, edits: list[Edit], code: str
) -> None:
    _, editor = await new_agent(services, owner, *HELLO)
    await editor.save(*edits)
    with pytest.raises(FlowInvalid) as caught:
        await services.publishing.publish(owner, editor.flow_id, revision=editor.revision)
    assert code in {p.code for p in caught.value.problems if p.level == "error"}
    assert await services.publishing.versions(owner, editor.flow_id) == []


async def test_a_version_pins_its_sub_flows(services: Services, owner: Principal, admin: Admin) -> None:
    main, inside = await with_sub_flow(services, owner)
    first = await services.publishing.publish(owner, main.flow_id, revision=main.revision)
    await inside.save(ChangeSettings(id="n_done", set={"result": "changed"}))
    stored = admin.execute("SELECT bundle FROM version WHERE id = %s", (first.id,)).fetchone()
    assert stored is not None
    assert stored[0][inside.flow_id]["nodes"]["n_done"]["settings"] == {}  # type: ignore[index]
    second = await services.publishing.publish(owner, inside.flow_id, revision=inside.revision)
    assert second.number == 2  # from the sub-flow's page: the agent as a whole
    assert [v.number for v in await services.publishing.versions(owner, main.flow_id)] == [2, 1]


async def test_a_sub_flow_with_a_new_end_blocks_until_it_is_wired(services: Services, owner: Principal) -> None:
    main, inside = await with_sub_flow(services, owner)
    await inside.save(node("n_other", "end"), wire("n_start.next", "n_other"))
    preview = await services.publishing.preview(owner, main.flow_id)
    problems = [p for c in preview.checks if c.flow_id == main.flow_id for p in c.problems]
    assert [(p.code, p.node_id, p.port) for p in problems if p.level == "error"] == [("F001", "n_sub", "n_other")]


async def test_an_error_in_a_sub_flow_blocks_too(services: Services, owner: Principal) -> None:
    main, inside = await with_sub_flow(services, owner)
    await inside.save(
        node("n_say", "send_message", text=""), wire("n_start.next", "n_say"), wire("n_say.next", "n_done")
    )
    with pytest.raises(FlowInvalid):
        await services.publishing.publish(owner, main.flow_id, revision=main.revision)


async def test_a_damaged_draft_comes_back_from_its_version(services: Services, owner: Principal, admin: Admin) -> None:
    _, editor = await new_agent(services, owner, *HELLO)
    await services.publishing.publish(owner, editor.flow_id, revision=editor.revision)
    admin.execute("UPDATE flow SET document = '{}'")
    await services.publishing.restore_draft(owner, editor.flow_id, 1)
    assert (await services.drafts.open(owner, editor.flow_id)).flow.nodes.keys() == {"n_start", "n_hello", "n_end"}


async def test_a_test_takes_the_draft_as_it_is_and_makes_no_copy_of_the_same(
    services: Services, owner: Principal, admin: Admin
) -> None:
    _, editor = await new_agent(services, owner, *HELLO)
    await editor.save(RemoveNode(id="n_end"))  # could not be published
    one = await services.publishing.snapshot(owner, editor.flow_id)
    await editor.save(MoveNode(id="n_hello", at=(9, 9)))
    assert await services.publishing.snapshot(owner, editor.flow_id) == one
    await editor.save(text("n_hello", "Other words"))
    both = await asyncio.gather(*(services.publishing.snapshot(owner, editor.flow_id) for _ in range(4)))
    assert len(set(both)) == 1
    assert both[0] != one
    assert await services.publishing.versions(owner, editor.flow_id) == []
    assert admin.execute("SELECT count(*), count(number) FROM version").fetchone() == (2, 0)


async def test_who_may(services: Services, owner: Principal, other_workspace: Principal) -> None:
    _, editor = await new_agent(services, owner, *HELLO)
    viewer = Principal(owner.workspace_id, owner.member_id, "viewer", PERMISSIONS["viewer"])
    await services.publishing.preview(viewer, editor.flow_id)
    for refused in (
        services.publishing.publish(viewer, editor.flow_id, revision=2),
        services.publishing.restore_draft(viewer, editor.flow_id, 1),
        services.publishing.snapshot(viewer, editor.flow_id),
    ):
        with pytest.raises(AccessDenied):
            await refused
    for unknown in (
        services.publishing.preview(other_workspace, editor.flow_id),
        services.publishing.publish(other_workspace, editor.flow_id, revision=2),
        services.publishing.versions(other_workspace, editor.flow_id),
        services.publishing.restore_draft(other_workspace, editor.flow_id, 1),
        services.publishing.snapshot(other_workspace, editor.flow_id),
    ):
        with pytest.raises(NotFound):
            await unknown
