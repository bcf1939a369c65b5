"""Drafts in trouble: two tabs at one place, damage, limits, strange characters."""

import json

import psycopg
import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.edits import ChangeNode, ChangeSettings, Edit, MoveNode, RemoveNode, RenameFlow
from graph_runtime.contract.errors import BuilderError, FlowDamaged
from graph_runtime.services.drafts import DraftConflict
from graph_runtime.services.principal import Principal
from tests.services.flows import HELLO, Editor, new_agent, node, text, wire

Admin = psycopg.Connection[tuple[object, ...]]


async def test_batches_on_their_way_do_not_clash_with_one_another(services: Services, owner: Principal) -> None:
    agent, _ = await new_agent(services, owner, *HELLO)
    answers = [
        await services.drafts.apply(  # sent before the first was answered
            owner, agent.main_flow_id, client="tab", seq=seq, base_revision=2, edits=[text("n_hello", words)]
        )
        for seq, words in ((2, "H"), (3, "Hi"), (4, "Hi!"))
    ]
    applied = answers[-1]
    assert applied.flow.nodes["n_hello"].settings["text"] == "Hi!"
    assert applied.revision == 5
    assert applied.others == ()


@pytest.mark.parametrize(
    ("mine", "path"),
    [
        (text("n_hello", "Mine"), "nodes/n_hello/settings/text"),
        (RemoveNode(id="n_hello"), "nodes/n_hello"),
    ],
)
async def test_two_tabs_at_one_place_are_told_and_nothing_is_written(
    services: Services, owner: Principal, mine: Edit, path: str
) -> None:
    agent, one = await new_agent(services, owner, *HELLO)
    two = Editor(services, owner, agent.main_flow_id, "other")
    two.revision = 2
    await one.save(text("n_hello", "Theirs") if isinstance(mine, ChangeSettings) else RemoveNode(id="n_hello"))
    before = await services.drafts.open(owner, agent.main_flow_id)
    with pytest.raises(DraftConflict) as caught:
        await two.save(ChangeNode(id="n_end", name="Would be lost"), mine)
    assert caught.value.paths == {path}
    assert caught.value.revision == before.revision
    assert caught.value.flow == before.flow
    assert (await services.drafts.open(owner, agent.main_flow_id)).flow == before.flow


async def test_a_wire_to_a_step_that_somebody_removed_is_a_clash(services: Services, owner: Principal) -> None:
    agent, one = await new_agent(services, owner, *HELLO)
    two = Editor(services, owner, agent.main_flow_id, "other")
    two.revision = 2
    await one.save(RemoveNode(id="n_hello"))
    with pytest.raises(DraftConflict):
        await two.save(wire("n_start.next", "n_hello"))


@pytest.mark.parametrize("base", [0, -5, 99])
async def test_a_revision_nobody_knows_any_more_is_a_clash(services: Services, owner: Principal, base: int) -> None:
    agent, one = await new_agent(services, owner, *HELLO)
    await services.drafts.replace(
        owner, agent.main_flow_id, (await services.drafts.open(owner, agent.main_flow_id)).flow.to_json()
    )
    one.revision = base
    with pytest.raises(DraftConflict) as caught:
        await one.save(MoveNode(id="n_end", at=(1, 1)))
    assert caught.value.revision == 3


@pytest.mark.parametrize(
    "edits",
    [
        [text("n_hello", "x" * 1_000_000)],
        [ChangeSettings(id="n_hello", set={"deep": json.loads("[" * 40 + "]" * 40)})],
        [node(f"n_{i}", "end") for i in range(2001)],
    ],
    ids=["a text of 1 MB", "nested without end", "too many steps"],
)
async def test_what_would_damage_the_flow_is_refused_and_the_flow_stays(
    services: Services, owner: Principal, edits: list[Edit]
) -> None:
    agent, editor = await new_agent(services, owner, *HELLO)
    with pytest.raises(BuilderError) as caught:
        await editor.save(*edits)
    assert caught.value.status in (409, 413, 422)
    opened = await services.drafts.open(owner, agent.main_flow_id)
    assert (opened.revision, opened.flow.nodes["n_hello"].settings) == (2, {"text": "Hello"})


