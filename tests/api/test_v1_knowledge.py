"""Knowledge over the public API: a program brings an article and a file, waits until they are read, and searches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from graph_runtime.api.limits import body_limit
from graph_runtime.bootstrap import Services
from tests.api.conftest import Address, Member, key_client


@pytest.fixture
async def api(services: Services, ann: Member, address: Address) -> AsyncIterator[Any]:
    async with await key_client(services, ann.who, address, "knowledge:read", "knowledge:write") as client:
        yield client
    await services.knowledge_ingest.close()


async def read_all(services: Services) -> None:
    while await services.knowledge_ingest.run_next():
        pass


async def test_a_program_brings_documents_and_searches(
    api: httpx2.AsyncClient, services: Services, ann: Member
) -> None:
    base = await services.knowledge_bases.create(ann.who, "Shop")
    place = f"/api/v1/knowledge-bases/{base.id}"
    article = {"title": "Delivery", "text": "To Lviv it costs 9 euros.", "language": "en"}
    made = (await api.post(f"{place}/articles", json=article)).json()
    assert (made["state"], made["kind"], made["language"]) == ("waiting", "article", "")
    added = await api.post(f"{place}/files", params={"name": "Prices.md"}, content="# Roses\n\nA rose costs 3 euros.")
    assert (added.status_code, added.json()["kind"]) == (201, "file")
    again = await api.post(f"{place}/files", params={"name": "Other.md"}, content="# Roses\n\nA rose costs 3 euros.")
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    program = await api.post(f"{place}/files", params={"name": "tool.exe"}, content=b"MZ\0\0\0")
    assert program.status_code == 422
    await read_all(services)
    one = (await api.get(f"/api/v1/documents/{made['id']}")).json()
    assert (one["state"], one["progress"], one["passages"], one["language"]) == ("ready", 100, 1, "en")

    first = (await api.get(f"{place}/documents", params={"limit": 1})).json()
    second = (await api.get(f"{place}/documents", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert [d["title"] for d in first["documents"] + second["documents"]] == ["Prices", "Delivery"]
    assert (await api.get(f"{place}/documents", params={"state": "failed"})).json()["documents"] == []
    (listed,) = (await api.get("/api/v1/knowledge-bases")).json()["knowledge_bases"]
    assert (listed["name"], listed["documents"], listed["passages"]) == ("Shop", 2, 2)

    found = (await api.post(f"{place}/search", json={"query": "delivry to Lviv"})).json()
    assert [p["title"] for p in found["passages"]] == ["Delivery"]
    assert found["passages"][0]["document_id"] == made["id"]
    assert found["corrected"] == {"delivry": ["delivery"]}
    assert found["best"] == found["passages"][0]["sure"] > 0.4
    nothing = (await api.post(f"{place}/search", json={"query": "insurance of parrots"})).json()
    assert nothing["passages"] == []

    changed = await api.put(
        f"/api/v1/documents/{made['id']}", json={"title": "Delivery", "text": "To Lviv it is free."}
    )
    assert changed.json()["state"] == "waiting"
    await read_all(services)
    found = (await api.post(f"{place}/search", json={"query": "Lviv"})).json()
    assert found["passages"][0]["text"] == "To Lviv it is free."
    assert (await api.delete(f"/api/v1/documents/{made['id']}")).status_code == 204
    assert (await api.post(f"{place}/search", json={"query": "Lviv"})).json()["passages"] == []


def test_a_file_may_be_as_large_as_on_the_page() -> None:
    assert body_limit("/api/v1/knowledge-bases/x/files") == body_limit("/api/builder/knowledge/x/documents")
    assert body_limit("/api/v1/knowledge-bases/x/articles") == 1_000_000
