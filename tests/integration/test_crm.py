"""A deal in the customer system: created exactly once, whatever dies or breaks between the call and the commit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from graph_runtime.contract.flow import Flow
from graph_runtime.contract.messages import Reply
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.credentials import Credentials
from graph_runtime.services.principal import system_principal
from graph_runtime.services.vault import Vault
from graph_runtime.storage import agents
from graph_runtime.storage.database import Database
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.storage.encryption import KeyRing
from tests.conversation_world import process, publish
from tests.fakes.kommo import LONG_TOKEN, Kommo, kommo
from tests.integration.crm_world import CATALOG, FLOW, KEY, outside


@pytest.fixture
def fake() -> Iterator[Kommo]:
    with kommo() as account:
        yield account


async def bound(postgres: EmbeddedPostgres, fake: Kommo, document: Flow = FLOW) -> ChannelAccess:
    """An agent whose CRM is the fake."""
    access = publish(postgres.admin_url, document)
    who = system_principal(access.workspace_id)
    database = Database(postgres.app_url, min_size=1, max_size=2)
    await database.open()
    values = {"base_url": fake.url, "long_token": LONG_TOKEN, "allow_private_host": True}
    row = await Credentials(database, CATALOG, Vault(database, KeyRing([KEY]))).create(who, "kommo", "Shop", values)
    async with database.workspace(who.workspace_id) as connection:
        binding = {"credential_id": row.id, "connector": "kommo", "model": ""}
        await agents.bind(connection, access.agent_id, "crm", binding)
    await database.close()
    return access


async def test_a_connection_that_breaks_after_the_deal_was_taken_in_makes_no_second_one(
    postgres: EmbeddedPostgres, fake: Kommo
) -> None:
    access = await bound(postgres, fake)
    fake.fail("reset_after_accept", path="v4/leads$")
    fake.fail("reset_after_accept", path="notes")
    async with outside(postgres.app_url) as reach, process(postgres.app_url, reach, CATALOG) as side:
        conversation = await side.begin(access)
        await side.say(access, conversation, "500")
        (number,) = fake.records["leads"]
        assert (await side.texts(access, conversation))[-1] == f"Deal {number}"
    assert len(fake.notes) == 1


async def test_a_test_talk_writes_nothing_and_an_outage_is_told(postgres: EmbeddedPostgres, fake: Kommo) -> None:
    access = await bound(postgres, fake)
    async with outside(postgres.app_url) as reach, process(postgres.app_url, reach, CATALOG) as side:
        who = system_principal(access.workspace_id)
        start = side.conversations.start
        rehearsal = await start(who, agent_id=access.agent_id, contact={}, dedupe_key="test", is_test=True)
        await side.settle()
        await side.conversations.receive(who, rehearsal, Reply(text="500"), dedupe_key="answer")
        await side.settle()
        said = await side.conversations.transcript(who, rehearsal, limit=10)
        assert said.messages[-1]["text"] == "Deal test"
        assert not any(call.method == "POST" for call in fake.journal)
        fake.fail("server_error", times=9, path="contacts")
        real = await side.begin(access)
        await side.say(access, real, "500")
        assert "trouble on its own side" in (await side.texts(access, real))[-1]
    assert fake.records["leads"] == {}