async def test_strange_characters_do_not_stop_saving(services: Services, owner: Principal) -> None:
    agent, editor = await new_agent(services, owner, *HELLO)
    await editor.save(text("n_hello", "Привіт 👋\0 \ud83d"))
    opened = await services.drafts.open(owner, agent.main_flow_id)
    assert opened.flow.nodes["n_hello"].settings["text"] == "Привіт 👋 ?"


async def test_the_log_is_trimmed(
    services: Services, owner: Principal, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph_runtime.storage.flows.KEPT_EDITS", 5)
    _, editor = await new_agent(services, owner, *HELLO)
    for i in range(10):
        await editor.save(MoveNode(id="n_end", at=(i, i)))
    assert admin.execute("SELECT count(*), max(revision) FROM flow_edit").fetchone() == (5, 12)


async def test_renaming_the_flow_renames_it_everywhere(services: Services, owner: Principal) -> None:
    agent, editor = await new_agent(services, owner)
    await editor.save(RenameFlow(name="Prices"))
    assert [f.name for f in await services.agents.flows(owner, agent.id)] == ["Prices"]


async def test_a_sub_flow_step_shows_the_ends_of_its_flow(services: Services, owner: Principal) -> None:
    agent, editor = await new_agent(services, owner)
    sub = await services.agents.add_flow(owner, agent.id, "Address")
    inside = Editor(services, owner, sub.id)
    await inside.save(node("n_ok", "end"), node("n_bad", "end"))
    applied = await editor.save(node("n_sub", "run_flow", flow_id=sub.id))
    exits = [{"id": "n_ok", "label": "n_ok"}, {"id": "n_bad", "label": "n_bad"}]
    assert applied.flow.nodes["n_sub"].settings["exits"] == exits
    assert applied.added == (ChangeSettings(id="n_sub", set={"exits": exits}),)
    await inside.save(RemoveNode(id="n_bad"), ChangeNode(id="n_ok", name="Known"))
    opened = await services.drafts.open(owner, agent.main_flow_id)
    assert opened.flow.nodes["n_sub"].settings["exits"] == [{"id": "n_ok", "label": "Known"}]


async def test_a_damaged_draft_says_so_and_can_be_replaced(services: Services, owner: Principal, admin: Admin) -> None:
    agent, editor = await new_agent(services, owner, *HELLO)
    good = (await services.drafts.open(owner, agent.main_flow_id)).flow
    admin.execute("UPDATE flow SET document = jsonb_set(document, '{nodes}', '5')")
    with pytest.raises(FlowDamaged, match="damaged at “nodes”"):
        await services.drafts.open(owner, agent.main_flow_id)
    with pytest.raises(FlowDamaged):
        await editor.save(text("n_hello", "x"))
    (row,) = await services.agents.list(owner)
    assert row.problems == 1
    replaced = await services.drafts.replace(owner, agent.main_flow_id, good.to_json())
    assert replaced.flow.nodes == good.nodes


async def test_a_damaged_sub_flow_does_not_lock_the_others(services: Services, owner: Principal, admin: Admin) -> None:
    agent, editor = await new_agent(services, owner, *HELLO)
    sub = await services.agents.add_flow(owner, agent.id, "Address")
    admin.execute("UPDATE flow SET document = '{}' WHERE id = %s", (sub.id,))
    assert (await services.drafts.open(owner, agent.main_flow_id)).flow.nodes
    assert (await editor.save(text("n_hello", "Still here"))).revision == 3


@pytest.mark.parametrize("document", ["", "{}", "[]", "nul", '{"format": "flow/2"}', "[" * 100_000, "x" * 4_000_001])
async def test_a_damaged_file_replaces_nothing(services: Services, owner: Principal, document: str) -> None:
    agent, _ = await new_agent(services, owner, *HELLO)
    with pytest.raises(BuilderError) as caught:
        await services.drafts.replace(owner, agent.main_flow_id, document)
    assert caught.value.status in (413, 422)
    assert (await services.drafts.open(owner, agent.main_flow_id)).revision == 2
