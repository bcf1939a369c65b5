"""The loop of knowledge on a real database: what nobody could answer is listed, written about, and answered for the next one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import AccessDenied, NotFound
from graph_runtime.contract.messages import Reply
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.services.templates import template_flows
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.testing import FakeClock
from tests.conversation_world import publish


@dataclass
class Shop:
    """An agent from the template “Answers with sources”, without a model, and a base with one article."""

    services: Services
    access: ChannelAccess
    owner: Principal
    base_id: str

    async def read_all(self) -> None:
        while await self.services.knowledge_ingest.run_next():
            pass

    async def _settle(self) -> None:
        runner = self.services.conversation_side.runner
        while runner.running:
            await asyncio.wait(runner.running)
            await asyncio.sleep(0)

    async def ask(self, *texts: str) -> tuple[ChannelAccess, str, list[dict[str, Any]]]:
        """A new person says these one after the other: who, the conversation, all messages."""
        talks = self.services.conversations
        who = replace(self.access, external_user_id=f"visitor:{uuid4()}")
        conversation_id = await talks.start(who, dedupe_key=uuid4().hex)
        await self._settle()
        for text in texts:
            await talks.receive(who, conversation_id, Reply(text=text), dedupe_key=uuid4().hex)
            await self._settle()
        transcript = await talks.transcript(who, conversation_id, limit=100)
        return who, conversation_id, list(transcript.messages)

    async def open(self, state: Any = "open") -> list[tuple[str, int]]:
        """Questions of the list with the number of people."""
        rows = await self.services.knowledge_questions.list(self.owner, self.base_id, state=state)
        return [(row.text, row.people) for row in rows]


def sources(messages: list[dict[str, Any]]) -> list[tuple[int, list[dict[str, Any]]]]:
    """(seq, sources) of the messages that show some."""
    return [(m["seq"], p["sources"]) for m in messages for p in m["parts"] if p.get("sources")]


@pytest.fixture
async def shop(services: Services, postgres: EmbeddedPostgres) -> AsyncIterator[Shop]:
    flow, _ = template_flows("answers_with_sources", "en")
    access = publish(postgres.admin_url, flow)
    owner = Principal(access.workspace_id, None, "owner", PERMISSIONS["owner"])
    base = await services.knowledge_bases.create(owner, "Shop")
    await services.knowledge_bases.update(owner, base.id, name="Shop", description="", is_public=True)
    made = Shop(services, access, owner, base.id)
    text = "# Delivery\n\nDelivery inside the city costs 5 euros and takes two hours."
    await services.knowledge_documents.add_article(owner, base.id, "Delivery", text)
    await made.read_all()
    yield made
    await services.knowledge_ingest.close()


async def test_a_question_is_listed_answered_by_an_article_and_the_next_person_reads_it(shop: Shop) -> None:
    questions = shop.services.knowledge_questions
    _, conversation_id, said = await shop.ask("Do you have gift wrapping?")
    assert "I do not know" in said[-1]["text"]
    await shop.ask("gift wraping price", "How about insurance of cars?")
    assert await shop.open() == [("gift wraping price", 2), ("How about insurance of cars?", 1)]
    assert await questions.open_counts(shop.owner) == {shop.base_id: 2}
    (wrapping, insurance) = await questions.list(shop.owner, shop.base_id)
    row, asked = await questions.get(shop.owner, wrapping.id)
    assert [a.text for a in asked] == ["gift wraping price", "Do you have gift wrapping?"]
    assert (asked[1].conversation_id, row.reason, asked[1].best < 0.4) == (conversation_id, "not_found", True)
    await questions.dismiss(shop.owner, insurance.id)
    await shop.ask("insurance of cars")
    assert await shop.open("dismissed") == [("insurance of cars", 2)]
    text = "Gift wrapping costs 3 euros. Paper and ribbon are chosen in the basket."
    draft = await shop.services.knowledge_documents.add_article(
        shop.owner, shop.base_id, "Gift wrapping", text, publish=False
    )
    assert (await questions.settle(shop.owner, wrapping.id, draft.id)).state == "open"
    await shop.services.knowledge_documents.save(shop.owner, draft.id, title="Gift wrapping", text=text, publish=True)
    await shop.read_all()
    assert (await shop.open(), await shop.open("answered")) == ([], [("gift wraping price", 2)])
    _, _, said = await shop.ask("Do you have gift wrapping?")
    ((_, shown),) = sources(said)
    assert "3 euros" in said[-2]["text"]
    assert (shown[0]["title"], shown[0]["text"]) == ("Gift wrapping", text)
    assert "/sources/" in shown[0]["url"]
    # The article is there, but it does not answer somebody: the question is open again.
    who, conversation_id, said = await shop.ask("gift wrapping cost?")
    await questions.rate(who, conversation_id, sources(said)[0][0], False)
    assert await shop.open() == [("gift wrapping cost?", 3)]


async def test_an_answer_that_did_not_help_is_an_unanswered_question_and_counts_against_its_document(
    shop: Shop,
) -> None:
    questions = shop.services.knowledge_questions
    who, conversation_id, said = await shop.ask("delivery city price")
    ((seq, shown),) = sources(said)
    assert shown[0]["title"] == "Delivery"
    await questions.rate(who, conversation_id, seq, False)
    assert await shop.open() == [("delivery city price", 1)]
    (document,) = await shop.services.knowledge_documents.list(shop.owner, shop.base_id)
    usage = (await questions.usage(shop.owner, shop.base_id))[document.id]
    assert (usage.answers, usage.helpful, usage.unhelpful) == (1, 0, 1)
    again = (await shop.services.conversations.transcript(who, conversation_id, limit=100)).messages
    assert [m["flags"].get("rated") for m in again if m["seq"] == seq] == ["no"]
    await questions.rate(who, conversation_id, seq, True)
    assert await shop.open() == []
    usage = (await questions.usage(shop.owner, shop.base_id))[document.id]
    assert (usage.helpful, usage.unhelpful) == (1, 0)
    await questions.rate(who, conversation_id, seq, None)
    assert (await questions.usage(shop.owner, shop.base_id))[document.id].helpful == 0
    stranger = replace(who, external_user_id="visitor:other")
    for access, place in ((stranger, seq), (who, 1), (who, 999)):
        with pytest.raises(NotFound):
            await questions.rate(access, conversation_id, place, True)


async def test_questions_go_with_their_conversations_and_belong_to_those_who_may_read_them(
    shop: Shop, admin: Any, other_workspace: Principal
) -> None:
    questions = shop.services.knowledge_questions
    _, conversation_id, _ = await shop.ask("Do you insure parrots?")
    (row,) = await questions.list(shop.owner, shop.base_id)
    no_reader = Principal(shop.owner.workspace_id, None, "api", frozenset({"knowledge.read", "knowledge.edit"}))
    viewer = Principal(shop.owner.workspace_id, None, "viewer", PERMISSIONS["viewer"])
    for call in (
        questions.list(no_reader, shop.base_id), questions.dismiss(viewer, row.id), questions.settle(viewer, row.id, row.id),
        questions.get(no_reader, row.id), questions.open_counts(no_reader),
    ):  # fmt: skip
        with pytest.raises(AccessDenied):
            await call
    for unknown in (
        questions.list(other_workspace, shop.base_id), questions.get(other_workspace, row.id),
        questions.dismiss(other_workspace, row.id), questions.usage(other_workspace, shop.base_id),
        questions.health(other_workspace, shop.base_id), questions.settle(shop.owner, row.id, str(uuid4())),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            await unknown
    async with shop.services.database.workspace(shop.owner.workspace_id) as connection:
        await connection.execute("DELETE FROM conversation WHERE id = %s", (conversation_id,))
    assert await shop.open() == []
    assert admin.execute("SELECT count(*) FROM knowledge_question").fetchone() == (0,)


async def test_tests_and_greetings_ask_nothing(shop: Shop, admin: Any) -> None:
    await shop.ask("hello there")
    admin.execute("UPDATE conversation SET is_test = true")
    talks = shop.services.conversations
    who = replace(shop.access, external_user_id="visitor:t")
    conversation_id = await talks.start(who, dedupe_key="t")
    admin.execute("UPDATE conversation SET is_test = true WHERE id = %s", (conversation_id,))
    await talks.receive(who, conversation_id, Reply(text="Do you insure parrots?"), dedupe_key="t2")
    await shop._settle()
    assert await shop.open() == []


async def test_what_nobody_needs_and_what_is_said_twice_is_shown(shop: Shop, clock: FakeClock, admin: Any) -> None:
    text = "# Delivery\n\nDelivery inside the city costs 5 euros and takes two hours."
    documents = shop.services.knowledge_documents
    await documents.add_article(shop.owner, shop.base_id, "Delivery", text + "\n")
    parrots = await documents.add_article(shop.owner, shop.base_id, "Parrots", "A parrot lives for fifty years.")
    await shop.read_all()
    health = await shop.services.knowledge_questions.health(shop.owner, shop.base_id)
    assert ([t[4] for t in health.twins], health.stale) == ([1], [])
    await shop.ask("How long does delivery inside the city take?")
    admin.execute("UPDATE knowledge_document SET created_at = created_at - interval '200 days'")
    clock.advance(days=1)
    stale = (await shop.services.knowledge_questions.health(shop.owner, shop.base_id)).stale
    assert [i for i, _, _ in stale] == [parrots.id]
