"""Vectors of a base in another store: filled, kept up, switched and emptied; a store that fails never fails a search."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import AccessDenied, Conflict, InputInvalid, Unreachable
from graph_runtime.services import knowledge_copying
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.services.workload import WorkLine
from graph_runtime.storage import restore_guard
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.api.test_metrics import values
from tests.fakes.vectors.chroma import ChromaFake
from tests.fakes.vectors.pinecone import PineconeFake
from tests.fakes.vectors.qdrant import QdrantFake
from tests.fakes.vectors.serving import KEY, FakeStore, serving
from tests.fakes.vectors.weaviate import WeaviateFake
from tests.integration.store_world import SOON, Admin, World, new_world

STORES: dict[str, Callable[[], FakeStore]] = {
    "qdrant": QdrantFake, "weaviate": WeaviateFake, "chroma": ChromaFake, "pinecone": lambda: PineconeFake(dims=8),
}  # fmt: skip


@pytest.fixture
def fake() -> Iterator[QdrantFake]:
    with serving(QdrantFake()) as made:
        yield made


@pytest.fixture
def other() -> Iterator[QdrantFake]:
    with serving(QdrantFake()) as made:
        yield made


@pytest.fixture
async def world(
    services: Services, owner: Principal, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async with new_world(services, owner, admin, monkeypatch) as made:
        yield made


@pytest.mark.parametrize("name", STORES)
async def test_a_store_is_filled_in_the_background_then_serves_and_finds_the_same(world: World, name: str) -> None:
    with serving(STORES[name]()) as fake:
        expected = await world.numbers(30)
        assert expected == [30, 28, 32, 26, 34]
        key = await world.key_of(fake, name)
        assert await world.services.knowledge_copies.stores(world.owner) == [(key, "Ours")]
        chosen = await world.services.knowledge_copies.choose(world.owner, world.base.id, key)
        assert [(c.state, c.total, c.waiting) for c in chosen.copies] == [("filling", 40, 40)]
        assert (await world.numbers(30), fake.asked) == (expected, [])  # PostgreSQL, until it is full
        await world.copy_all()
        world.is_copied(fake)
        assert await world.states() == ["serving"]
        fake.asked.clear()
        trial = await world.trial(30)
        assert (await world.numbers(30), trial.away) == (expected, "")
        assert len([method for method, _, _ in fake.asked if method == "POST"]) == 2
        assert await world.flow_numbers(30) == expected[:3]


async def test_the_store_follows_whatever_changes(world: World, fake: QdrantFake) -> None:
    documents, bases = world.services.knowledge_documents, world.services.knowledge_bases
    await world.serve_from(await world.key_of(fake))
    odd = await world.write("Odd", range(1, 20, 2))
    await world.copy_all()
    world.is_copied(fake)
    assert len(fake.ids()) == 50
    await world.rewrite(odd, "Odd", [1, 3, 500])
    await world.copy_all()
    world.is_copied(fake)
    assert len(fake.ids()) == 43
    category = await bases.add_category(world.owner, world.base.id, "Some")
    await documents.move(world.owner, odd, category)
    await world.copy_all()
    world.is_copied(fake)
    assert await world.numbers(3, k=10, category_id=category) == [3, 1, 500]
    await bases.delete_category(world.owner, category)
    await world.copy_all()
    world.is_copied(fake)
    await documents.delete(world.owner, odd)
    await world.copy_all()
    world.is_copied(fake)
    assert len(fake.ids()) == 40
    await bases.delete(world.owner, world.base.id)
    await world.copy_all()
    assert fake.ids() == set()
    assert world.admin.execute("SELECT count(*) FROM knowledge_copy").fetchone() == (0,)


async def test_what_waits_for_the_store_is_found_and_what_is_gone_is_not(world: World, fake: QdrantFake) -> None:
    await world.serve_from(await world.key_of(fake))
    odd = await world.write("Odd", [29, 31])
    assert await world.numbers(30) == [30, 29, 31, 28, 32]  # nothing of it is in the store yet
    await world.copy_all()
    await world.services.knowledge_documents.delete(world.owner, odd)
    assert await world.numbers(30) == [30, 28, 32, 26, 34]  # it still is there
    assert len(fake.ids()) == 42
    world.admin.execute("UPDATE knowledge_document SET language = 'uk'")
    world.admin.execute("UPDATE knowledge_passage SET language = 'uk' WHERE text LIKE '%number 30.%'")
    assert await world.numbers(30, language="uk") == [30]


async def test_far_behind_postgresql_searches_by_itself(
    world: World, fake: QdrantFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph_runtime.storage.knowledge_copies.MOST_WAITING", 3)
    await world.serve_from(await world.key_of(fake))
    await world.write("Odd", [29, 31, 33, 35])
    fake.asked.clear()
    assert await world.numbers(30) == [30, 29, 31, 28, 32]
    assert fake.asked == []


async def test_another_store_takes_over_while_the_first_serves_and_is_then_emptied(
    world: World, fake: QdrantFake, other: QdrantFake
) -> None:
    copies = world.services.knowledge_copies
    first, second = await world.key_of(fake), await world.key_of(other)
    await world.serve_from(first)
    other.fault = "down"
    await copies.choose(world.owner, world.base.id, second)
    await world.copy_all()
    about = await copies.of(world.owner, world.base.id)
    assert [(c.state, c.store) for c in about.copies] == [("serving", first), ("filling", second)]
    assert (about.chosen, about.copies[1].error) == (second, "The store is not working properly at the moment.")
    fake.asked.clear()
    assert await world.numbers(30, k=3) == [30, 28, 32]
    assert fake.asked
    await copies.choose(world.owner, world.base.id, first)  # never mind
    await world.copy_all()
    assert await world.states() == ["serving"]
    world.services.connections._limits.breakers.succeeded(("connection", second))
    other.fault = ""
    await copies.choose(world.owner, world.base.id, second)
    await world.copy_all()
    about = await copies.of(world.owner, world.base.id)
    assert [(c.state, c.store) for c in about.copies] == [("serving", second)]
    world.is_copied(other)
    assert fake.ids() == set()
    await copies.choose(world.owner, world.base.id, "")
    assert await world.numbers(30, k=3) == [30, 28, 32]
    await world.copy_all()
    assert (other.ids(), await world.states()) == (set(), [])


async def test_filling_again_mends_what_the_store_lost(world: World, fake: QdrantFake) -> None:
    copies = world.services.knowledge_copies
    with pytest.raises(InputInvalid):
        await copies.fill_again(world.owner, world.base.id)
    await world.serve_from(await world.key_of(fake))
    fake.spaces.clear()
    trial = await world.trial(30)
    assert trial.away.startswith("What was filled is not there any more.")
    assert await world.numbers(30, k=3) == [30, 28, 32]
    await world.write("More", [200])
    await world.copy_all()  # a change makes no collection that would hold one passage of all
    assert (fake.spaces, (await copies.of(world.owner, world.base.id)).copies[0].error[:30]) == ({}, trial.away[:30])
    await copies.fill_again(world.owner, world.base.id)
    await world.copy_all()
    world.is_copied(fake)
    assert ((await world.trial(30)).away, await world.states()) == ("", ["serving"])


async def test_a_store_that_is_away_fails_no_search_and_is_soon_left_alone(world: World, fake: QdrantFake) -> None:
    await world.serve_from(await world.key_of(fake))
    for fault, told in (
        ("refuses_key", "The store does not accept the key."), ("nonsense", "The answer of the store could not be read."),
        ("down", "The store is not working properly"), ("hangs_up", "broke the connection off"),
    ):  # fmt: skip
        fake.fault = fault  # type: ignore[assignment]
        trial = await world.trial(30)
        assert told in trial.away, fault
        assert (trial.trouble, KEY in trial.away) == ("", False)
        assert await world.numbers(30) == [30, 28, 32, 26, 34]
        assert await world.flow_numbers(30) == [30, 28, 32]
    asked: list[str] = []
    fake.before = lambda _method, path: asked.append(path)
    fake.fault = "down"
    for _ in range(9):
        assert await world.numbers(30, k=1) == [30]
    assert len(asked) < 5  # the breaker opened: nobody waits for it any more
    world.services.connections._limits.breakers._circuits.clear()
    fake.fault = "busy"
    began = asyncio.get_running_loop().time()
    for _ in range(3):
        assert await world.numbers(30, k=1) == [30]
    # It asked for a pause of seven seconds, and a search does not wait for that.
    assert asyncio.get_running_loop().time() - began < 6


async def test_what_a_store_makes_up_is_not_shown_and_takes_no_place(
    world: World, fake: QdrantFake, other_workspace: Principal
) -> None:
    """Stale, foreign and invented rows, all nearer than any right one."""
    base = await world.services.knowledge_bases.create(other_workspace, "Theirs")
    await world.serve_from(await world.key_of(fake))
    document = world.admin.execute(
        "INSERT INTO knowledge_document (workspace_id, knowledge_base_id, kind, title, public_id, passages)"
        " VALUES (%s, %s, 'article', 'Secret', 'x', 1) RETURNING id::text",
        (other_workspace.workspace_id, base.id),
    ).fetchone()
    theirs = world.admin.execute(
        "INSERT INTO knowledge_passage (workspace_id, knowledge_base_id, document_id, place, text, text_hash, embedding,"
        " embedding_dims, embedding_model) VALUES (%s, %s, %s, 0, 'Secret number 30.', 'h', %s, 8, 'openai/compass')"
        " RETURNING id::text",
        (
            other_workspace.workspace_id,
            base.id,
            document[0] if document else "",
            str(world.compass.vector("number 30")),
        ),
    ).fetchone()
    assert theirs is not None
    (space,) = fake.spaces.values()
    _, fields = next(iter(space.rows.values()))
    made_up = [theirs[0], "nonsense", "'; DROP TABLE knowledge_passage; --", *(str(uuid4()) for _ in range(90))]
    for passage in made_up:
        space.put(str(uuid4()), world.compass.vector("number 30"), {**fields, "passage": passage})
    assert await world.numbers(30) == [30, 28, 32, 26, 34]
    assert [f.text for f in (await world.trial(30)).found if "Secret" in f.text] == []


async def test_another_model_with_longer_vectors_takes_over_passage_by_passage(world: World, fake: QdrantFake) -> None:
    await world.serve_from(await world.key_of(fake))
    world.compass.name, world.compass.dims = "openai/larger", 12
    key = await world.services.credentials.create(world.owner, "openai", "More", {"key": "sk-1234567890abcdef"})
    await world.services.knowledge_bases.set_embedder(world.owner, world.base.id, key.id, "larger")
    await world.copy_all()
    await world.read_all()
    assert await world.numbers(30, k=3) == [30, 28, 32]
    await world.copy_all()
    world.is_copied(fake)
    assert {name: len(space.rows) for name, space in fake.spaces.items()} == {"patchcord_8": 0, "patchcord_12": 40}
    assert await world.numbers(30, k=3) == [30, 28, 32]
    await world.services.knowledge_copies.choose(world.owner, world.base.id, "")
    await world.copy_all()
    assert fake.ids() == set()


async def test_a_vector_that_points_nowhere_is_not_sent(world: World, fake: QdrantFake) -> None:
    await world.serve_from(await world.key_of(fake))
    await world.services.knowledge_documents.add_article(world.owner, world.base.id, "Nothing", "Without any.")
    await world.read_all()
    await world.copy_all()
    assert len(world.truth()) == 41
    assert len(fake.ids()) == 40


async def test_what_fails_is_tried_again_later_and_at_once_when_told(world: World, fake: QdrantFake) -> None:
    copies = world.services.knowledge_copies
    key = await world.key_of(fake)
    fake.fault = "busy"
    await copies.choose(world.owner, world.base.id, key)
    assert await world.services.knowledge_copying.run_next()
    assert not await world.services.knowledge_copying.run_next()
    (copy,) = (await copies.of(world.owner, world.base.id)).copies
    assert copy.error == "The store allows no more requests right now."
    assert 3 < (copy.next_attempt_at - datetime.now(UTC)).total_seconds() < 8  # as long as it asked for
    fake.fault = ""
    world.services.connections._limits.held_until.clear()
    await copies.look_again(world.owner, world.base.id)
    await asyncio.sleep(0)
    while await world.services.knowledge_copying.run_next():
        pass
    world.is_copied(fake)
    assert [c.error for c in (await copies.of(world.owner, world.base.id)).copies] == [""]


async def line(world: World) -> WorkLine:
    found = (await world.services.workload.view(world.owner)).lines
    return next(one for one in found if one.line == "copies")


async def figures(world: World) -> dict[tuple[str, str], float]:
    return values((await world.services.figures.text()).decode())


async def test_what_stores_have_still_to_be_told_is_work_like_other(world: World, fake: QdrantFake) -> None:
    work, copying = world.services.workload, world.services.knowledge_copying
    assert await line(world) == WorkLine("copies", 0, None, 0, 0, False, None)
    await work.set_going(world.owner, "copies", is_on=False)
    await world.services.knowledge_copies.choose(world.owner, world.base.id, await world.key_of(fake))
    world.admin.execute("UPDATE knowledge_copy_change SET since = now() - interval '90 seconds'")
    world.admin.execute(SOON)
    assert not await copying.run_next(), "it is stopped"
    assert fake.ids() == set()
    waits, told = await line(world), await figures(world)
    assert (waits.waiting, waits.lately, waits.failed, waits.is_paused) == (40, 0, 0, True)
    assert waits.oldest_at is not None
    assert 90 <= (datetime.now(UTC) - waits.oldest_at).total_seconds() < 120
    assert (told["copies_waiting", ""], told["overdue_seconds", "kind=copies"]) == (40, 0), (
        "what is stopped is not late"
    )

    await work.set_going(world.owner, "copies", is_on=True)
    assert 90 <= (await figures(world))["overdue_seconds", "kind=copies"] < 120
    fake.fault = "down"
    await world.copy_all()
    assert ((await line(world)).waiting, (await line(world)).failed) == (40, 1)
    assert (await figures(world))["copies_failing", ""] == 1
    fake.fault = ""
    assert await work.retry(world.owner, "copies") == 1
    assert (await line(world)).failed == 0
    while await copying.run_next():
        pass
    world.is_copied(fake)
    done = await line(world)
    assert (done.waiting, done.oldest_at, done.lately, done.failed) == (0, None, 40, 0)
    world.admin.execute("UPDATE knowledge_copied SET minute = minute - interval '61 minutes'")
    assert (await line(world)).lately == 0
    told = await figures(world)
    assert (told["copies_waiting", ""], told["copies_failing", ""], told["overdue_seconds", "kind=copies"]) == (0, 0, 0)


async def test_a_copy_of_a_deleted_base_that_cannot_be_emptied_is_tried_again(world: World, fake: QdrantFake) -> None:
    await world.serve_from(await world.key_of(fake))
    fake.fault = "down"
    await world.services.knowledge_bases.delete(world.owner, world.base.id)
    await world.copy_all()
    waits = await line(world)
    assert (waits.waiting, waits.failed, waits.oldest_at is not None) == (1, 1, True)
    fake.fault = ""
    assert await world.services.workload.retry(world.owner, "copies") == 1
    while await world.services.knowledge_copying.run_next():
        pass
    assert fake.ids() == set()
    assert ((await line(world)).waiting, (await line(world)).failed) == (0, 0)


async def test_whoever_stops_copies_need_not_wait_for_the_whole_base(
    world: World, fake: QdrantFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knowledge_copying, "AT_ONCE", 10)
    await world.services.knowledge_copies.choose(world.owner, world.base.id, await world.key_of(fake))
    send = world.services.knowledge_copying._send

    async def stops_after_the_first(*args: Any) -> None:
        await send(*args)
        await world.services.workload.set_going(world.owner, "copies", is_on=False)

    monkeypatch.setattr(world.services.knowledge_copying, "_send", stops_after_the_first)
    assert await world.services.knowledge_copying.run_next()
    assert not await world.services.knowledge_copying.run_next()
    assert len(fake.ids()) == 10
    assert (await line(world)).waiting == 30


async def test_a_key_with_another_address_fills_the_store_there(
    world: World, fake: QdrantFake, other: QdrantFake
) -> None:
    key = await world.key_of(fake)
    await world.serve_from(key)
    values = {"base_url": other.url, "key": KEY, "allow_private_host": True}
    await world.services.credentials.replace_secret(world.owner, key, values)
    assert "address of the store was changed" in (await world.trial(30)).away
    assert await world.numbers(30, k=3) == [30, 28, 32]
    await world.write("More", [31])
    await world.copy_all()
    world.is_copied(other)
    assert ((await world.trial(30)).away, await world.states()) == ("", ["serving"])


async def test_after_a_restore_it_is_filled_anew_beside_what_lies_there(
    world: World, fake: QdrantFake, postgres: EmbeddedPostgres
) -> None:
    await world.serve_from(await world.key_of(fake))
    before = fake.ids()
    restore_guard.hold(postgres.admin_url, datetime.now(UTC))
    assert await world.states() == ["filling"]
    await world.copy_all()
    assert await world.states() == ["serving"]
    assert (len(fake.ids()), before < fake.ids()) == (80, True)
    assert await world.numbers(30, k=3) == [30, 28, 32]


async def test_whoever_writes_while_filling_begins_is_waited_for(world: World, fake: QdrantFake) -> None:
    """A passage that is not committed yet when filling begins is in the store afterwards."""
    key = await world.key_of(fake)
    async with world.services.database.workspace(world.owner.workspace_id) as connection:
        await connection.execute(
            "INSERT INTO knowledge_passage (workspace_id, knowledge_base_id, document_id, place, text, text_hash, embedding,"
            " embedding_dims, embedding_model) SELECT workspace_id, knowledge_base_id, document_id, 99, 'This is number 30.', 'h',"
            " embedding, embedding_dims, embedding_model FROM knowledge_passage LIMIT 1"
        )
        choosing = asyncio.create_task(world.services.knowledge_copies.choose(world.owner, world.base.id, key))
        done, _ = await asyncio.wait({choosing}, timeout=0.3)
        assert not done
    assert (await choosing).copies[0].total == 41
    await world.copy_all()
    world.is_copied(fake)


async def test_who_may_choose_and_what_keeps_a_key(world: World, fake: QdrantFake, other_workspace: Principal) -> None:
    copies, credentials = world.services.knowledge_copies, world.services.credentials
    key = await world.key_of(fake)
    viewer = Principal(world.owner.workspace_id, None, "viewer", PERMISSIONS["viewer"])
    for who in (copies.choose(viewer, world.base.id, key), copies.look_again(viewer, world.base.id)):
        with pytest.raises(AccessDenied):
            await who
    models = await credentials.create(world.owner, "openai", "M", {"key": "sk-1234567890abcdef"})
    for wrong in (models.id, "nonsense", str(uuid4())):
        with pytest.raises(InputInvalid):
            await copies.choose(world.owner, world.base.id, wrong)
    theirs = await world.services.knowledge_bases.create(other_workspace, "Theirs")
    with pytest.raises(InputInvalid):
        await copies.choose(other_workspace, theirs.id, key)
    await world.serve_from(key)
    with pytest.raises(Conflict, match="Numbers"):
        await credentials.delete(world.owner, key)
    await credentials.delete(world.owner, key, even_if_used=True)
    assert await world.states() == []
    assert await world.numbers(30, k=3) == [30, 28, 32]


async def test_a_worker_that_lost_its_claim_writes_nothing(world: World, fake: QdrantFake) -> None:
    """Its lease ran out while the store was slow: another has carried it out, and a later change stays to be done."""
    await world.serve_from(await world.key_of(fake))
    await world.write("Odd", [31])

    def taken_over(_method: str, _path: str) -> None:
        world.admin.execute("UPDATE knowledge_copy SET claim = claim + 1")

    fake.before = taken_over
    world.admin.execute("UPDATE knowledge_copy SET next_attempt_at = now()")
    assert await world.services.knowledge_copying.run_next()
    assert world.admin.execute("SELECT count(*) FROM knowledge_copy_change").fetchone() == (1,)
    fake.before = None
    await world.copy_all()
    world.is_copied(fake)


async def test_a_worker_that_is_stopped_gives_the_copy_back(world: World, fake: QdrantFake) -> None:
    began = asyncio.Event()
    loop = asyncio.get_running_loop()
    fake.fault, fake.before = "hangs", lambda *_: loop.call_soon_threadsafe(began.set)
    await world.services.knowledge_copies.choose(world.owner, world.base.id, await world.key_of(fake))
    work = asyncio.create_task(world.services.knowledge_copying.run_next())
    await began.wait()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert world.admin.execute("SELECT count(*) FROM knowledge_copy WHERE lease_until IS NULL").fetchone() == (1,)


async def test_without_vectors_there_is_nothing_to_copy_and_nothing_fails(world: World, fake: QdrantFake) -> None:
    world.compass.failure = Unreachable("Away.")
    await world.serve_from(await world.key_of(fake))
    found: Any = await world.services.knowledge_search.try_query(world.owner, world.base.id, "number 30")
    assert (found.result.trouble, found.result.away) == ("Away.", "")
