"""One contract for all stores of vectors: PostgreSQL and those of other makers, over real sockets.

The fakes stand in for servers. With `PATCHCORD_TEST_QDRANT=http://…`, `…_WEAVIATE`, `…_CHROMA` or `…_PINECONE` (and `…_KEY`) a
server is asked as well; what only a fake can be made to do is left out there.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

import numpy as np
import psycopg
import pytest

from graph_runtime.contract.catalog import load_catalog
from graph_runtime.contract.channels import HttpAnswer
from graph_runtime.contract.errors import (
    BadAnswer,
    ConnectorError,
    CredentialRejected,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unreachable,
)
from graph_runtime.contract.vectors import VectorEntry, VectorScope, VectorStore
from graph_runtime.engine.http import HttpDoor
from graph_runtime.services.principal import Principal
from graph_runtime.storage import passages as rows
from graph_runtime.storage.database import Database
from tests.fakes.vectors.chroma import ChromaFake
from tests.fakes.vectors.pinecone import PineconeFake
from tests.fakes.vectors.qdrant import QdrantFake
from tests.fakes.vectors.serving import KEY, FakeStore, Fault, serving
from tests.fakes.vectors.weaviate import WeaviateFake

Admin = psycopg.Connection[tuple[Any, ...]]
CATALOG = load_catalog(["connectors"])
FAKES: dict[str, type[FakeStore]] = {
    "qdrant": QdrantFake, "weaviate": WeaviateFake, "chroma": ChromaFake, "pinecone": PineconeFake,
}  # fmt: skip

DIMS = 24
MODEL = "openai/one"
DAY = 86_400
NOW = int(datetime(2026, 5, 1, tzinfo=UTC).timestamp())
SETTLE_SECONDS = 30.0
"""A real server may show what was written a little later."""


class Direct:
    """A connector's way out without a database: the credential's headers, the guarded door."""

    def __init__(self, connector: Any, settings: Any) -> None:
        self._auth = connector.http.auth(settings, "")
        self._door = HttpDoor(private_hosts=frozenset({self._auth.private_host}))
        self.headers = self._auth.headers

    async def exchange(
        self, method: str, url: str, *, headers: Any = None, body: Any = None, seconds: float = 20.0
    ) -> HttpAnswer:
        return await self._door.exchange(
            method, self._auth.base_url.rstrip("/") + url, headers=dict(headers or {}), body=body, seconds=seconds,
            auth=self._auth,
        )  # fmt: skip

    async def close(self) -> None:
        await self._door.close()


@dataclass
class Place:
    """A store under test: two workspaces of its own, each with two copies. `fake` None: a real server, or PostgreSQL."""

    name: str
    store: VectorStore
    fake: FakeStore | None
    ours: str
    theirs: str
    copies: tuple[str, str]
    their_copy: str

    def entry(self, number: int, vector: Sequence[float], **others: Any) -> VectorEntry:
        """The passage of this number of our first copy."""
        made = VectorEntry(
            id="", passage=str(UUID(int=number + 1)), vector=[float(v) for v in vector], workspace=self.ours,
            copy=self.copies[0], base=self.copies[0], model=MODEL, category="", language="en", changed_at=NOW,
        )  # fmt: skip
        made = replace(made, **others)
        return replace(made, id=made.id or str(uuid5(UUID(made.copy), made.passage)))

    def scope(self, **others: Any) -> VectorScope:
        """All of our first copy."""
        return VectorScope(**({"workspace": self.ours, "copies": self.copies[:1], "model": MODEL} | others))

    async def finds(self, scope: VectorScope, vector: Sequence[float], limit: int, expected: Sequence[str]) -> None:
        """What is nearest, once a server that answers late has caught up."""
        loop = asyncio.get_running_loop()
        until = loop.time() + (SETTLE_SECONDS if self.name.startswith("real ") else 0)
        while True:
            found = await self.store.nearest(scope, [float(v) for v in vector], limit)
            if found == list(expected) or loop.time() >= until:
                assert found == list(expected)
                return
            await asyncio.sleep(0.5)


class InPostgres:
    """PostgreSQL behind the same protocol, by the functions that the product itself uses: a passage and its vector are a row."""

    def __init__(self, database: Database, admin: Admin, workspaces: dict[str, dict[str, str]]) -> None:
        self._database = database
        self._admin = admin
        self._workspaces = workspaces
        """workspace → copy → the document that its passages are of."""
        self._categories: dict[str, str] = {}

    async def prepare(self, dims: int) -> None:
        """Nothing has to be made."""

    async def put(self, entries: Sequence[VectorEntry]) -> None:
        for e in entries:
            document = self._workspaces[e.workspace][e.copy]
            self._admin.execute(
                "INSERT INTO knowledge_passage (id, workspace_id, knowledge_base_id, document_id, place, text, text_hash)"
                " VALUES (%s, %s, %s, %s, 0, 'x', 'h') ON CONFLICT (id) DO NOTHING",
                (e.passage, e.workspace, e.copy, document),
            )
            self._admin.execute(
                "UPDATE knowledge_passage SET language = %s, category_id = %s WHERE id = %s",
                (e.language, self._category(e), e.passage),
            )
            self._admin.execute(
                "UPDATE knowledge_document SET updated_at = to_timestamp(%s) WHERE id = %s", (e.changed_at, document)
            )
            async with self._database.workspace(e.workspace) as connection:
                await rows.set_vectors(connection, e.model, len(e.vector), [(e.passage, e.vector)])

    def _category(self, entry: VectorEntry) -> str | None:
        if entry.category:
            self._admin.execute(
                "INSERT INTO knowledge_category (id, workspace_id, knowledge_base_id, name) VALUES (%s, %s, %s, 'C')"
                " ON CONFLICT DO NOTHING",
                (entry.category, entry.workspace, entry.copy),
            )
        return entry.category or None

    async def remove(self, dims: int, scope: VectorScope, ids: Sequence[str]) -> None:
        async with self._database.workspace(scope.workspace) as connection:
            for copy in scope.copies:
                found = await connection.execute(
                    "SELECT id FROM knowledge_passage WHERE knowledge_base_id = %s", (copy,)
                )
                gone = [row["id"] async for row in found if str(uuid5(UUID(copy), row["id"])) in ids]
                await connection.execute("DELETE FROM knowledge_passage WHERE id = ANY (%s::uuid[])", (gone,))

    async def clear(self, dims: int, scope: VectorScope) -> None:
        async with self._database.workspace(scope.workspace) as connection:
            await connection.execute(
                "DELETE FROM knowledge_passage WHERE knowledge_base_id = ANY (%s::uuid[]) AND embedding_dims = %s",
                (list(scope.copies), dims),
            )

    async def nearest(self, scope: VectorScope, vector: Sequence[float], limit: int) -> list[str]:
        since = None if scope.since is None else datetime.fromtimestamp(scope.since, UTC)
        within = rows.Scope(scope.copies, scope.categories, scope.languages, since)
        async with self._database.workspace(scope.workspace) as connection:
            found = await rows.by_vector(connection, within, scope.model or "", vector, limit)
        return [row["passage_id"] for row in found]


def _settings(name: str, url: str, key: str) -> Any:
    kind = CATALOG.connectors[name]
    values: dict[str, Any] = {"base_url": url, "key": key, "allow_private_host": url.startswith("http://")}
    if "collection" in kind.settings.model_fields:
        values["collection"] = f"Patchcord_test_{uuid4().hex[:10]}"
    return kind.settings(**values)


def kinds() -> list[Any]:
    """What runs here: PostgreSQL, a fake of each, and the servers that the environment names."""
    real = [name for name in FAKES if os.environ.get(f"PATCHCORD_TEST_{name.upper()}")]
    return ["postgresql", *FAKES, *(f"real {name}" for name in real)]


@pytest.fixture
async def place(
    request: pytest.FixtureRequest, database: Database, admin: Admin, owner: Principal, other_workspace: Principal
) -> AsyncIterator[Place]:
    kind = request.param
    ours, theirs = owner.workspace_id, other_workspace.workspace_id
    ids = [_base(admin, ours), _base(admin, ours), _base(admin, theirs)]
    about: Any = (ours, theirs, (ids[0][0], ids[1][0]), ids[2][0])
    if kind == "postgresql":
        documents = {ours: dict(ids[:2]), theirs: dict(ids[2:])}
        yield Place(kind, InPostgres(database, admin, documents), None, *about)
        return
    name = kind.removeprefix("real ")
    with ExitStack() as stack:
        if kind.startswith("real "):
            variable = f"PATCHCORD_TEST_{name.upper()}"
            fake, url, key = None, os.environ[variable], os.environ.get(f"{variable}_KEY", "")
        else:
            fake = stack.enter_context(serving(FAKES[name]()))
            url, key = fake.url, KEY
        connector, settings = CATALOG.connectors[name], _settings(name, url, key)
        http = Direct(connector, settings)
        assert connector.vector_store is not None
        store = connector.vector_store.open(settings, http)
        made = Place(kind, store, fake, *about)
        try:
            yield made
        finally:
            if fake is None:
                for copy, workspace in ((ids[0][0], ours), (ids[1][0], ours), (ids[2][0], theirs)):
                    for dims in (DIMS, DIMS + 1):
                        await store.clear(dims, VectorScope(workspace, (copy,)))
            await http.close()


def _base(admin: Admin, workspace: str) -> tuple[str, str]:
    row = admin.execute(
        "WITH b AS (INSERT INTO knowledge_base (workspace_id, name) VALUES (%s, 'B') RETURNING id, workspace_id)"
        " INSERT INTO knowledge_document (workspace_id, knowledge_base_id, kind, title, public_id, passages)"
        " SELECT workspace_id, id, 'article', 'D', id::text, 1 FROM b RETURNING knowledge_base_id::text, id::text",
        (workspace,),
    ).fetchone()
    assert row is not None
    return row[0], row[1]


everywhere = pytest.mark.parametrize("place", kinds(), indirect=True)
foreign = pytest.mark.parametrize("place", [k for k in kinds() if k != "postgresql"], indirect=True)
faked = pytest.mark.parametrize("place", list(FAKES), indirect=True)


def around(angle: float, dims: int = DIMS) -> list[float]:
    """A vector at this angle to the first axis, in the plane of the first two; longer the larger the angle."""
    vector = np.zeros(dims)
    vector[0], vector[1] = np.cos(angle), np.sin(angle)
    return [float(v) for v in (1 + angle) * vector]


QUERY = around(0.0)


@everywhere
async def test_the_nearest_come_first_by_cosine_and_not_more_than_asked(place: Place) -> None:
    await place.store.prepare(DIMS)
    entries = [place.entry(n, around(0.1 * n)) for n in range(9)]
    await place.store.put(entries[::-1])
    await place.finds(place.scope(), QUERY, 4, [e.passage for e in entries[:4]])
    await place.finds(place.scope(), QUERY, 20, [e.passage for e in entries])
    await place.finds(place.scope(), [-v for v in QUERY], 1, [entries[8].passage])


@everywhere
async def test_putting_again_overwrites_and_doubles_nothing(place: Place) -> None:
    await place.store.prepare(DIMS)
    await place.store.prepare(DIMS)
    first, second = place.entry(0, around(0.0)), place.entry(1, around(0.5), language="uk")
    await place.store.put([first, second])
    await place.store.put([first, second])
    await place.finds(place.scope(), QUERY, 10, [first.passage, second.passage])
    await place.store.put([place.entry(0, around(1.0), language="ru")])
    await place.finds(place.scope(), QUERY, 10, [second.passage, first.passage])
    await place.finds(place.scope(languages=("en",)), QUERY, 10, [])
    await place.finds(place.scope(languages=("ru",)), QUERY, 10, [first.passage])


@everywhere
async def test_what_is_removed_is_gone_and_may_be_removed_again(place: Place) -> None:
    await place.store.prepare(DIMS)
    entries = [place.entry(n, around(0.1 * n)) for n in range(5)]
    await place.store.put(entries)
    for _ in range(2):
        await place.store.remove(DIMS, place.scope(), [entries[0].id, entries[3].id, str(uuid4())])
    await place.finds(place.scope(), QUERY, 10, [entries[n].passage for n in (1, 2, 4)])


@everywhere
async def test_a_copy_is_cleared_and_the_others_stay(place: Place) -> None:
    await place.store.prepare(DIMS)
    first = [place.entry(n, around(0.1 * n)) for n in range(3)]
    other = place.entry(7, around(0.2), copy=place.copies[1], base=place.copies[1])
    foreigner = place.entry(8, around(0.0), workspace=place.theirs, copy=place.their_copy, base=place.their_copy)
    for some in (first, [other], [foreigner]):
        await place.store.put(some)
    for _ in range(2):
        await place.store.clear(DIMS, VectorScope(place.ours, place.copies[:1]))
    await place.finds(place.scope(copies=place.copies), QUERY, 10, [other.passage])
    theirs = place.scope(workspace=place.theirs, copies=(place.their_copy,))
    await place.finds(theirs, QUERY, 10, [foreigner.passage])


@everywhere
async def test_filters_narrow_before_the_limit(place: Place) -> None:
    """Two hundred nearer ones that do not fulfil the conditions take no place from those that do."""
    await place.store.prepare(DIMS)
    category, other = str(uuid4()), str(uuid4())
    crowd = [place.entry(n, around(0.001 * n), language="en", category=other) for n in range(200)]
    for at in range(0, 200, 50):
        await place.store.put(crowd[at : at + 50])
    fit = [place.entry(300 + n, around(0.9 + 0.1 * n), language="uk", category=category) for n in range(5)]
    await place.store.put(fit)
    narrow = [e.passage for e in fit]
    await place.finds(place.scope(languages=("uk", "ru")), QUERY, 5, narrow)
    await place.finds(place.scope(categories=(category,)), QUERY, 5, narrow)
    await place.finds(place.scope(categories=(category,), languages=("uk",)), QUERY, 3, narrow[:3])
    await place.finds(place.scope(categories=(category, other), languages=("uk",)), QUERY, 9, narrow)
    await place.finds(place.scope(categories=(category,), languages=("en",)), QUERY, 5, [])
    await place.finds(place.scope(categories=()), QUERY, 5, [])
    await place.finds(place.scope(model="openai/other"), QUERY, 5, [])


@everywhere
async def test_the_day_of_a_document_narrows(place: Place) -> None:
    await place.store.prepare(DIMS)
    old = place.entry(0, around(0.0), changed_at=NOW - 10 * DAY)
    new = place.entry(1, around(0.5), changed_at=NOW - DAY, copy=place.copies[1], base=place.copies[1])
    await place.store.put([old])
    await place.store.put([new])
    both = place.copies
    await place.finds(place.scope(copies=both), QUERY, 5, [old.passage, new.passage])
    await place.finds(place.scope(copies=both, since=NOW - 2 * DAY), QUERY, 5, [new.passage])
    await place.finds(place.scope(copies=both, since=NOW - 10 * DAY), QUERY, 5, [old.passage, new.passage])
    await place.finds(place.scope(copies=both, since=NOW), QUERY, 5, [])


@everywhere
async def test_no_request_reaches_past_the_workspace(place: Place) -> None:
    await place.store.prepare(DIMS)
    mine = place.entry(0, around(0.5))
    foreigner = place.entry(1, around(0.0), workspace=place.theirs, copy=place.their_copy, base=place.their_copy)
    await place.store.put([mine])
    await place.store.put([foreigner])
    await place.finds(place.scope(copies=(*place.copies, place.their_copy)), QUERY, 10, [mine.passage])
    await place.store.remove(DIMS, place.scope(copies=(place.their_copy,)), [foreigner.id])
    await place.store.clear(DIMS, place.scope(copies=(place.their_copy,)))
    theirs = place.scope(workspace=place.theirs, copies=(place.their_copy,))
    await place.finds(theirs, QUERY, 10, [foreigner.passage])


def test_a_request_without_a_workspace_cannot_be_made() -> None:
    for workspace, copies in (("", ("c",)), ("w", ()), ("w", ("",))):
        with pytest.raises(ValueError, match="names the workspace"):
            VectorScope(workspace, copies)


@foreign
async def test_vectors_of_another_length_have_a_place_of_their_own(place: Place) -> None:
    if place.name.endswith("pinecone"):
        pytest.skip("an index has one length, which its owner chose")
    await place.store.prepare(DIMS)
    await place.store.put([place.entry(0, around(0.0))])
    await place.store.prepare(DIMS + 1)
    longer = place.entry(1, around(0.3, DIMS + 1))
    await place.store.put([longer])
    await place.finds(place.scope(), around(0.0, DIMS + 1), 5, [longer.passage])
    await place.store.clear(DIMS + 1, VectorScope(place.ours, place.copies[:1]))
    await place.finds(place.scope(), around(0.0, DIMS + 1), 5, [])
    await place.finds(place.scope(), QUERY, 5, [place.entry(0, QUERY).passage])


@foreign
async def test_what_was_never_prepared_is_refused_and_nothing_is_made(place: Place) -> None:
    with pytest.raises(Refused):
        await place.store.put([place.entry(0, around(0.0, DIMS + 1))])
    with pytest.raises(Refused):
        await place.store.nearest(place.scope(), around(0.0, DIMS + 1), 3)
    await place.store.remove(DIMS + 1, place.scope(), [str(uuid4())])
    await place.store.clear(DIMS + 1, place.scope())


@foreign
async def test_text_of_any_kind_comes_through(place: Place) -> None:
    await place.store.prepare(DIMS)
    odd = 'self-hosted/"quoted" \\ naïve {модель}\n$ne'
    entry = place.entry(0, around(0.0), model=odd)
    await place.store.put([entry])
    await place.finds(place.scope(model=odd), QUERY, 3, [entry.passage])
    await place.finds(place.scope(model=odd + "x"), QUERY, 3, [])


@faked
async def test_what_was_made_otherwise_under_the_name_is_refused(place: Place) -> None:
    assert place.fake is not None
    await place.store.prepare(DIMS)
    await place.store.put([place.entry(0, around(0.0))])
    for wrong in ({"distance": "Dot"}, {"distance": "l2-squared"}, {"compares_by": "l2"}, {"metric": "dotproduct"}):
        ((name, value),) = wrong.items()
        if hasattr(place.fake, name):
            right = getattr(place.fake, name)
            setattr(place.fake, name, value)
            with pytest.raises(Refused, match="cosine"):
                await place.store.prepare(DIMS)
            setattr(place.fake, name, right)
    for space in place.fake.spaces.values():
        space.dims = DIMS - 1
    if place.name == "pinecone":
        place.fake.dims = DIMS - 1  # type: ignore[attr-defined]
    if place.name != "weaviate":  # a class does not tell; its objects do
        with pytest.raises(Refused, match="another length"):
            await place.store.prepare(DIMS)
    with pytest.raises(Refused):
        await place.store.put([place.entry(1, around(0.0))])


CALLS: dict[str, Callable[[Place], Awaitable[Any]]] = {
    "prepare": lambda p: p.store.prepare(DIMS),
    "put": lambda p: p.store.put([p.entry(0, around(0.0))]),
    "remove": lambda p: p.store.remove(DIMS, p.scope(), [str(uuid4())]),
    "clear": lambda p: p.store.clear(DIMS, p.scope()),
    "nearest": lambda p: p.store.nearest(p.scope(), QUERY, 3),
}
EXPECTED: dict[Fault, tuple[type[ConnectorError], ...]] = {
    "refuses_key": (CredentialRejected,), "busy": (RateLimited,), "down": (Unreachable,),
    "hangs_up": (OutcomeUnknown, Unreachable), "unanswered": (OutcomeUnknown, Unreachable),
}  # fmt: skip


@faked
@pytest.mark.parametrize("fault", list(EXPECTED))
async def test_every_fault_has_its_name_and_no_secret(place: Place, fault: Fault) -> None:
    assert place.fake is not None
    await place.store.prepare(DIMS)
    for name, call in CALLS.items():
        place.fake.fault = fault
        with pytest.raises(EXPECTED[fault]) as failed:
            await call(place)
        assert KEY not in failed.value.message, name
        if isinstance(failed.value, RateLimited):
            assert failed.value.retry_after == 7
        place.fake.fault = ""
        await call(place)


@faked
async def test_an_answer_that_is_none_is_called_so(place: Place) -> None:
    assert place.fake is not None
    await place.store.prepare(DIMS)
    place.fake.fault = "nonsense"
    for name in ("prepare", "nearest"):
        with pytest.raises(BadAnswer):
            await CALLS[name](place)


@faked
async def test_a_search_waits_two_seconds_and_no_longer(place: Place) -> None:
    assert place.fake is not None
    await place.store.prepare(DIMS)
    await place.store.nearest(place.scope(), QUERY, 3)
    place.fake.fault = "hangs"
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises((OutcomeUnknown, Unreachable)):
        await place.store.nearest(place.scope(), QUERY, 3)
    assert 1.5 < loop.time() - began < 6


@faked
async def test_every_request_for_rows_names_the_workspace(place: Place) -> None:
    """Whatever is searched or removed: the vendor's own words for it hold the workspace."""
    assert place.fake is not None
    await place.store.prepare(DIMS)
    await place.store.put([place.entry(0, around(0.0))])
    place.fake.asked.clear()
    for name in ("nearest", "remove", "clear"):
        await CALLS[name](place)
    asked = [str(body) + path for _, path, body in place.fake.asked if body is not None]
    assert len(asked) >= 3
    assert all(place.ours in text for text in asked)
    assert all(fields["workspace"] == place.ours for fields in place.fake.fields())


@foreign
async def test_a_key_can_be_checked(place: Place) -> None:
    connector = CATALOG.connectors[place.name.removeprefix("real ")]
    assert connector.try_out is not None
    http = place.store._http  # type: ignore[attr-defined]
    settings = _settings(connector.id, "http://127.0.0.1:1", KEY)
    assert (await connector.try_out(settings, http)).ok
    assert not (await connector.try_out(settings.model_copy(update={"base_url": "nowhere"}), http)).ok
    if place.fake is not None:
        place.fake.fault = "nonsense"
        with pytest.raises(BadAnswer):
            await connector.try_out(settings, http)
        place.fake.fault = "refuses_key"
        with pytest.raises(CredentialRejected):
            await connector.try_out(settings, http)
