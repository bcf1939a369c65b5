"""The pages of knowledge: what they show, what they change, and what strangers and viewers get."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from builder_ui.pages.knowledge_base_state import KnowledgeBase
from builder_ui.pages.knowledge_questions_state import KnowledgeQuestions
from builder_ui.pages.knowledge_state import Knowledge
from builder_ui.pages.knowledge_store_state import KnowledgeStore, in_words
from builder_ui.pages.knowledge_try_state import KnowledgeTry
from builder_ui.pages.models_state import Models
from graph_runtime.bootstrap import Services
from graph_runtime.services.knowledge_stores import SLOW
from graph_runtime.services.principal import Principal
from tests.builder_ui.conftest import Talk
from tests.builder_ui.tab import Tab, redirected_to
from tests.fakes.vectors.qdrant import QdrantFake
from tests.fakes.vectors.serving import KEY, serving

ASKED = """
    INSERT INTO knowledge_asking (workspace_id, conversation_id, turn_id, node_id, agent_id, reason, bases, text, terms, asked_at)
        SELECT c.workspace_id, c.id, uuidv7(), 'n', c.agent_id, 'not_found', ARRAY[%(base)s::uuid], %(text)s, %(terms)s, now()
        FROM conversation c
"""
ARTICLE = {"title": "Delivery", "text": "# Delivery\n\nOdesa: 11 euros.\n\n<script>alert(1)</script>"}


async def open_base(tab: Tab) -> KnowledgeBase:
    await tab.call(Knowledge, "load")
    await tab.call(Knowledge, "begin")
    path = redirected_to(await tab.call(Knowledge, "save", {"name": " Shop  rules ", "description": "All of them"}))
    tab.go(path)
    await tab.call(KnowledgeBase, "load")
    return tab.state(KnowledgeBase)


async def read_all(services: Services) -> None:
    while await services.knowledge_ingest.run_next():
        pass


async def test_an_article_is_written_read_found_and_deleted(tab: Tab, services: Services, who: Principal) -> None:
    page = await open_base(tab)
    assert (page.base.name, page.may_edit, page.documents) == ("Shop rules", True, [])
    await tab.call(KnowledgeBase, "begin", "article")
    await tab.call(KnowledgeBase, "wrote", ARTICLE["text"])
    assert "<h1>Delivery</h1>" in page.form_preview
    assert "<script" not in page.form_preview
    await tab.call(KnowledgeBase, "save", ARTICLE | {"is_draft": "on"})
    assert [(d.title, d.state) for d in page.documents] == [("Delivery", "draft")]
    await tab.call(KnowledgeBase, "edit", page.documents[0].id)
    assert (page.form_title, page.form_text) == (ARTICLE["title"], ARTICLE["text"])
    await tab.call(KnowledgeBase, "save", ARTICLE)
    assert page.is_working
    await read_all(services)
    await tab.call(KnowledgeBase, "tick")
    (item,) = page.documents
    assert (item.state, item.passages, page.is_working) == ("ready", 1, False)
    await tab.call(KnowledgeBase, "look", item.id)
    assert page.passages[0].text.startswith("Odesa: 11 euros.")
    await opens_by_its_address(tab, page, item.id)
    await tab.call(KnowledgeBase, "show_versions", item.id)
    assert [(v.number, v.is_newest) for v in page.versions] == [(1, True)]
    await tab.call(KnowledgeBase, "restore", 1)
    await read_all(services)
    await tab.call(KnowledgeTry, "ask", {"query": "price to Odessa", "top_k": "3", "threshold": "0,2"})
    trial = tab.state(KnowledgeTry)
    assert (trial.going, trial.corrected, trial.found[0].goes) == (1, ["odessa → odesa"], True)
    assert ("Odesa", True) in [(p.text, p.is_hit) for p in trial.found[0].pieces]
    await tab.call(KnowledgeBase, "ask_delete", item.id)
    await tab.call(KnowledgeBase, "delete")
    assert page.documents == []


async def opens_by_its_address(tab: Tab, page: KnowledgeBase, document_id: str) -> None:
    """One opening may be told twice: what was closed in between stays closed, and the next opening opens it."""
    tab.go(f"/knowledge/{page.base.id}?document={document_id}")
    await tab.call(KnowledgeBase, "load")
    await tab.call(KnowledgeBase, "load")
    assert page.opened.id == document_id
    await tab.call(KnowledgeBase, "close_look", False)
    await tab.call(KnowledgeBase, "load")
    assert page.opened.id == ""
    page._wanted_at -= 60
    await tab.call(KnowledgeBase, "load")
    assert page.opened.id == document_id
    tab.go(f"/knowledge/{page.base.id}")
    await tab.call(KnowledgeBase, "load")
    assert page.opened.id == ""


async def test_categories_pages_and_settings(tab: Tab, services: Services, who: Principal) -> None:
    page = await open_base(tab)
    await tab.call(KnowledgeBase, "begin_category", "")
    await tab.call(KnowledgeBase, "save_category", {"name": "Orders"})
    await tab.call(KnowledgeBase, "choose_category", page.categories[0].id)
    await tab.call(KnowledgeBase, "begin", "page")
    await tab.call(KnowledgeBase, "save", {"url": "ftp://example.com", "every_days": "0"})
    assert (tab.notice, page.form_kind) == (("error", "error.input_invalid_url"), "page")
    await tab.call(KnowledgeBase, "save", {"url": "https://example.com/a#top", "every_days": "7"})
    assert [(d.url, d.category, d.every_days) for d in page.documents] == [("https://example.com/a", "Orders", 7)]
    await tab.call(KnowledgeBase, "begin", "page")
    await tab.call(KnowledgeBase, "save", {"url": "https://example.com/a", "every_days": "0"})
    assert tab.notice == ("error", "error.conflict_document")
    await tab.call(KnowledgeBase, "show", "settings")
    await services.credentials.create(who, "local_embedder", "Here", {"folder": "/srv/models"})
    await tab.call(KnowledgeBase, "load")
    assert (page.tab, [e.name for e in page.embedders]) == ("settings", ["Here"]), "a key that came meanwhile"
    await tab.call(KnowledgeBase, "save_settings", {"name": "Rules", "description": "", "is_public": "on"})
    assert (page.base.name, page.base.is_public) == ("Rules", True)
    await tab.call(KnowledgeBase, "save_embedder", {"embedder": str(uuid4()), "model": "x"})
    assert tab.notice == ("error", "error.input_invalid_embedder")
    await tab.call(KnowledgeBase, "save_reranker", {"reranker": str(uuid4())})
    assert tab.notice == ("error", "error.input_invalid_reranker")
    await tab.call(KnowledgeBase, "save_reranker", {"reranker": "none"})
    assert page.base.reranker == ""
    await tab.call(KnowledgeBase, "ask_delete_base")
    assert redirected_to(await tab.call(KnowledgeBase, "delete_base")) == "/knowledge"
    assert await services.knowledge_bases.list(who) == []


async def test_a_question_without_an_answer_is_written_about_set_aside_and_brought_back(
    tab: Tab, services: Services, who: Principal, admin: Any, talk: Talk
) -> None:
    page = await open_base(tab)
    questions = tab.state(KnowledgeQuestions)
    for text in ("Do you insure parrots?", "parrot insurance", "Is there a car park?"):
        admin.execute(ASKED, {"base": page.base.id, "text": text, "terms": text.lower().strip("?").split()[-2:]})
    await tab.call(Knowledge, "load")
    assert [b.questions for b in tab.state(Knowledge).bases] == [2]
    await tab.call(KnowledgeQuestions, "load")
    assert {q.text for q in questions.questions} == {"parrot insurance", "Is there a car park?"}
    assert (questions.open_count, questions.agents[0].name) == (2, "Reception")
    park = next(q for q in questions.questions if "park" in q.text)
    await tab.call(KnowledgeQuestions, "look", park.id)
    assert [(a.text, a.talk_path) for a in questions.askings] == [(park.text, f"/conversations?id={talk.id}")]
    await tab.call(KnowledgeQuestions, "write", park.id, "pair")
    assert (page.form_kind, page.form_title, page.form_question) == ("pair", park.text, park.id)
    await tab.call(KnowledgeBase, "save", {"title": park.text, "text": "Yes, behind the house."})
    assert tab.notice == ("success", "questions.settled")
    await tab.call(KnowledgeQuestions, "again")
    assert questions.open_count == 1
    await tab.call(KnowledgeQuestions, "dismiss", questions.questions[0].id)
    await tab.call(KnowledgeQuestions, "choose_state", "dismissed")
    await tab.call(KnowledgeQuestions, "reopen", questions.questions[0].id)
    assert questions.questions == []
    await tab.call(KnowledgeQuestions, "choose_state", "answered")
    assert [q.document for q in questions.questions] == [park.text]
    await tab.call(KnowledgeQuestions, "look", str(uuid4()))
    assert tab.notice == ("error", "error.not_found")


async def test_others_find_nothing_and_viewers_change_nothing(
    tab: Tab, services: Services, who: Principal, admin: Any
) -> None:
    page = await open_base(tab)
    admin.execute("UPDATE member SET role = 'viewer' WHERE workspace_id = %s", (who.workspace_id,))
    await tab.call(KnowledgeBase, "load")
    assert (page.is_missing, page.may_edit) == (False, False)
    await tab.call(KnowledgeBase, "begin", "article")
    await tab.call(KnowledgeBase, "save", ARTICLE)
    assert tab.notice == ("error", "error.access_denied")
    tab.go(f"/knowledge/{uuid4()}")
    await tab.call(KnowledgeBase, "load")
    assert page.is_missing


async def test_a_store_is_chosen_checked_filled_and_left(tab: Tab, services: Services, who: Principal) -> None:
    page = await open_base(tab)
    with serving(QdrantFake()) as fake:
        values = {"base_url": fake.url, "key": KEY, "allow_private_host": True}
        key = (await services.credentials.create(who, "qdrant", "Ours", values)).id
        await tab.call(KnowledgeStore, "load")
        card = tab.state(KnowledgeStore)
        assert ([(s.id, s.name) for s in card.stores], card.chosen, card.copies) == ([(key, "Ours")], "postgresql", [])
        await tab.call(KnowledgeStore, "pick", key)
        await tab.call(KnowledgeStore, "check")
        assert tab.notice == ("success", "models.works")
        fake.fault = "refuses_key"
        await tab.call(KnowledgeStore, "check")
        assert tab.notice == ("error", "models.fails")
        fake.fault = "down"
        await tab.call(KnowledgeStore, "save", {"store": key})
        assert tab.notice == ("success", "stores.chosen")
        assert ([(c.label, c.state) for c in card.copies], card.is_busy) == ([("Ours", "filling")], True)
        await tab.call(KnowledgeStore, "fill_again")
        while await services.knowledge_copying.run_next():
            pass
        await tab.call(KnowledgeStore, "tick")
        assert [c.state for c in card.copies] == ["serving"]
        await tab.call(KnowledgeStore, "look_again")
        await tab.call(Models, "ask_delete", key)
        assert tab.state(Models).doomed_bases == [page.base.name]
        await tab.call(KnowledgeStore, "save", {"store": "postgresql"})
        assert (tab.notice, card.chosen) == (("success", "stores.left"), "postgresql")
        await tab.call(KnowledgeStore, "save", {"store": str(uuid4())})
        assert tab.notice == ("error", "error.input_invalid_store")
    assert in_words("The store is not working properly at the moment.", "uk").startswith("Сховище")
    assert in_words(SLOW, "ru") == "Хранилище не ответило вовремя."
    assert in_words("Something else.", "ru") == "Something else."
