"""Files through the reading process, web pages through the door, vectors through an embedder: all three may fail."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from typing import Any

import docx
import pypdf
import pytest
from PIL import Image

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import CredentialRejected, Refused, Unreachable
from graph_runtime.contract.knowledge import KnowledgeQuery
from graph_runtime.knowledge.reader import NotRead, Reader
from graph_runtime.knowledge.search import VECTORS
from graph_runtime.services.knowledge_bases import BaseRow
from graph_runtime.services.principal import Principal
from graph_runtime.services.web_pages import WebPages
from graph_runtime.storage import knowledge as rows
from tests.knowledge.files_to_bring import pdf


class Door:
    """A site in memory."""

    def __init__(self, pages: dict[str, bytes | Exception]) -> None:
        self.pages = pages

    async def fetch(self, url: str, *, seconds: float, headers: dict[str, str] | None = None) -> bytes:
        found = self.pages.get(url, Refused("Not there.", status=404))
        if isinstance(found, Exception):
            raise found
        return found


class Colors:
    """Vectors by the colors a text names: different words for the same color are alike."""

    name = "colors/1"
    at_once = 2

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.failure: Exception | None = None

    def unrelated(self, query: str) -> float:
        return 0.0

    async def embed(self, texts: Sequence[str], *, is_query: bool = False) -> list[list[float]]:
        self.asked.append([*texts])
        if self.failure is not None:
            raise self.failure
        families = (("red", "scarlet"), ("blue", "azure"), ("green", "emerald"))
        return [[*(float(any(w in t.lower() for w in f)) for f in families), 0.1, *[0.0] * 252] for t in texts]

    async def aclose(self) -> None:
        pass


@pytest.fixture
async def base(services: Services, owner: Principal) -> AsyncIterator[BaseRow]:
    yield await services.knowledge_bases.create(owner, "Shop")
    await services.knowledge_ingest.close()


async def read_all(services: Services) -> None:
    while await services.knowledge_ingest.run_next():
        pass


def word_file() -> bytes:
    document = docx.Document()
    document.add_heading("Доставка", 1)
    document.add_paragraph("Мы доставляем каждый день.")
    table = document.add_table(2, 2)
    for place, text in enumerate(("Город", "Цена", "Львов", "9 евро")):
        table.cell(place // 2, place % 2).text = text
    made = io.BytesIO()
    document.save(made)
    return made.getvalue()


def pdf_file(password: str = "") -> bytes:
    writer = pypdf.PdfWriter()
    writer.add_blank_page(200, 200)
    if password:
        writer.encrypt(password)
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()


async def test_the_reading_process_reads_says_why_not_and_survives_its_death() -> None:
    reader = Reader()
    try:
        read = await reader.read(word_file(), "a.docx")
        assert [(p.heading, p.text) for p in read.passages] == [
            ("Доставка", "Мы доставляем каждый день.\n\n| Город | Цена |\n|---|---|\n| Львов | 9 евро |")
        ]
        assert read.language == "ru"
        for content, code in (
            (pdf_file(), "scanned"),
            (pdf_file("x"), "encrypted"),
            (b"%PDF-1.4 x", "damaged"),
            (b" \n", "empty"),
        ):
            with pytest.raises(NotRead) as refused:
                await reader.read(content, "a.pdf", "pdf")
            assert refused.value.code == code
        first = reader.pid
        assert first is not None
        reader._process.kill()  # type: ignore[union-attr]  # as the system would
        with pytest.raises(NotRead) as crashed:
            await reader.read(b"# A\n\nb", "a.md")
        assert crashed.value.code == "crashed"
        assert (await reader.read(b"# A\n\nb", "a.md")).passages[0].heading == "A"
        assert reader.pid != first
    finally:
        await reader.close()


def half_scanned() -> bytes:
    """A printed page, a scanned one and an empty one."""
    picture = io.BytesIO()
    Image.new("L", (40, 40)).save(picture, "PDF")
    writer = pypdf.PdfWriter()
    for source in (pdf("Bouquet of tulips costs 20 euros"), picture.getvalue()):
        writer.append(io.BytesIO(source))
    writer.add_blank_page(200, 200)
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()


async def test_scanned_pages_between_printed_ones_are_named(
    services: Services, owner: Principal, base: BaseRow
) -> None:
    row = await services.knowledge_documents.add_file(owner, base.id, "Catalog.pdf", half_scanned())
    await read_all(services)
    after = await services.knowledge_documents.get(owner, row.id)
    assert (after.state, after.error, after.error_about, after.passages) == ("ready", "scanned_pages", "2", 1)


async def test_pages_are_read_through_the_door_and_unchanged_ones_are_left(
    services: Services, owner: Principal, base: BaseRow, admin: Any
) -> None:
    site: dict[str, bytes | Exception] = {
        "https://shop.example/a": "<html><title>Ціни</title><main><h1>Ціни</h1><p>Троянда коштує п'ять євро.</p></main>".encode(),
        "https://shop.example/robots.txt": b"User-agent: *\nDisallow: /secret",
        "https://shop.example/down": Unreachable("Away."),
        "https://shop.example/sitemap.xml": b"<urlset><loc>https://shop.example/a</loc><loc>https://other.example/</loc>"
        b"<loc>https://shop.example/gone?a=1&amp;b=2</loc></urlset>",
    }
    pages = WebPages(Door(site))
    services.knowledge_ingest._pages = services.knowledge_documents._pages = pages
    documents = services.knowledge_documents
    assert await documents.add_site(owner, base.id, "https://shop.example/sitemap.xml", every_days=3) == 2
    for path in ("secret/x", "down"):
        await documents.add_page(owner, base.id, f"https://shop.example/{path}")
    await read_all(services)
    found = {d.url.partition("example/")[2]: d for d in await documents.list(owner, base.id)}
    assert (found["a"].title, found["a"].state, found["a"].language) == ("Ціни", "ready", "uk")
    assert {k: d.error for k, d in found.items() if d.error} == {
        "gone?a=1&b=2": "page_missing", "secret/x": "robots", "down": "page_unreachable",
    }  # fmt: skip
    before = admin.execute("SELECT id FROM knowledge_passage").fetchall()
    admin.execute("UPDATE knowledge_document SET next_read_at = now() WHERE url LIKE '%/a'")
    await read_all(services)
    assert admin.execute("SELECT id FROM knowledge_passage").fetchall() == before
    row = admin.execute("SELECT next_read_at > now() FROM knowledge_document WHERE url LIKE '%/a'").fetchone()
    assert row == (True,)


async def test_meaning_is_added_in_batches_kept_and_searched(
    services: Services, owner: Principal, base: BaseRow, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    colors = Colors()
    credential = admin.execute(
        "WITH k AS (INSERT INTO data_key (workspace_id, number, wrapped, wrapped_by) VALUES (%s, 1, 'x', 'k'))"
        " INSERT INTO credential (workspace_id, connector, label, data_key_number) VALUES (%s, 'openai', 'L', 1)"
        " RETURNING id::text",
        (owner.workspace_id, owner.workspace_id),
    ).fetchone()[0]

    async def opened(*_: str) -> Colors:
        return colors

    monkeypatch.setattr(services.knowledge_ingest._embedders, "open", opened)
    articles = [("Roses", "They are scarlet."), ("Irises", "They are azure."), ("Ferns", "They are emerald.")]
    text = "\n\n".join(f"## {title}\n\n{text}" for title, text in articles)
    row = await services.knowledge_documents.add_article(owner, base.id, "Flowers", text)
    await read_all(services)
    assert colors.asked == []
    changed = await services.knowledge_bases.set_embedder(owner, base.id, credential, "m")
    assert changed.working == 1
    await read_all(services)
    assert [len(batch) for batch in colors.asked] == [2, 1]
    assert (await services.knowledge_documents.get(owner, row.id)).state == "ready"

    query = KnowledgeQuery("anything blue?", bases=(base.id,), mode="semantic", top_k=1)
    answer = await services.knowledge_search.for_flow(owner.workspace_id, query)
    assert [(p.heading, p.sure > 0.9) for p in answer.passages] == [("Irises", True)]
    trial = await services.knowledge_search.try_query(owner, base.id, "blue irises")
    assert set(trial.result.found[0].votes) == {"words", VECTORS}

    supposed = KnowledgeQuery("what suits the kitchen?", bases=(base.id,), top_k=1, meaning="Something green.")
    answer = await services.knowledge_search.for_flow(owner.workspace_id, supposed)
    assert [p.heading for p in answer.passages] == ["Ferns"]
    worded = KnowledgeQuery("what suits the kitchen?", bases=(base.id,), top_k=1, also=("anything red", "roses"))
    answer = await services.knowledge_search.for_flow(owner.workspace_id, worded)
    assert [p.heading for p in answer.passages] == ["Roses"]

    colors.failure, colors.asked = Unreachable("Away."), []
    answer = await services.knowledge_search.for_flow(
        owner.workspace_id, KnowledgeQuery("irises in azure", bases=(base.id,))
    )
    assert (answer.passages[0].heading, answer.trouble) == ("Irises", "Away.")

    colors.failure = CredentialRejected("Refused.")
    await services.knowledge_documents.save(
        owner, row.id, title="Flowers", text=text + "\n\n## Tulips\n\nThey are red.", publish=True
    )
    await read_all(services)
    after = await services.knowledge_documents.get(owner, row.id)
    assert (after.state, after.error, after.passages) == ("failed", "embedder", 4)
    colors.failure, colors.asked = None, []
    async with services.database.workspace(owner.workspace_id) as connection:
        await rows.embed_again(connection, base.id)
    await read_all(services)
    assert [len(batch) for batch in colors.asked] == [1]  # the other three kept their vectors


class Reversed(Colors):
    """Another model: the same colors in another order, in vectors of another length."""

    name = "reversed/1"

    async def embed(self, texts: Sequence[str], *, is_query: bool = False) -> list[list[float]]:
        return [[0.0, *vector[::-1]] for vector in await super().embed(texts, is_query=is_query)]


async def test_vectors_of_the_former_model_are_searched_until_the_last_is_replaced(
    services: Services, owner: Principal, base: BaseRow, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    models: dict[str, Colors] = {"first": Colors(), "second": Reversed(), "third": Colors()}
    key = await services.credentials.create(owner, "openai", "Vectors", {"key": "sk-1234567890abcdef"})

    async def opened(_workspace: str, _credential: str, model: str) -> Colors:
        return models[model]

    monkeypatch.setattr(services.knowledge_embedders, "open", opened)
    bases, documents = services.knowledge_bases, services.knowledge_documents
    await bases.set_embedder(owner, base.id, key.id, "first")
    for title, text in (("Roses", "They are scarlet."), ("Irises", "They are azure.")):
        await documents.add_article(owner, base.id, title, text)
    await read_all(services)

    async def found(question: str) -> tuple[list[str], str]:
        query = KnowledgeQuery(question, bases=(base.id,), mode="semantic", top_k=1)
        answer = await services.knowledge_search.for_flow(owner.workspace_id, query)
        return [p.title for p in answer.passages], answer.trouble

    assert await found("anything blue?") == (["Irises"], "")
    await bases.set_embedder(owner, base.id, key.id, "second")
    assert await found("anything blue at all?") == (["Irises"], ""), "nothing is replaced yet"
    assert await services.knowledge_ingest.run_next()
    assert (await found("now red?"), await found("now blue?")) == ((["Roses"], ""), (["Irises"], "")), "one of two"
    models["first"].failure = Unreachable("Away.")
    assert (await found("what is blue?"))[1] == "", "it may be left because it is gone"
    await read_all(services)
    models["first"].asked.clear()
    assert await found("still blue?") == (["Irises"], "")
    assert models["first"].asked == [], "all are replaced"
    assert admin.execute("SELECT former_embedder, former_model FROM knowledge_base").fetchall() == [(None, "")]

    await bases.set_embedder(owner, base.id, key.id, "third")
    await bases.set_embedder(owner, base.id, key.id, "first")
    former = admin.execute("SELECT former_model FROM knowledge_base").fetchone()
    assert former == ("second",), "the one that made the vectors"
    await bases.set_embedder(owner, base.id, key.id, "second")
    assert admin.execute("SELECT former_embedder FROM knowledge_base").fetchone() == (None,), "it is the model again"
    await bases.set_embedder(owner, base.id, "", "")
    assert admin.execute("SELECT former_embedder FROM knowledge_base").fetchone() == (None,)


async def test_a_worker_that_is_stopped_gives_the_document_back(
    services: Services, owner: Principal, base: BaseRow, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = asyncio.Event()

    async def forever(*_: Any) -> None:
        began.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(services.knowledge_ingest, "_read", forever)
    row = await services.knowledge_documents.add_article(owner, base.id, "A", "B")
    work = asyncio.create_task(services.knowledge_ingest.run_next())
    await began.wait()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    monkeypatch.undo()
    await read_all(services)
    assert (await services.knowledge_documents.get(owner, row.id)).state == "ready"
