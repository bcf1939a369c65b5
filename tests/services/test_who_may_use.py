"""A credential serves all agents of the workspace, or those that an administrator named, wherever it is chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import AccessDenied, InputInvalid, StillUsed
from graph_runtime.services.credentials import CredentialRow
from graph_runtime.services.principal import PERMISSIONS, Principal

MODEL = "openai"


async def key(services: Services, owner: Principal, connector: str = MODEL) -> CredentialRow:
    return await services.credentials.create(owner, connector, "Key", {"key": "sk-canary-0123456789"})


async def agent(services: Services, owner: Principal, name: str) -> str:
    return str((await services.agents.create(owner, name=name)).id)


async def test_only_those_that_were_named_may_be_given_it(services: Services, owner: Principal) -> None:
    ours, theirs = await agent(services, owner, "Shop"), await agent(services, owner, "School")
    made = await key(services, owner)
    assert made.only_agents is None
    limited = await services.credentials.serve(owner, made.id, [ours])
    assert (limited.only_agents, limited.only_names) == ((ours,), ("Shop",))
    assert [k.id for k in await services.credentials.list(owner, for_agent=ours)] == [made.id]
    assert await services.credentials.list(owner, for_agent=theirs) == []
    await services.agents.bind(owner, ours, "llm", credential_id=made.id, connector=MODEL, model="m")
    with pytest.raises(InputInvalid) as caught:
        await services.agents.bind(owner, theirs, "llm", credential_id=made.id, connector=MODEL, model="m")
    assert caught.value.field == "only_agents"
    await services.credentials.serve(owner, made.id, None)
    await services.agents.bind(owner, theirs, "llm", credential_id=made.id, connector=MODEL, model="m")


async def test_what_belongs_to_all_cannot_use_it(services: Services, owner: Principal) -> None:
    made = await key(services, owner)
    await services.credentials.serve(owner, made.id, [await agent(services, owner, "Shop")])
    with pytest.raises(InputInvalid) as caught:
        await services.workspace_settings.set_default_model(owner, credential_id=made.id, connector=MODEL, model="m")
    assert caught.value.field == "only_some_agents"
    base = await services.knowledge_bases.create(owner, "Help")
    assert [c.credential_id for c in await services.knowledge_bases.embedders(owner)] == []
    with pytest.raises(InputInvalid) as caught:
        await services.knowledge_bases.set_embedder(owner, base.id, made.id, "text-embedding-3-small")
    assert caught.value.field == "only_some_agents"
    await services.credentials.serve(owner, made.id, None)
    assert [c.credential_id for c in await services.knowledge_bases.embedders(owner)] == [made.id]
    await services.knowledge_bases.set_embedder(owner, base.id, made.id, "text-embedding-3-small")


async def test_it_is_not_taken_from_what_uses_it(services: Services, owner: Principal) -> None:
    ours, theirs = await agent(services, owner, "Shop"), await agent(services, owner, "School")
    made = await key(services, owner)
    await services.agents.bind(owner, theirs, "llm", credential_id=made.id, connector=MODEL, model="m")
    base = await services.knowledge_bases.create(owner, "Help")
    await services.knowledge_bases.set_embedder(owner, base.id, made.id, "text-embedding-3-small")
    await services.workspace_settings.set_default_model(owner, credential_id=made.id, connector=MODEL, model="m")
    with pytest.raises(StillUsed) as caught:
        await services.credentials.serve(owner, made.id, [ours])
    assert caught.value.params["names"] == "Help, School"
    assert "the workspace's default" in caught.value.message
    assert (await services.credentials.get(owner, made.id)).only_agents is None
    await services.agents.bind(owner, theirs, "llm", credential_id=None, connector="", model="")
    await services.knowledge_bases.set_embedder(owner, base.id, "", "")
    with pytest.raises(StillUsed) as caught:
        await services.credentials.serve(owner, made.id, [ours])
    assert caught.value.params["names"] == "–", "only the default is left, which has no name"
    await services.workspace_settings.set_default_model(owner, credential_id=None, connector="demo_model", model="")
    assert (await services.credentials.serve(owner, made.id, [ours])).only_agents == (ours,)


async def test_an_agent_that_is_gone_is_not_named_and_nobody_else_comes_in(
    services: Services, owner: Principal
) -> None:  # fmt: skip
    ours = await agent(services, owner, "Shop")
    made = await key(services, owner)
    await services.credentials.serve(owner, made.id, [ours])
    await services.agents.delete(owner, ours)
    row = await services.credentials.get(owner, made.id)
    assert row.only_names == ()
    other = await agent(services, owner, "School")
    assert await services.credentials.list(owner, for_agent=other) == []
    with pytest.raises(InputInvalid):
        await services.credentials.serve(owner, made.id, [ours])


async def test_an_editor_may_not_decide_it(services: Services, owner: Principal) -> None:
    made = await key(services, owner)
    editor = replace(owner, role="editor", scopes=PERMISSIONS["editor"])
    with pytest.raises(AccessDenied):
        await services.credentials.serve(editor, made.id, [])


async def test_the_copy_of_an_agent_does_not_get_what_was_named_for_the_agent(
    services: Services, owner: Principal
) -> None:  # fmt: skip
    ours = await agent(services, owner, "Shop")
    limited, shared = await key(services, owner), await key(services, owner)
    await services.credentials.serve(owner, limited.id, [ours])
    await services.agents.bind(owner, ours, "llm", credential_id=limited.id, connector=MODEL, model="m")
    await services.agents.bind(owner, ours, "fast", credential_id=shared.id, connector=MODEL, model="m")
    copy = await services.agents.duplicate(owner, ours)
    bound = {b.slot: b.credential_id for b in await services.agents.connections(owner, copy.id)}
    assert (bound.get("llm"), bound["fast"]) == (None, shared.id)


async def test_an_update_rule_writes_only_where_its_agent_may(services: Services, owner: Principal) -> None:
    ours, theirs = await agent(services, owner, "Shop"), await agent(services, owner, "School")
    values = {"base_url": "https://shop.kommo.com", "way_in": "token", "long_token": "canary-" + "t" * 40}
    crm = await services.credentials.create(owner, "kommo", "CRM", values)
    rule = {"field": "email", "when": "their e-mail", "crm": crm.id, "crm_field": "email"}
    made = await services.update_rules.create(owner, theirs, rule)
    with pytest.raises(StillUsed):
        await services.credentials.serve(owner, crm.id, [ours])
    await services.update_rules.delete(owner, made.id)
    await services.credentials.serve(owner, crm.id, [ours])
    with pytest.raises(InputInvalid) as caught:
        await services.update_rules.create(owner, theirs, rule)
    assert caught.value.field == "only_agents"
    kept = await services.update_rules.create(owner, ours, rule)
    assert (await services.update_rules.update(owner, kept.id, {**rule, "when": "an e-mail"})).rule.crm == crm.id
