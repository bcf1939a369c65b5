"""A base leaves as a file and comes in somewhere else: whole, twice without doubling, past broken entries and deaths."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import AccessDenied, InputInvalid, NotFound
from graph_runtime.contract.knowledge import KnowledgeQuery
from graph_runtime.services import knowledge_exchange
from graph_runtime.services.knowledge_bases import BaseRow
from graph_runtime.services.knowledge_exchange import KnowledgeImport
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.storage.virus_scanner import Clamd
from tests.fakes.clamd import HARMFUL, clamd
from tests.knowledge.files_to_bring import word


@pytest.fixture
async def base(services: Services, owner: Principal) -> AsyncIterator[BaseRow]:
    """A base with everything a base can have."""
    base = await services.knowledge_bases.create(owner, "Shop", "What clients ask")
    bases, documents = services.knowledge_bases, services.knowledge_documents
    top = await bases.add_category(owner, base.id, "Delivery")
    below = await bases.add_category(owner, base.id, "Cities", top)
    article = await documents.add_article(owner, base.id, "Lviv", "It costs 9 euros.", category_id=below, language="uk")
    await documents.save(owner, article.id, title="Lviv", text="It costs 8 euros.", publish=True)
    await documents.save(owner, article.id, title="Lviv", text="It will cost 7 euros.", publish=False)
    await documents.add_article(owner, base.id, "Plans", "Not yet.", publish=False)
    pair = await documents.add_pair(owner, base.id, "=Gift cards?", 'Yes, from 20 euros; "any" sum.', category_id=top)
    await documents.add_page(owner, base.id, "https://shop.example/a", every_days=7)
    await documents.add_file(owner, base.id, "Map.docx", word("Map", "Left, then right."), attached_to=article.id)
    await services.knowledge_relations.relate(owner, pair.id, article.id)
    yield base
    await services.knowledge_ingest.close()


async def packed(services: Services, who: Principal, base_id: str, *, with_files: bool = True) -> bytes:
    with await services.knowledge_exchange.export(who, base_id, with_files=with_files) as file:
        return file.read()


async def take_in(services: Services, who: Principal, base_id: str, content: bytes) -> KnowledgeImport:
    kept = await services.knowledge_exchange.keep(who, base_id, "file", content)
    while await services.knowledge_exchange.run_next():
        pass
    return await services.knowledge_exchange.progress(who, kept.id)


def counts(done: KnowledgeImport) -> tuple[str, int, int, int, int]:
    return done.state, done.created, done.updated, done.unchanged, done.broken


async def test_a_base_comes_in_elsewhere_as_it_was_and_twice_is_once(
    services: Services, owner: Principal, other_workspace: Principal, base: BaseRow, admin: Any
) -> None:
    there = other_workspace
    content = await packed(services, owner, base.id)
    new = await services.knowledge_bases.create(there, "Copy")
    assert counts(await take_in(services, there, new.id, content)) == ("done", 5, 0, 0, 0)
    assert counts(await take_in(services, there, new.id, content)) == ("done", 0, 0, 5, 0)

    found = {d.title: d for d in await services.knowledge_documents.list(there, new.id)}
    assert found.keys() == {"Lviv", "Plans", "=Gift cards?", "https://shop.example/a", "Map"}
    article, pair = found["Lviv"], found["=Gift cards?"]
    assert (article.category, article.told_language, article.version, article.has_draft) == ("Cities", "uk", 2, True)
    assert (found["Plans"].state, found["https://shop.example/a"].read_every_days) == ("draft", 7)
    assert found["Map"].attached_to == article.id
    said = await services.knowledge_documents.versions(there, article.id)
    assert [(v.number, v.text) for v in said] == [(2, "It costs 8 euros."), (1, "It costs 9 euros.")]
    text = await services.knowledge_documents.text(there, article.id)
    assert (text.published, text.draft) == ("It costs 8 euros.", "It will cost 7 euros.")
    assert {d.title for d in await services.knowledge_relations.beside(there, article.id)} == {"Map", "=Gift cards?"}
    assert [d.title for d in await services.knowledge_relations.beside(there, pair.id)] == ["Lviv"]
    tree = [(c.name, c.depth) for c in await services.knowledge_bases.categories(there, new.id)]
    assert tree == [("Delivery", 0), ("Cities", 1)]

    again = json.loads(zipfile.ZipFile(io.BytesIO(await packed(services, there, new.id))).read("knowledge.json"))
    before = json.loads(zipfile.ZipFile(io.BytesIO(content)).read("knowledge.json"))
    for told in (again, before):
        told.pop("name"), told.pop("description")
        for document in told["documents"]:
            document.pop("file", None), document.pop("versions", None)
        told["documents"].sort(key=lambda d: (d["kind"], d["id"]))
    # The relation is told at whichever of the two is older there.
    related = [[d.pop("see_also", None) for d in told["documents"]] for told in (again, before)]
    assert again == before
    assert all(sum(bool(s) for s in told) == 1 for told in related)

    admin.execute("UPDATE knowledge_document SET url = 'https://shop.example/b' WHERE kind = 'page'")
    assert counts(await take_in(services, owner, base.id, content)) == ("done", 0, 0, 5, 0)  # known by their ids


async def test_a_changed_document_becomes_a_new_version_and_is_read_again(
    services: Services, owner: Principal, base: BaseRow
) -> None:
    told = json.loads(await packed(services, owner, base.id, with_files=False))
    assert {d["kind"] for d in told["documents"]} == {"article", "pair", "page"}
    for document in told["documents"]:
        if document["kind"] == "article":
            document["text"] = "It is free on Mondays."
        if document["kind"] == "pair":
            document |= {"category": ["Payment", "Cards"], "language": "en"}
    done = await take_in(services, owner, base.id, json.dumps(told).encode())
    assert counts(done) == ("done", 0, 3, 1, 0)
    while await services.knowledge_ingest.run_next():
        pass
    found = {d.title: d for d in await services.knowledge_documents.list(owner, base.id)}
    assert (found["Lviv"].version, found["Lviv"].language, found["Lviv"].state) == (3, "uk", "ready")
    assert (found["=Gift cards?"].category, found["=Gift cards?"].version) == ("Cards", 1)
    assert found["Plans"].version == 1
    search = services.knowledge_search.for_flow
    query = KnowledgeQuery("free on Mondays", bases=(base.id,))
    assert len((await search(owner.workspace_id, query)).passages) == 2


async def test_pairs_go_out_and_come_in_as_csv(services: Services, owner: Principal, base: BaseRow) -> None:
    text = "".join([piece async for piece in services.knowledge_exchange.export_pairs(owner, base.id)])
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    assert rows[1:] == [["'=Gift cards?", 'Yes, from 20 euros; "any" sum.', "Delivery", ""]]
    assert counts(await take_in(services, owner, base.id, text.encode())) == ("done", 0, 0, 1, 0)
    table = (
        "Вопрос;Ответ;Категория;Язык\n"
        "Сколько стоит?;Пять евро;Доставка › Город;ru\n"
        ";Без вопроса;;\n"
        "Когда?;;;\n"
        "How long?;Two days;;fr\n"
        "Gift cards?;From 30 euros;;en\n"
    )
    done = await take_in(services, owner, base.id, table.encode("cp1251"))
    assert counts(done) == ("done", 2, 0, 0, 3)
    problems = await services.knowledge_exchange.problems(owner, done.id)
    assert [(p.entry, p.about) for p in problems] == [(3, ""), (4, "Когда?"), (5, "How long?")]
    assert "Choose English" in problems[2].message
    changed = table.replace("Пять", "Шесть").encode()
    assert counts(await take_in(services, owner, base.id, changed)) == ("done", 0, 1, 1, 3)


async def test_entries_that_are_wrong_are_named_and_the_rest_comes_in(
    services: Services, owner: Principal, base: BaseRow
) -> None:
    listed = [
        {"question": "Hours?", "answer": "From nine."},
        "nonsense",
        {"kind": "article", "title": "No text"},
        {"kind": "video", "title": "What?"},
        {"kind": "page", "url": "file:///etc/passwd"},
        {"kind": "page", "url": "http://127.0.0.1/admin"},
        {"kind": "file", "name": "a.txt", "file": "files/a"},
        {"kind": "article", "id": "a", "title": "Deep", "text": "x", "category": ["1", "2", "3", "4", "5"]},
        {"kind": "article", "id": "b", "title": "Nul\0", "text": "a\0b \ud800", "see_also": ["gone"]},
    ]
    done = await take_in(services, owner, base.id, json.dumps(listed).encode())
    assert counts(done) == ("done", 3, 0, 0, 7)  # an inner address is refused when it is read
    problems = {p.entry: p.message for p in await services.knowledge_exchange.problems(owner, done.id)}
    assert problems.keys() == {2, 3, 4, 5, 7, 8, 9}
    assert "ZIP" in problems[7]

    def zipped(names: dict[str, bytes]) -> bytes:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in names.items():
                archive.writestr(name, content)
        return made.getvalue()

    files = [
        {"kind": "file", "name": n, "file": f}
        for n, f in (("a.exe", "e"), ("b.txt", "no"), ("c.txt", "big"), ("d.txt", "d"))
    ]
    inside = {"knowledge.json": json.dumps(files).encode(), "e": b"MZ\0\0", "big": b"0" * 25_000_001, "d": b"Words."}
    assert counts(await take_in(services, owner, base.id, zipped(inside))) == ("done", 1, 0, 0, 3)
    for bad in (
        b"",
        b"{",
        b"PK\x03\x04junk",
        zipped({"x": b""}),
        b'{"format": "other/9"}',
        b"[]",
        b"a,b\n1,2\n",
        b"[" * 100_000,
    ):
        with pytest.raises(InputInvalid):
            await services.knowledge_exchange.keep(owner, base.id, "f", bad)


async def test_a_harmful_file_is_named_and_the_rest_comes_in(
    services: Services, owner: Principal, base: BaseRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [{"kind": "file", "name": n, "file": n} for n in ("a.txt", "b.txt", "c.txt")]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("knowledge.json", json.dumps(files))
        for number, name in enumerate(("a.txt", "b.txt", "c.txt")):
            archive.writestr(name, b"Words %d." % number + (HARMFUL if number == 1 else b""))
    async with clamd() as daemon:
        monkeypatch.setattr(services.database.files, "_scan", Clamd(daemon.address).scan)
        done = await take_in(services, owner, base.id, made.getvalue())
    assert counts(done) == ("done", 2, 0, 0, 1)
    (problem,) = await services.knowledge_exchange.problems(owner, done.id)
    assert (problem.entry, "virus scanner" in problem.message) == (2, True)


async def test_a_worker_that_dies_in_between_is_followed_by_another(
    services: Services, owner: Principal, base: BaseRow, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knowledge_exchange, "BATCH", 2)
    pairs = [{"question": f"Question {n}?", "answer": "Yes."} for n in range(7)]
    kept = await services.knowledge_exchange.keep(owner, base.id, "pairs.json", json.dumps(pairs).encode())
    original, calls = services.knowledge_exchange._batch, 0

    async def dies(*arguments: Any) -> dict[str, int]:
        nonlocal calls
        calls += 1
        made = await original(*arguments)
        if calls == 3:
            raise ConnectionError("killed after it had written, before it had committed")
        return made

    monkeypatch.setattr(services.knowledge_exchange, "_batch", dies)
    with pytest.raises(ConnectionError):
        await services.knowledge_exchange.run_next()
    assert (await services.knowledge_exchange.progress(owner, kept.id)).position == 4
    assert not await services.knowledge_exchange.run_next()
    admin.execute("UPDATE knowledge_import SET leased_until = now()")
    assert await services.knowledge_exchange.run_next()
    assert counts(await services.knowledge_exchange.progress(owner, kept.id)) == ("done", 7, 0, 0, 0)
    assert admin.execute("SELECT count(*) FROM knowledge_document WHERE title LIKE 'Question %'").fetchone() == (7,)
    assert admin.execute("SELECT count(*) FROM knowledge_import WHERE content IS NOT NULL").fetchone() == (0,)
    more = await services.knowledge_exchange.keep(owner, base.id, "f", json.dumps(pairs).encode())
    assert await services.knowledge_exchange.cancel(owner, more.id)
    assert not await services.knowledge_exchange.run_next()
    newest = await services.knowledge_exchange.newest(owner, base.id)
    assert newest is not None
    assert (newest.id, newest.state) == (more.id, "canceled")


async def test_only_who_may_takes_out_and_brings_in(
    services: Services, owner: Principal, other_workspace: Principal, base: BaseRow
) -> None:
    exchange, there = services.knowledge_exchange, other_workspace
    kept = await exchange.keep(owner, base.id, "f", b'[{"question": "a", "answer": "b"}]')
    for act in (
        exchange.export(there, base.id, with_files=True), exchange.keep(there, base.id, "f", b"[]"),
        exchange.progress(there, kept.id), anext(exchange.export_pairs(there, base.id)),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            await act
    assert await exchange.newest(there, base.id) is None
    assert not await exchange.cancel(there, kept.id)
    viewer = Principal(owner.workspace_id, owner.member_id, "viewer", PERMISSIONS["viewer"])
    for refused in (exchange.keep(viewer, base.id, "f", b"[]"), exchange.cancel(viewer, kept.id)):
        with pytest.raises(AccessDenied):
            await refused


async def test_what_is_beside_a_document_is_of_its_base_and_goes_with_its_article(
    services: Services, owner: Principal, base: BaseRow
) -> None:
    documents, relations = services.knowledge_documents, services.knowledge_relations
    other = await services.knowledge_bases.create(owner, "Other")
    far = await documents.add_article(owner, other.id, "Far", "x")
    found = {d.title: d.id for d in await documents.list(owner, base.id)}
    for pair in ((found["Lviv"], far.id), (found["Lviv"], found["Lviv"])):
        with pytest.raises(InputInvalid):
            await relations.relate(owner, *pair)
    with pytest.raises(InputInvalid):
        await documents.add_file(owner, base.id, "a.txt", b"x", attached_to=found["=Gift cards?"])
    await relations.unrelate(owner, found["Lviv"], found["=Gift cards?"])
    assert [d.title for d in await relations.beside(owner, found["Lviv"])] == ["Map"]
    await documents.delete(owner, found["Lviv"])
    assert "Map" not in {d.title for d in await documents.list(owner, base.id)}


async def test_a_search_is_narrowed_by_category_and_date(
    services: Services, owner: Principal, base: BaseRow, admin: Any
) -> None:
    while await services.knowledge_ingest.run_next():
        pass
    search = services.knowledge_search.for_flow

    async def titles(**narrowed: Any) -> set[str]:
        query = KnowledgeQuery("euros", bases=(base.id,), threshold=0, **narrowed)
        return {p.title for p in (await search(owner.workspace_id, query)).passages}

    assert await titles() == {"Lviv", "=Gift cards?"}
    assert await titles(categories=("cities",)) == {"Lviv"}
    assert await titles(categories=("DELIVERY",)) == {"Lviv", "=Gift cards?"}
    assert await titles(categories=("gone",)) == set()
    admin.execute("UPDATE knowledge_document SET updated_at = now() - interval '40 days' WHERE kind = 'pair'")
    assert await titles(newest_days=30) == {"Lviv"}
    assert await titles(newest_days=60) == {"Lviv", "=Gift cards?"}
