"""Steps of chains that write to a customer system: once, later when it is away, and said when it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from graph_runtime.services.credentials import Credentials
from graph_runtime.services.vault import Vault
from graph_runtime.storage import agents
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.storage.encryption import KeyRing
from tests.chain_world import chaining
from tests.delivery_world import Place
from tests.fakes.kommo import LONG_TOKEN, Kommo, kommo
from tests.integration.crm_world import CATALOG, KEY
from tests.integration.test_crm_later import Worker

Admin = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def fake() -> Iterator[Kommo]:
    with kommo() as account:
        yield account


async def test_a_step_writes_once_and_says_what_was_refused(
    postgres: EmbeddedPostgres, admin: Admin, fake: Kommo
) -> None:
    admin.execute("DELETE FROM workspace")
    place = Place(postgres.admin_url)
    step = {
        "id": "c", "kind": "crm", "agent_id": place.agent_id, "slot": "crm", "note": "Reminded {{ contact.name }}",
        "fields": [{"name": "price", "value": "{{ contact.offer }}"}], "task": "Ring them",
    }  # fmt: skip
    async with chaining(postgres.app_url, datetime.now(UTC), is_started=False) as p:
        worker = Worker(p.database)
        try:
            unbound = await p.chain(place.who, step, name="Unbound")
            values = {"base_url": fake.url, "long_token": LONG_TOKEN, "allow_private_host": True}
            row = await Credentials(p.database, CATALOG, Vault(p.database, KeyRing([KEY]))).create(
                place.who, "kommo", "Shop", values
            )
            marta = await p.contact(place, None, name="Marta", phone="+380501112233", fields={"offer": "500"})
            silent = await p.contact(place, None, name="No number")
            await p.enroll(place.who, unbound, marta)
            await p.run_due()
            async with p.database.workspace(place.workspace_id) as connection:
                binding = {"credential_id": row.id, "connector": "kommo", "model": ""}
                await agents.bind(connection, place.agent_id, "crm", binding)
            chain, again = (
                await p.chain(place.who, step),
                await p.chain(place.who, step | {"task": "", "note": "Again"}, name="Again"),
            )
            await p.enroll(place.who, chain, marta, silent)
            await p.run_due()
            await p.enroll(place.who, again, marta)
            await p.run_due()
            fake.fail("reset_after_accept", path="v4/leads$")
            for _ in range(3):
                admin.execute("UPDATE crm_write SET next_at = now()")
                worker.ahead += 60
                await worker.looks.once()
            fake.fail("refused", path="v4/leads")
            await p.enroll(place.who, again, marta)
            await p.run_due()
            assert await worker.looks.once() == 1
        finally:
            await worker.connections.close()
    (lead,) = fake.records["leads"].values()
    assert lead["price"] == 500
    assert [n["params"]["text"] for n in fake.notes] == ["Reminded Marta", "Again"]
    assert [t["text"] for t in fake.tasks] == ["Ring them"]
    said = "SELECT l.what, l.reason FROM chain_log l JOIN contact k ON k.id = l.contact_id WHERE l.kind = 'crm' AND k.name = %s"
    assert admin.execute(said + " ORDER BY l.id", ("Marta",)).fetchall() == [
        ("skipped", "no_crm"), ("done", ""), ("done", ""), ("failed", "crm:refused"),
    ]  # fmt: skip
    assert admin.execute(said, ("No number",)).fetchall() == [("skipped", "no_phone")]
