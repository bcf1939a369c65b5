"""A base whose vectors are made on this machine, from the key to the answer: the real libraries and a model of the test's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.knowledge import KnowledgeQuery
from graph_runtime.services.knowledge_bases import BaseRow
from graph_runtime.services.principal import Principal
from tests.fakes import tiny_embedder

MEANINGS = {
    "parcel": (1.0, 0, 0, 0), "shipment": (1.0, 0, 0, 0), "посылка": (1.0, 0, 0, 0),
    "refund": (0, 1.0, 0, 0), "money": (0, 0.9, 0.1, 0), "garden": (0, 0, 1.0, 0),
}  # fmt: skip
TEXT = "## Courier\n\nThe parcel comes at noon.\n\n## Accounts\n\nA refund takes a week.\n\n## Outside\n\nOur garden is green."


@pytest.fixture
async def base(services: Services, owner: Principal, tmp_path: Path) -> AsyncIterator[BaseRow]:
    tiny_embedder.make(tmp_path / "models/tiny", MEANINGS)
    key = await services.credentials.create(owner, "local_embedder", "Ours", {"folder": str(tmp_path / "models")})
    made = await services.knowledge_bases.create(owner, "Shop")
    assert (await services.credentials.check(owner, key.id)).models == ("tiny",)
    (choice,) = await services.knowledge_bases.embedders(owner)
    assert (choice.credential_id, choice.models) == (key.id, (("tiny", "tiny"),))
    yield await services.knowledge_bases.set_embedder(owner, made.id, key.id, "tiny")
    await services.knowledge_ingest.close()
    await services.knowledge_embedders.close()


async def read_all(services: Services) -> None:
    while await services.knowledge_ingest.run_next():
        pass


async def heading(services: Services, owner: Principal, base: BaseRow, question: str) -> tuple[list[str], str]:
    query = KnowledgeQuery(question, bases=(base.id,), mode="semantic", top_k=1)
    answer = await services.knowledge_search.for_flow(owner.workspace_id, query)
    return [p.heading for p in answer.passages], answer.trouble


async def test_other_words_in_other_languages_find_the_passage(
    services: Services, owner: Principal, base: BaseRow, admin: Any
) -> None:
    row = await services.knowledge_documents.add_article(owner, base.id, "Shop", TEXT)
    await read_all(services)
    assert (await services.knowledge_documents.get(owner, row.id)).state == "ready"
    stored = admin.execute("SELECT DISTINCT embedding_dims, embedding_model FROM knowledge_passage").fetchall()
    ((dims, model),) = stored
    assert (dims, model.partition("@")[0]) == (4, "local_embedder/tiny")
    assert await heading(services, owner, base, "my shipment") == (["Courier"], "")
    assert await heading(services, owner, base, "посылка") == (["Courier"], "")
    assert await heading(services, owner, base, "money") == (["Accounts"], "")
    # To this model any two texts are seven tenths alike, as to E5; that is no answer.
    assert await heading(services, owner, base, "something quite different") == ([], "")


async def test_a_model_that_is_gone_fails_no_search_and_is_said(
    services: Services, owner: Principal, base: BaseRow, tmp_path: Path
) -> None:
    await services.knowledge_documents.add_article(owner, base.id, "Shop", TEXT)
    await read_all(services)
    await services.knowledge_embedders.close()
    shutil.move(tmp_path / "models/tiny", tmp_path / "elsewhere")
    query = KnowledgeQuery("parcel", bases=(base.id,))
    answer = await services.knowledge_search.for_flow(owner.workspace_id, query)
    assert (answer.passages[0].heading, answer.trouble.partition(".")[0]) == (
        "Courier", "No model of this name lies in the folder",
    )  # fmt: skip
    row = await services.knowledge_documents.add_article(owner, base.id, "Late", "Another text.")
    await read_all(services)
    after = await services.knowledge_documents.get(owner, row.id)
    assert (after.state, after.error, after.error_about) == ("failed", "embedder", answer.trouble)
    shutil.move(tmp_path / "elsewhere", tmp_path / "models/tiny")
    await services.knowledge_documents.read_again(owner, row.id)
    await read_all(services)
    assert (await services.knowledge_documents.get(owner, row.id)).state == "ready"
    assert await heading(services, owner, base, "shipment") == (["Courier"], "")


async def test_the_process_of_a_replaced_key_ends(services: Services, owner: Principal, base: BaseRow) -> None:
    embedders = services.knowledge_embedders
    assert base.embedder
    first = await embedders.open(owner.workspace_id, base.embedder, "tiny")
    await first.embed(["parcel"])
    pid = first._helper.pid  # type: ignore[attr-defined]
    assert await embedders.open(owner.workspace_id, base.embedder, "tiny") is first
    await services.credentials.replace_secret(owner, base.embedder, {"prefixes": "e5"})
    second = await embedders.open(owner.workspace_id, base.embedder, "tiny")
    assert second is not first
    assert second.name != first.name
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    await second.embed(["parcel"])
    pid = second._helper.pid  # type: ignore[attr-defined]
    await embedders.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
