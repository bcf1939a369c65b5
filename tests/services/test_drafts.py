"""Drafts: a batch is saved once, edits elsewhere are rebased, clashes are told, nothing typed is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.edits import AddNode, ChangeSettings, Connect, Edit, MoveNode, RemoveNode
from graph_runtime.contract.errors import AccessDenied, EditInvalid, FlowDamaged, NotFound
from graph_runtime.contract.flow import Node
from graph_runtime.services.drafts import DraftConflict
from graph_runtime.services.principal import PERMISSIONS, Principal

MESSAGE = AddNode(id="n_hi", node=Node(type="send_message", settings={"text": "Hi"}), at=(320, 0))


async def new_flow(services: Services, owner: Principal) -> str:
    """The main flow of a new empty agent."""
    return (await services.agents.create(owner, name="Bot")).main_flow_id


async def save(services: Services, who: Principal, flow_id: str, *edits: Edit, **more: Any) -> Any:
    """Save a batch of one tab."""
    values: dict[str, Any] = {"client": "tab-1", "seq": 1, "base_revision": 1} | more
    return await services.drafts.apply(who, flow_id, edits=list(edits), **values)


async def test_a_saved_batch_is_there_after_opening_again(services: Services, owner: Principal) -> None:
    flow_id = await new_flow(services, owner)
    applied = await save(services, owner, flow_id, MESSAGE, Connect(port="n_start.next", target="n_hi"))
    opened = await services.drafts.open(owner, flow_id)
    assert (applied.revision, opened.revision) == (2, 2)
    assert opened.flow.nodes["n_hi"].settings == {"text": "Hi"}
    assert [p.code for p in opened.problems] == ["F001"]


async def test_a_repeated_batch_is_answered_and_not_applied_again(services: Services, owner: Principal) -> None:
    flow_id = await new_flow(services, owner)
    first = await save(services, owner, flow_id, MESSAGE)
    again = await save(services, owner, flow_id, MESSAGE)
    assert (first.repeated, again.repeated) == (False, True)
    assert again.revision == first.revision == (await services.drafts.open(owner, flow_id)).revision


async def test_the_same_batch_sent_twice_at_once_is_applied_once(services: Services, owner: Principal) -> None:
    flow_id = await new_flow(services, owner)
    both = await asyncio.gather(*(save(services, owner, flow_id, MESSAGE) for _ in range(2)))
    assert sorted(a.repeated for a in both) == [False, True]


async def test_two_tabs_that_touch_different_places_both_win(services: Services, owner: Principal) -> None:
    flow_id = await new_flow(services, owner)
    await save(services, owner, flow_id, MESSAGE)
    text = ChangeSettings(id="n_hi", set={"text": "Hello"})
    await save(services, owner, flow_id, text, client="tab-2", base_revision=2)
    moved = await save(services, owner, flow_id, MoveNode(id="n_hi", at=(9, 9)), seq=2, base_revision=2)
    assert moved.others == (text,)
    assert moved.flow.nodes["n_hi"].settings["text"] == "Hello"
    assert moved.flow.layout.nodes["n_hi"] == (9, 9)


async def test_a_clash_carries_the_present_state_and_writes_nothing(services: Services, owner: Principal) -> None:
    flow_id = await new_flow(services, owner)
    await save(services, owner, flow_id, MESSAGE)
    theirs = ChangeSettings(id="n_hi", set={"text": "Theirs"})
    await save(services, owner, flow_id, theirs, client="tab-2", base_revision=2)
    mine = ChangeSettings(id="n_hi", set={"text": "Mine"})
    with pytest.raises(DraftConflict) as clash:
        await save(services, owner, flow_id, mine, seq=2, base_revision=2)
    assert clash.value.paths == {"nodes/n_hi/settings/text"}
    assert clash.value.flow.nodes["n_hi"].settings["text"] == "Theirs"
    resolved = await save(services, owner, flow_id, mine, seq=2, base_revision=clash.value.revision)
    assert resolved.flow.nodes["n_hi"].settings["text"] == "Mine"


async def test_changing_a_step_that_another_tab_deleted_is_a_clash(services: Services, owner: Principal) -> None:
    flow_id = await new_flow(services, owner)
    await save(services, owner, flow_id, MESSAGE)
    await save(services, owner, flow_id, RemoveNode(id="n_hi"), client="tab-2", base_revision=2)
    with pytest.raises(DraftConflict):
        await save(services, owner, flow_id, MoveNode(id="n_hi", at=(1, 1)), seq=2, base_revision=2)


async def test_a_bad_edit_takes_its_whole_batch_back(services: Services, owner: Principal) -> None:
    flow_id = await new_flow(services, owner)
    with pytest.raises(EditInvalid):
        await save(services, owner, flow_id, MESSAGE, RemoveNode(id="n_gone"))
    opened = await services.drafts.open(owner, flow_id)
    assert opened.revision == 1
    assert "n_hi" not in opened.flow.nodes


async def test_a_step_that_calls_a_sub_flow_shows_its_exits(services: Services, owner: Principal) -> None:
    agent = await services.agents.create(owner, name="Bot")
    sub = await services.agents.add_flow(owner, agent.id, "Ask address")
    end = Node(type="end", name="Address known")
    await save(services, owner, sub.id, AddNode(id="n_end", node=end), Connect(port="n_start.next", target="n_end"))
    call = AddNode(id="n_call", node=Node(type="run_flow", settings={"flow_id": sub.id}))
    applied = await save(services, owner, agent.main_flow_id, call)
    exits = [{"id": "n_end", "label": "Address known"}]
    assert applied.added == (ChangeSettings(id="n_call", set={"exits": exits}),)
    assert (await services.drafts.open(owner, agent.main_flow_id)).flow.nodes["n_call"].settings["exits"] == exits


async def test_replacing_the_draft_makes_other_tabs_load_it_again(services: Services, owner: Principal) -> None:
    flow_id = await new_flow(services, owner)
    document = (await services.drafts.open(owner, flow_id)).flow.to_json() | {"name": "Imported"}
    replaced = await services.drafts.replace(owner, flow_id, document)
    assert (replaced.flow.name, replaced.revision) == ("Imported", 2)
    with pytest.raises(DraftConflict):
        await save(services, owner, flow_id, MESSAGE)


@pytest.mark.parametrize("document", ["{", '{"format": "flow/9"}', {"format": "flow/1", "nodes": {"BAD": {}}}])
async def test_a_damaged_file_is_refused_and_the_draft_stays(
    services: Services, owner: Principal, document: Any
) -> None:
    flow_id = await new_flow(services, owner)
    with pytest.raises(FlowDamaged):
        await services.drafts.replace(owner, flow_id, document)
    assert (await services.drafts.open(owner, flow_id)).revision == 1


async def test_a_damaged_stored_draft_says_so(
    services: Services, owner: Principal, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    flow_id = await new_flow(services, owner)
    admin.execute('UPDATE flow SET document = \'{"format": "flow/1", "nodes": 5}\' WHERE id = %s', (flow_id,))
    with pytest.raises(FlowDamaged, match="damaged at “nodes”"):
        await services.drafts.open(owner, flow_id)


async def test_an_unknown_step_type_is_kept_and_shown(services: Services, owner: Principal) -> None:
    flow_id = await new_flow(services, owner)
    document = (await services.drafts.open(owner, flow_id)).flow.to_json()
    document["nodes"]["n_x"] = {"type": "teleport", "settings": {"to": "moon"}}
    opened = await services.drafts.replace(owner, flow_id, document)
    assert opened.flow.nodes["n_x"].settings == {"to": "moon"}
    assert "F020" in [p.code for p in opened.problems]


async def test_exporting_and_importing_gives_the_same_flow(services: Services, owner: Principal) -> None:
    flow_id = await new_flow(services, owner)
    await save(services, owner, flow_id, MESSAGE)
    before = (await services.drafts.open(owner, flow_id)).flow
    await services.drafts.replace(owner, flow_id, await services.drafts.export(owner, flow_id))
    assert (await services.drafts.open(owner, flow_id)).flow == before


async def test_walls(services: Services, owner: Principal, other_workspace: Principal) -> None:
    flow_id = await new_flow(services, owner)
    viewer = Principal(owner.workspace_id, owner.member_id, "viewer", PERMISSIONS["viewer"])
    with pytest.raises(AccessDenied):
        await save(services, viewer, flow_id, MESSAGE)
    with pytest.raises(NotFound):
        await save(services, other_workspace, flow_id, MESSAGE)
    with pytest.raises(NotFound):
        await services.drafts.open(other_workspace, flow_id)
    with pytest.raises(NotFound):
        await services.drafts.open(owner, "not-an-id")
