"""A reranker orders what was found; when it fails, is slow or talks nonsense, the search goes on in its own order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import AccessDenied, InputInvalid
from graph_runtime.contract.knowledge import KnowledgeQuery
from graph_runtime.knowledge.search import RERANKED, SearchSettings
from graph_runtime.services.knowledge_bases import BaseRow
from graph_runtime.services.principal import PERMISSIONS, Principal
from tests.fakes.reranker import KEY, MODEL, Reranker, reranker

QUESTION = "What do flowers cost?"


@dataclass
class Shop:
    """A base of three articles that all have the words of the question, with a reranker."""

    services: Services
    owner: Principal
    base: BaseRow
    credential: str
    fake: Reranker

    async def order(self, query: str = QUESTION) -> tuple[list[str], Any]:
        trial = await self.services.knowledge_search.try_query(
            self.owner, self.base.id, query, SearchSettings(threshold=0)
        )
        return [f.title for f in trial.result.found], trial.result

    async def flow_order(self) -> list[str]:
        query = KnowledgeQuery(QUESTION, bases=(self.base.id,), threshold=0.1, top_k=2)
        answer = await self.services.knowledge_search.for_flow(self.owner.workspace_id, query)
        return [p.title for p in answer.passages]


@pytest.fixture
def fake() -> Iterator[Reranker]:
    with reranker() as made:
        yield made


@pytest.fixture
async def shop(services: Services, owner: Principal, fake: Reranker) -> AsyncIterator[Shop]:
    base = await services.knowledge_bases.create(owner, "Shop")
    for title in ("Tulips", "Roses", "Asters"):
        text = f"Flowers such as {title.lower()} cost much." + " It is known." * (10 if title == "Roses" else 0)
        await services.knowledge_documents.add_article(owner, base.id, title, text)
    while await services.knowledge_ingest.run_next():
        pass
    values = {"base_url": fake.url, "model": MODEL, "key": KEY, "allow_private_host": True}
    credential = await services.credentials.create(owner, "reranker", "Ours", values)
    yield Shop(services, owner, base, credential.id, fake)
    await services.knowledge_ingest.close()


async def test_what_is_found_stands_in_the_order_of_the_reranker(shop: Shop) -> None:
    bases, fake = shop.services.knowledge_bases, shop.fake
    plain, result = await shop.order()
    assert (plain[-1], result.unranked, fake.asked) == ("Roses", "", [])  # off unless it is chosen
    assert await bases.rerankers(shop.owner) == [(shop.credential, "Ours")]
    assert (await bases.set_reranker(shop.owner, shop.base.id, shop.credential)).reranker == shop.credential
    fake.likes = "roses"
    found, result = await shop.order()
    assert found[0] == "Roses"
    assert found[1:] == [title for title in plain if title != "Roses"]
    assert [f.votes[RERANKED].rank for f in result.found] == [1, 2, 3]
    assert result.found[0].votes[RERANKED].score == pytest.approx(0.9)
    assert result.found[0].sure == pytest.approx(result.found[1].sure)  # how sure a passage is, words and meaning say
    assert (fake.asked[0]["query"], fake.asked[0]["top_n"]) == (QUESTION, 3)
    assert fake.asked[0]["documents"][0].startswith(f"{plain[0]}\nFlowers")
    assert (await shop.flow_order())[0] == "Roses"
    checked = await shop.services.credentials.check(shop.owner, shop.credential)
    assert checked.ok
    await bases.set_reranker(shop.owner, shop.base.id, "")
    assert (await shop.order())[0] == plain


@pytest.mark.parametrize("fault", ["down", "busy", "doubles", "misses", "no_numbers", "no_json"])
async def test_a_fault_leaves_the_order_and_is_told(shop: Shop, fault: Any) -> None:
    plain, _ = await shop.order()
    await shop.services.knowledge_bases.set_reranker(shop.owner, shop.base.id, shop.credential)
    shop.fake.likes, shop.fake.fault = "roses", fault
    found, result = await shop.order()
    assert found == plain
    assert "reranker" in result.unranked
    assert all(RERANKED not in f.votes for f in result.found)
    assert await shop.flow_order() == plain[:2]
    assert KEY not in result.unranked


async def test_nobody_waits_longer_than_the_limit(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, _ = await shop.order()
    await shop.services.knowledge_bases.set_reranker(shop.owner, shop.base.id, shop.credential)
    monkeypatch.setattr(shop.services.knowledge_search._rerankers, "_seconds", 0.2)
    shop.fake.fault = "hangs"
    found, result = await shop.order()
    assert (found, result.unranked) == (plain, "The reranker did not answer in time.")
    assert result.ms[RERANKED] < 2000


async def test_only_a_key_of_a_reranker_and_only_by_who_may(shop: Shop, other_workspace: Principal, admin: Any) -> None:
    bases = shop.services.knowledge_bases
    key = await shop.services.credentials.create(shop.owner, "openai", "Other", {"key": "sk-1"})
    for wrong in (key.id, "nonsense"):
        with pytest.raises(InputInvalid):
            await bases.set_reranker(shop.owner, shop.base.id, wrong)
    theirs = await bases.create(other_workspace, "Theirs")
    with pytest.raises(InputInvalid):
        await bases.set_reranker(other_workspace, theirs.id, shop.credential)
    viewer = Principal(shop.owner.workspace_id, None, "viewer", PERMISSIONS["viewer"])
    with pytest.raises(AccessDenied):
        await bases.set_reranker(viewer, shop.base.id, shop.credential)
    await bases.set_reranker(shop.owner, shop.base.id, shop.credential)
    await shop.services.credentials.delete(shop.owner, shop.credential, even_if_used=True)
    assert (await bases.get(shop.owner, shop.base.id)).reranker == ""
    assert (await shop.order())[1].unranked == ""
