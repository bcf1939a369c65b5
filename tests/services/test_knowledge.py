"""Knowledge end to end on a real database: documents are read by a worker and found; who may, what survives a death."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import AccessDenied, Conflict, InputInvalid, NotFound
from graph_runtime.contract.knowledge import KnowledgeQuery
from graph_runtime.knowledge.search import TYPOS, WORDS, SearchSettings
from graph_runtime.services.knowledge_bases import BaseRow
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.storage import passages as rows

DELIVERY = """# Delivery

We deliver every day from 8:00 to 21:00.

## Price

Delivery inside the city costs 5 euros; from 50 euros it is free.

## Other cities

| City | Price | Days |
|---|---|---|
| Lviv | 9 euros | 2 |
| Odesa | 11 euros | 3 |
"""
RUSSIAN = "# Возврат\n\nДеньги за возвращённый букет приходят на карту в течение трёх рабочих дней."
UKRAINIAN = "# Оплата\n\nОплатити замовлення можна карткою, готівкою або за рахунком на підприємство."


@dataclass
class House:
    """A base with articles in three languages, all read."""

    services: Services
    owner: Principal
    base: BaseRow

    async def read_all(self) -> None:
        while await self.services.knowledge_ingest.run_next():
            pass

    async def titles(self, query: str, **settings: Any) -> list[str]:
        trial = await self.services.knowledge_search.try_query(
            self.owner, self.base.id, query, SearchSettings(**settings)
        )
        return [f.title for f in trial.result.results]


@pytest.fixture
async def house(services: Services, owner: Principal) -> AsyncIterator[House]:
    base = await services.knowledge_bases.create(owner, "Flower shop")
    made = House(services, owner, base)
    for title, text in (("Delivery", DELIVERY), ("Возврат", RUSSIAN), ("Оплата", UKRAINIAN)):
        await services.knowledge_documents.add_article(owner, base.id, title, text)
    await services.knowledge_documents.add_pair(owner, base.id, "Do you sell gift cards?", "Yes, from 20 euros.")
    await made.read_all()
    yield made
    await services.knowledge_ingest.close()


async def test_what_was_written_is_read_and_counted(house: House) -> None:
    documents = await house.services.knowledge_documents.list(house.owner, house.base.id)
    assert [(d.title, d.state, d.progress, d.language) for d in reversed(documents)] == [
        ("Delivery", "ready", 100, "en"), ("Возврат", "ready", 100, "ru"), ("Оплата", "ready", 100, "uk"),
        ("Do you sell gift cards?", "ready", 100, "en"),
    ]  # fmt: skip
    base = await house.services.knowledge_bases.get(house.owner, house.base.id)
    assert (base.documents, base.passages, base.working, base.failed) == (4, 6, 0, 0)


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("How much is delivery to Odesa?", "Delivery"),
        ("когда вернут деньги за букет", "Возврат"),
        ("чи можна оплатити рахунком", "Оплата"),
        ("оплатою карткою", "Оплата"),
        ("gift card", "Do you sell gift cards?"),
        ("delivrey price", "Delivery"),
        ("возврт денег", "Возврат"),
        ("готвкою", "Оплата"),
    ],
)
async def test_forms_typos_and_languages_find_the_right_document(house: House, query: str, title: str) -> None:
    assert (await house.titles(query))[:1] == [title]


async def test_nothing_fits_what_is_not_written_anywhere(house: House) -> None:
    assert await house.titles("opening a bank account in Japan") == []
    assert await house.titles("страхование автомобиля") == []


async def test_a_trial_says_what_each_way_of_searching_found(house: House) -> None:
    trial = await house.services.knowledge_search.try_query(house.owner, house.base.id, "delivrey to Odesa")
    best = trial.result.found[0]
    assert trial.result.corrected == {"delivrey": ("delivery",)}
    assert set(best.votes) == {WORDS, TYPOS}
    assert best.votes[TYPOS].words == ("delivery", "odesa")
    assert (best.heading, best.goes) == ("Delivery › Other cities", True)
    assert ("Odesa", True) in trial.passages[0].pieces
    assert trial.prompt.startswith('<passage n="1" source="Delivery › Delivery › Other cities">')


async def test_a_step_gets_passages_of_its_own_workspace_only(house: House, other_workspace: Principal) -> None:
    search = house.services.knowledge_search.for_flow
    query = KnowledgeQuery("delivery price", bases=(house.base.id, "gone"))
    assert (await search(house.owner.workspace_id, query)).passages[0].title == "Delivery"
    assert (await search(other_workspace.workspace_id, query)).passages == ()
    async with house.services.database.workspace(other_workspace.workspace_id) as connection:
        assert await rows.by_words(connection, rows.Scope([house.base.id]), [("delivery", "delivery", 1.0)], 9) == []
        assert await rows.similar_words(connection, [house.base.id], ["delivrey"], 9) == []


async def test_a_new_version_replaces_the_passages_and_a_draft_does_not(house: House) -> None:
    documents = house.services.knowledge_documents
    row = next(d for d in await documents.list(house.owner, house.base.id) if d.title == "Delivery")
    await documents.save(house.owner, row.id, title="Delivery", text="# Delivery\n\nOnly by drone.", publish=False)
    await house.read_all()
    assert await house.titles("drone") == []
    assert (await documents.text(house.owner, row.id)).published == DELIVERY
    saved = await documents.save(
        house.owner, row.id, title="Delivery", text="# Delivery\n\nOnly by drone.", publish=True
    )
    assert (saved.state, saved.version) == ("waiting", 2)
    await house.read_all()
    assert await house.titles("drone") == ["Delivery"]
    assert await house.titles("Odesa") == []
    said = await documents.versions(house.owner, row.id)
    assert [(v.number, "drone" in v.text) for v in said] == [(2, True), (1, False)]
    assert (await documents.restore(house.owner, row.id, 1)).version == 3
    await house.read_all()
    assert await house.titles("drone") == []
    assert await house.titles("Odesa") == ["Delivery"]
    with pytest.raises(NotFound):
        await documents.restore(house.owner, row.id, 99)


async def test_a_reader_that_was_thought_dead_writes_nothing(house: House, admin: Any) -> None:
    row = await house.services.knowledge_documents.add_article(house.owner, house.base.id, "Hours", "Open from nine.")
    ingest = house.services.knowledge_ingest
    stale = await rows.claim(house.services.database, 1, 60)
    assert stale is not None
    admin.execute("UPDATE knowledge_document SET lease_until = now() - interval '1 second' WHERE id = %s", (row.id,))
    assert await ingest.run_next()
    async with house.services.database.workspace(house.owner.workspace_id) as connection:
        assert not await rows.finish(connection, stale, {"state": "failed"})
    assert (await house.services.knowledge_documents.get(house.owner, row.id)).state == "ready"


async def test_a_document_that_kills_its_readers_is_given_up(house: House, admin: Any) -> None:
    row = await house.services.knowledge_documents.add_article(house.owner, house.base.id, "Hours", "Open from nine.")
    for _ in range(4):
        assert await rows.claim(house.services.database, 1, 60)
        admin.execute(
            "UPDATE knowledge_document SET lease_until = now() - interval '1 second' WHERE id = %s", (row.id,)
        )
    await house.read_all()
    after = await house.services.knowledge_documents.get(house.owner, row.id)
    assert (after.state, after.error) == ("failed", "crashed")
    await house.services.knowledge_documents.read_again(house.owner, row.id)
    await house.read_all()
    assert (await house.services.knowledge_documents.get(house.owner, row.id)).state == "ready"


async def test_categories_hold_documents_and_narrow_a_search(house: House) -> None:
    bases, documents = house.services.knowledge_bases, house.services.knowledge_documents
    top = await bases.add_category(house.owner, house.base.id, "Orders")
    low = await bases.add_category(house.owner, house.base.id, "Money", parent_id=top)
    row = next(d for d in await documents.list(house.owner, house.base.id) if d.title == "Оплата")
    await documents.move(house.owner, row.id, low)
    assert [(c.name, c.depth, c.documents) for c in await bases.categories(house.owner, house.base.id)] == [
        ("Orders", 0, 0), ("Money", 1, 1),
    ]  # fmt: skip
    assert [d.title for d in await documents.list(house.owner, house.base.id, category_id=top)] == ["Оплата"]
    search = house.services.knowledge_search.try_query
    found = await search(house.owner, house.base.id, "оплата delivery", category_id=top)
    assert {f.title for f in found.result.found} == {"Оплата"}
    await bases.delete_category(house.owner, top)
    assert (await documents.get(house.owner, row.id)).category_id == ""


async def test_the_same_file_twice_and_strange_files_are_refused(house: House) -> None:
    documents, base = house.services.knowledge_documents, house.base.id
    await documents.add_file(house.owner, base, "..\\notes/a.txt", b"Open from nine to five.")
    with pytest.raises(Conflict):
        await documents.add_file(house.owner, base, "b.txt", b"Open from nine to five.")
    for content, field in (
        (b"", "document_empty"), (b"\x7fELF\0\0\0", "document_wrong_type"), (b"PK\x03\x04broken", "document_damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "document_encrypted"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1old", "document_old_format"),
    ):  # fmt: skip
        with pytest.raises(InputInvalid) as refused:
            await documents.add_file(house.owner, base, "x.docx", content)
        assert refused.value.field == field


async def test_viewers_look_and_strangers_find_nothing(house: House, other_workspace: Principal) -> None:
    viewer = Principal(house.owner.workspace_id, house.owner.member_id, "viewer", PERMISSIONS["viewer"])
    services, base = house.services, house.base.id
    assert len(await services.knowledge_documents.list(viewer, base)) == 4
    with pytest.raises(AccessDenied):
        await services.knowledge_documents.add_article(viewer, base, "A", "B")
    with pytest.raises(AccessDenied):
        await services.knowledge_bases.create(viewer, "Mine")
    for call in (
        services.knowledge_bases.get(other_workspace, base),
        services.knowledge_documents.list(other_workspace, base),
        services.knowledge_search.try_query(other_workspace, base, "delivery"),
        services.knowledge_bases.delete(other_workspace, base),
    ):
        with pytest.raises(NotFound):
            await call
    none = Principal(house.owner.workspace_id, None, "api", frozenset())
    with pytest.raises(AccessDenied):
        await services.knowledge_search.try_query(none, base, "delivery")
