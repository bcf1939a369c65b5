"""Connections in the editor: bound to slots by kind, offered as lists, tried alone; and the journal holds no key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.channels import Rate
from graph_runtime.contract.crm import CrmQuery, Entity
from graph_runtime.contract.edits import EDITS
from graph_runtime.contract.errors import (
    AccessDenied,
    CredentialRejected,
    InputInvalid,
    NotFound,
    RateLimited,
    Refused,
    Unreachable,
)
from graph_runtime.contract.http import HttpReply
from graph_runtime.services.bound_connections import LONGEST_WAIT, Limits
from graph_runtime.services.principal import PERMISSIONS, Principal
from tests.connectors.test_crm import small_rest
from tests.fakes.kommo import LONG_TOKEN, Kommo, kommo

Admin = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def fake() -> Iterator[Kommo]:
    with kommo() as account:
        yield account


async def agent_with(services: Services, owner: Principal, fake: Kommo, settings: dict[str, Any]) -> tuple[str, str]:
    """An agent with one HTTP step and a CRM; (agent, flow)."""
    agent = await services.agents.create(owner, name="Reception", language="en")
    values = {"base_url": fake.url, "long_token": LONG_TOKEN, "allow_private_host": True}
    row = await services.credentials.create(owner, "kommo", "Shop", values)
    draft = await services.drafts.open(owner, agent.main_flow_id)
    edits = EDITS.validate_python(
        [
            {"kind": "set_connection", "id": "shop", "connection": {"kind": "crm", "label": "Shop"}},
            {"kind": "set_connection", "id": "key", "connection": {"kind": "http", "label": "Key"}},
            {"kind": "set_variable", "id": "part", "variable": {"type": "text", "label": "Part"}},
            {"kind": "set_variable", "id": "name", "variable": {"type": "text", "label": "Name"}},
            {"kind": "add_node", "id": "h", "at": [0, 0],
             "node": {"type": "http_request", "settings": {"connection": "key", **settings}}},
        ]
    )  # fmt: skip
    await services.drafts.apply(owner, agent.main_flow_id, client="c", seq=1, base_revision=draft.revision, edits=edits)
    for slot in ("shop", "key"):
        await services.agents.bind(owner, agent.id, slot, credential_id=row.id, connector="kommo")
    return agent.id, agent.main_flow_id


SETTINGS = {"url": "/api/v4/{{ var.part }}", "parts": [{"pointer": "name", "save_to": "name"}]}


async def test_a_step_is_tried_alone_and_its_key_is_never_shown(
    services: Services, owner: Principal, fake: Kommo, other_workspace: Principal
) -> None:
    _, flow_id = await agent_with(services, owner, fake, SETTINGS)
    tried = await services.step_trial.run(owner, flow_id, "h", {"part": "account"})
    assert (tried.port, tried.variables["name"], tried.error) == ("ok", "Flower shop", "")
    (request,) = tried.requests
    assert (request["url"], request["status"]) == ("/api/v4/account", 200)
    assert fake.journal[-1].token == LONG_TOKEN
    assert LONG_TOKEN not in str(tried)
    missing = await services.step_trial.run(owner, flow_id, "h", {"part": "nothing"})
    assert (missing.port, missing.requests[0]["status"]) == ("http_error", 404)
    for who, node, error in (
        (other_workspace, "h", NotFound), (owner, "gone", NotFound), (owner, "n_start", InputInvalid),
        (Principal(owner.workspace_id, owner.member_id, "viewer", PERMISSIONS["viewer"]), "h", AccessDenied),
    ):  # fmt: skip
        with pytest.raises(error):
            await services.step_trial.run(who, flow_id, node, {})


async def test_a_key_for_another_service_is_refused_in_words(services: Services, owner: Principal, fake: Kommo) -> None:
    _, flow_id = await agent_with(services, owner, fake, {"url": "https://example.org/{{ var.part }}"})
    tried = await services.step_trial.run(owner, flow_id, "h", {"part": "x"})
    assert tried.port == "error"
    assert "belongs to" in tried.error
    assert fake.journal == []


async def test_fields_are_offered_from_the_account_and_kept_a_while(
    services: Services, owner: Principal, fake: Kommo, other_workspace: Principal
) -> None:
    agent_id, _ = await agent_with(services, owner, fake, SETTINGS)
    of = services.remote_options.of
    found = await of(owner, agent_id, "shop", "crm.fields", "lead")
    assert {"Source", "Stage"} <= {o.label for o in found}
    asked = len(fake.journal)
    assert await of(owner, agent_id, "shop", "crm.fields", "lead") == found
    assert len(fake.journal) == asked
    fake.fields["leads"].append({"id": 777, "name": "New field", "type": "text", "code": None, "enums": None})
    again = await of(owner, agent_id, "shop", "crm.fields", "lead", refresh=True)
    assert "cf_777" in {o.id for o in again}
    assert [o.label for o in await of(owner, agent_id, "shop", "crm.people", "lead")] == ["Anna", "Oleh"]
    with pytest.raises(NotFound):
        await of(other_workspace, agent_id, "shop", "crm.fields", "lead")
    with pytest.raises(CredentialRejected):
        await of(owner, agent_id, "nothing", "crm.fields", "lead")


async def test_an_example_of_ones_own_system_is_what_it_lists_or_what_was_found_last(
    services: Services, owner: Principal, fake: Kommo
) -> None:
    agent_id, _ = await agent_with(services, owner, fake, SETTINGS)
    async with small_rest() as (url, kept):
        kept["leads"] = [{"id": 1, "name": "Roses", "phone": "+1"}, {"id": 2, "name": "Tulips"}]
        values = {"base_url": url, "secret": "my-crm-secret", "allow_private_host": True}

        async def connect(**more: str) -> None:
            key = await services.credentials.create(owner, "rest_crm", "Own", values | more)
            await services.agents.bind(owner, agent_id, "shop", credential_id=key.id, connector="rest_crm")

        async def look(value: str = "", entity: Entity = "lead") -> str:
            query = CrmQuery(entity, "phone", value)
            found = await services.remote_options.record(owner, agent_id, "shop", query)
            return found.name if found else ""

        await connect()
        with pytest.raises(Refused, match="Path that lists the newest"):
            await look()
        assert await look("+1") == "Roses"
        kept["leads"][0]["name"] = "Red roses"
        assert await look() == "Red roses", "as it stands there now"
        with pytest.raises(Refused):
            await look(entity="contact")
        await connect(newest_path="/{entity}?name=Tulips")
        assert await look() == "Tulips"


async def test_a_slot_takes_only_what_fits_and_says_when_nothing_is_there(
    services: Services, owner: Principal, fake: Kommo
) -> None:
    agent_id, flow_id = await agent_with(services, owner, fake, SETTINGS)
    key = await services.credentials.create(
        owner, "http_key", "Key", {"base_url": "https://a.example", "secret": "s" * 20}
    )
    with pytest.raises(InputInvalid):
        await services.agents.bind(owner, agent_id, "shop", credential_id=key.id, connector="http_key")
    with pytest.raises(InputInvalid):
        await services.agents.bind(owner, agent_id, "key", credential_id=None, connector="demo_model")
    draft = await services.drafts.open(owner, flow_id)
    assert "F025" not in {p.code for p in draft.problems}
    await services.agents.bind(owner, agent_id, "key", credential_id=None, connector="")
    draft = await services.drafts.open(owner, flow_id)
    assert "F025" in {p.code for p in draft.problems}


async def test_the_use_of_a_credential_is_noted(services: Services, owner: Principal, fake: Kommo) -> None:
    agent_id, _ = await agent_with(services, owner, fake, SETTINGS)
    await services.remote_options.of(owner, agent_id, "shop", "crm.people", "lead")
    (row,) = await services.credentials.list(owner)
    assert row.last_used_at is not None
    assert row.agents == ("Reception",)
    assert (await services.credentials.check(owner, row.id)).ok


async def test_rates_pauses_and_the_breaker() -> None:
    now = [100.0]
    limits = Limits(lambda: now[0])
    for _ in range(3):
        await limits.turn("c", Rate(messages=1, seconds=LONGEST_WAIT * 2, burst=3))
    with pytest.raises(RateLimited):
        await limits.turn("c", Rate(messages=1, seconds=LONGEST_WAIT * 2, burst=3))
    limits.ended("d", HttpReply(429, {"retry-after": "60"}))
    with pytest.raises(RateLimited) as raised:
        await limits.turn("d", None)
    assert raised.value.retry_after == 60
    now[0] += 61
    await limits.turn("d", None)
    for _ in range(5):
        limits.ended("e", HttpReply(500))
    with pytest.raises(Unreachable):
        await limits.turn("e", None)
    now[0] += 31
    await limits.turn("e", None)
    limits.ended("e", HttpReply(200))
    await limits.turn("e", None)


async def test_fields_and_types_are_checked_before_publishing(
    services: Services, owner: Principal, fake: Kommo
) -> None:
    _, flow_id = await agent_with(services, owner, fake, SETTINGS)
    values = [
        ("cf_501", "Fax"), ("cf_501", "Phone"), ("cf_502", "many"), ("cf_502", "{{ var.part }}"), ("price", "1 500,4"),
        ("cf_777", "x"), ("stage", "1:99"), ("stage", "Won"), ("name", "Roses"),
    ]  # fmt: skip
    rows = [{"field": field, "value": value} for field, value in values]
    node = {"type": "crm_update", "settings": {"connection": "shop", "by": "new", "values": rows}}
    draft = await services.drafts.open(owner, flow_id)
    edits = EDITS.validate_python([{"kind": "add_node", "id": "w", "at": [0, 200], "node": node}])
    await services.drafts.apply(owner, flow_id, client="c", seq=2, base_revision=draft.revision, edits=edits)

    async def found(who: Principal) -> list[tuple[str, str]]:
        preview = await services.publishing.preview(who, flow_id)
        return [(p.code, p.field) for c in preview.checks for p in c.problems if p.code in ("F034", "F035")]

    wrong = [
        ("F035", "values.0.value"),
        ("F035", "values.2.value"),
        ("F034", "values.5.field"),
        ("F035", "values.6.value"),
    ]
    assert await found(owner) == wrong
    viewer = Principal(owner.workspace_id, owner.member_id, "viewer", PERMISSIONS["viewer"])
    assert await found(viewer) == [], "who may not use the key reads nothing with it"
    services.remote_options._kept.clear()
    fake.fail("server_error", times=99, path="custom_fields")
    assert await found(owner) == [], "an account that is away keeps nobody from publishing"
