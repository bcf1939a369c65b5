"""The figures that security.md names are there, count what happened, name nobody, and are told to few."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from graph_runtime.api.app import create_app
from graph_runtime.bootstrap import Services
from graph_runtime.contract.messages import Reply
from graph_runtime.engine.breaker import Breakers
from graph_runtime.services.principal import Principal
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.conversation_world import process, publish
from tests.integration.test_turns import ECHO, THINKING, Model

NAMES = {
    *("inbound_to_reply_seconds", "ingest_seconds", "outbox_age_seconds", "lease_steals", "effects_replayed"),
    *("dead_letters_open", "possibly_duplicate", "breaker_state", "rate_limited", "llm_cost_microusd"),
    *("vault_rows_old_key", "webhook_reject", "overdue_seconds"),
}


def values(text: str) -> dict[tuple[str, str], float]:
    """(sample, labels as text) → value."""
    return {
        (sample.name, ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def told(services: Services) -> dict[tuple[str, str], float]:
    return values((await services.figures.text()).decode())


async def test_every_named_figure_exists(services: Services) -> None:
    text = (await services.figures.text()).decode()
    assert {family.name for family in text_string_to_metric_families(text)} >= NAMES


async def test_turns_are_counted_and_nobody_is_named(services: Services, postgres: EmbeddedPostgres) -> None:
    access = publish(postgres.admin_url, ECHO)
    before = await told(services)
    async with process(postgres.app_url) as p:
        conversation = await p.begin(access)
        await p.say(access, conversation, "hi")
    after = await told(services)

    def grew(name: str, labels: str = "") -> float:
        return after[name, labels] - before.get((name, labels), 0)

    assert grew("inbound_to_reply_seconds_count", "connector=web_chat") == 2
    assert 0 < grew("inbound_to_reply_seconds_sum", "connector=web_chat") < 5
    assert grew("ingest_seconds_count") == 1
    labels = "\n".join(labels for _, labels in after)
    for secret in (conversation, access.workspace_id, access.agent_id, str(access.channel_id), access.external_user_id):
        assert secret not in labels


async def test_money_replays_and_stolen_leases(services: Services, postgres: EmbeddedPostgres) -> None:
    model = Model()
    access = publish(postgres.admin_url, THINKING)
    before = await told(services)
    async with process(postgres.app_url, model.outside) as p:
        conversation = await p.begin(access)
        commit = p.store.commit

        async def fails_once(*args: Any) -> Any:
            p.store.commit = commit  # type: ignore[method-assign]
            raise psycopg.OperationalError("the commit did not arrive")

        p.store.commit = fails_once  # type: ignore[method-assign, assignment]
        await p.conversations.receive(access, conversation, Reply(text="1"), dedupe_key="1")
        await p.settle()
        await p.run_all(access, conversation)
    after = await told(services)
    assert after["llm_cost_microusd_total", ""] - before["llm_cost_microusd_total", ""] == 3
    assert after["effects_replayed_total", ""] - before["effects_replayed_total", ""] == 1
    assert after["lease_steals_total", ""] == before["lease_steals_total", ""], "nobody was robbed"


async def test_what_only_the_database_knows(
    services: Services, owner: Principal, admin: psycopg.Connection[tuple[Any, ...]], postgres: EmbeddedPostgres
) -> None:
    access = publish(postgres.admin_url, ECHO)
    async with process(postgres.app_url) as p:
        conversation = await p.begin(access)
    admin.execute(
        "INSERT INTO outbox (workspace_id, effect_key, conversation_id, channel_id, recipient, ordinal, parts, created_at)"
        " VALUES (%s, %s, %s, %s, 'r', 1, '[]', now() - interval '90 seconds')",
        (access.workspace_id, uuid4().hex, conversation, access.channel_id),
    )
    admin.execute(
        "INSERT INTO inbox (workspace_id, source_id, dedupe_key, conversation_id, kind, state)"
        " VALUES (%s, %s, 'k', %s, 'message', 'pending')",
        (access.workspace_id, access.channel_id, conversation),
    )
    admin.execute("UPDATE inbox SET state = 'dead' WHERE conversation_id = %s AND dedupe_key = 'k'", (conversation,))
    admin.execute(
        "INSERT INTO data_key (workspace_id, number, wrapped, wrapped_by) VALUES (%s, 1, 'x', 'a former key')",
        (owner.workspace_id,),
    )
    admin.execute(
        "INSERT INTO timer (workspace_id, conversation_id, due_at, turn_seq)"
        " SELECT %s, %s, now() + n * interval '40 seconds', 1 FROM generate_series(-1, 1) n",
        (access.workspace_id, conversation),
    )
    found = await told(services)
    assert 40 <= found["overdue_seconds", "kind=timers"] < 70
    assert (found["overdue_seconds", "kind=steps"], found["overdue_seconds", "kind=triggers"]) == (0, 0)
    assert 90 <= found["outbox_age_seconds", "state=pending"] < 120
    assert found["outbox_age_seconds", "state=sending"] == 0
    assert found["dead_letters_open", ""] == 1
    assert found["vault_rows_old_key", ""] == 1
    assert found["held_by_restore", ""] == 0


def test_the_breaker_shows_its_worst_account() -> None:
    now = 0.0
    breakers = Breakers(lambda: now, failures=2, seconds=10)

    def state() -> float:
        from prometheus_client import REGISTRY

        return REGISTRY.get_sample_value("breaker_state", {"connector": "vendor"}) or 0

    for _ in range(2):
        breakers.failed(("vendor", "account-1"))
    breakers.failed(("vendor", "account-2"))
    assert state() == 2
    now = 11
    assert breakers.admits(("vendor", "account-1"))
    assert state() == 1
    breakers.succeeded(("vendor", "account-1"))
    assert state() == 0


@pytest.mark.parametrize(
    ("environment", "token", "client", "headers", "status"),
    [
        ("local", "", "10.0.0.9", {}, 200),
        ("production", "", "127.0.0.1", {}, 200),
        ("production", "", "10.0.0.9", {}, 403),
        ("production", "", "127.0.0.1", {"X-Forwarded-For": "1.2.3.4"}, 403),
        ("production", "a token of tests", "127.0.0.1", {}, 403),
        ("production", "a token of tests", "10.0.0.9", {"Authorization": "Bearer another"}, 403),
        ("production", "a token of tests", "10.0.0.9", {"Authorization": "Bearer a token of tests"}, 200),
    ],
)
async def test_who_may_see_them(
    services: Services, environment: str, token: str, client: str, headers: dict[str, str], status: int
) -> None:
    changes = {"environment": environment, "metrics_token": SecretStr(token)}
    object.__setattr__(services, "settings", services.settings.model_copy(update=changes))
    transport = httpx2.ASGITransport(app=create_app(services), client=(client, 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as http:
        assert (await http.get("/metrics", headers=headers)).status_code == status
