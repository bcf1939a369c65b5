"""Where the bytes of files lie: one contract for a folder and a bucket, and rows that never lose or leave anything there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import CredentialRejected, NotFound, Unreachable
from graph_runtime.services.principal import Principal
from graph_runtime.settings import Settings, SettingsRefused
from graph_runtime.storage import files as rows
from graph_runtime.storage.database import Database
from graph_runtime.storage.objects import FileBytes, FolderObjects, Objects, S3Objects, file_bytes
from tests.fakes.s3_server import BUCKET, KEY_ID, REGION, SECRET, S3Server
from tests.knowledge.files_to_bring import word

TALK = """
    WITH a AS (INSERT INTO agent (workspace_id, name, public_id) VALUES (%(w)s, 'A', 'a') RETURNING id),
    f AS (INSERT INTO flow (workspace_id, agent_id, kind, name, document) SELECT %(w)s, id, 'main', 'F', '{}' FROM a RETURNING id),
    v AS (INSERT INTO version (workspace_id, flow_id, number, document, content_hash)
        SELECT %(w)s, id, 1, '{}', 'h' FROM f RETURNING id),
    h AS (INSERT INTO channel (workspace_id, agent_id, connector, public_id) SELECT %(w)s, id, 'web_chat', 'c' FROM a RETURNING id),
    c AS (INSERT INTO contact (workspace_id) VALUES (%(w)s) RETURNING id)
    INSERT INTO conversation (workspace_id, agent_id, channel_id, contact_id, version_id, channel_kind, language)
        SELECT %(w)s, a.id, h.id, c.id, v.id, 'web_chat', 'en' FROM a, h, c, v RETURNING id::text, contact_id::text
"""


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server() as running:
        yield running


@pytest.fixture
def s3(server: S3Server) -> S3Server:
    server.objects.clear()
    server.fault, server.faults_left = "", None
    return server


def bucket(
    s3: S3Server, *, key_id: str = KEY_ID, secret: str = SECRET, seconds: float = 10, prefix: str = "a/b"
) -> S3Objects:
    return S3Objects(
        BUCKET, endpoint=s3.endpoint, region=REGION, prefix=prefix, key_id=key_id, secret=secret, seconds=seconds
    )


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, s3: S3Server, tmp_path: Path) -> Objects:
    return FolderObjects(tmp_path / "files") if request.param == "folder" else bucket(s3)


async def test_what_is_put_is_got_replaced_listed_and_deleted(store: Objects) -> None:
    first, second = f"{uuid4()}/{uuid4().hex}", f"{uuid4()}/{uuid4().hex}"
    content = bytes(range(256)) * 5000
    await store.put(first, content)
    await store.put(second, b"")
    assert await store.get(first) == content
    assert await store.get(second) == b""
    assert {n async for n in store.names()} == {first, second}
    assert [n async for n in store.names(first.partition("/")[0])] == [first]
    await store.put(first, b"new")
    assert await store.get(first) == b"new"
    await store.delete(first)
    await store.delete(first)
    assert [n async for n in store.names()] == [second]
    with pytest.raises(NotFound):
        await store.get(first)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a//b", "a/../b", "", "a/b c", ".x/y"])
async def test_no_name_leads_out(store: Objects, name: str) -> None:
    for act in (store.get(name), store.delete(name), store.put(name, b"x")):
        with pytest.raises(ValueError, match="letters, digits and hyphens"):
            await act


async def test_a_bucket_sees_the_prefix_and_checks_the_key(s3: S3Server) -> None:
    await bucket(s3).put("w/1", b"x")
    assert s3.objects == {"a/b/w/1": b"x"}
    for wrong in (bucket(s3, secret="another"), bucket(s3, key_id="AKIASOMEBODYELSE")):
        for act in (wrong.put("w/2", b"y"), wrong.get("w/1"), wrong.delete("w/1")):
            with pytest.raises(CredentialRejected):
                await act
    assert s3.objects == {"a/b/w/1": b"x"}
    assert {"SignatureDoesNotMatch", "InvalidAccessKeyId"} <= set(s3.refused)


async def test_a_bucket_that_stumbles_is_asked_again_and_one_that_is_away_says_so(s3: S3Server) -> None:
    for fault in ("503", "reset"):
        s3.fault, s3.faults_left = fault, 1
        await bucket(s3).put("w/1", b"x")
        assert s3.objects.pop("a/b/w/1") == b"x"
    s3.fault, s3.faults_left, s3.slow_seconds = "slow", None, 0.8
    for act in (bucket(s3, seconds=0.3).put("w/1", b"x"), bucket(s3, seconds=0.3).get("w/1")):
        with pytest.raises(Unreachable):
            await act


@pytest.fixture(params=["database", "folder", "s3"])
async def kept(
    request: pytest.FixtureRequest, services: Services, s3: S3Server, tmp_path: Path
) -> AsyncIterator[Services]:
    """Services whose files lie there."""
    settings = services.settings.model_copy(
        update={
            "files": request.param, "s3_bucket": BUCKET, "s3_endpoint": s3.endpoint, "s3_region": REGION,
            "s3_access_key_id": KEY_ID, "s3_secret_access_key": SecretStr(SECRET), "data_dir": tmp_path,
        }
    )  # fmt: skip
    services.database.files = file_bytes(services.database, settings)
    yield services
    await services.knowledge_ingest.close()


async def outside(services: Services) -> list[str]:
    """What lies outside the database."""
    files = services.database.files
    return [n async for n in files._stores[files._to].names()] if files._to else []


async def test_files_of_knowledge_are_read_saved_and_gone_with_their_document(
    kept: Services, owner: Principal, admin: Any
) -> None:
    base = await kept.knowledge_bases.create(owner, "Shop")
    content = word("Delivery", "Delivery costs 5 euros.")
    row = await kept.knowledge_documents.add_file(owner, base.id, "Delivery.docx", content)
    while await kept.knowledge_ingest.run_next():
        pass
    assert (await kept.knowledge_documents.get(owner, row.id)).state == "ready"
    assert (await kept.knowledge_documents.source(owner, row.id))[1] == content
    lie = await outside(kept)
    assert len(lie) == (1 if kept.database.files._to else 0)
    assert all(n.startswith(owner.workspace_id) for n in lie)
    assert admin.execute("SELECT content IS NULL FROM knowledge_source").fetchone() == (bool(lie),)
    assert await kept.database.files.remove_gone() == 0
    await kept.knowledge_bases.delete(owner, base.id)
    assert await kept.database.files.remove_gone() == len(lie)
    assert await outside(kept) == []
    assert admin.execute("SELECT count(*) FROM stored_object").fetchone() == (0,)


async def test_erasing_a_contact_removes_their_files(kept: Services, owner: Principal, admin: Any) -> None:
    talk, contact_id = admin.execute(TALK, {"w": owner.workspace_id}).fetchone()
    files = kept.database.files
    saved = await files.keep(owner.workspace_id, b"a letter")
    async with kept.database.workspace(owner.workspace_id) as connection:
        file_id = await rows.add(connection, talk, "letter.txt", "text/plain", saved)
        assert await files.read(await rows.content(connection, file_id)) == b"a letter"
    count = len(await outside(kept))
    await kept.contact_privacy.erase(owner, contact_id)
    assert await files.remove_gone() == count
    assert await outside(kept) == []


async def test_bytes_of_a_process_that_died_are_removed_and_late_ones_refused(
    kept: Services, owner: Principal, admin: Any
) -> None:
    files = kept.database.files
    late = await files.keep(owner.workspace_id, b"never got a row")
    assert await files.remove_gone() == 0
    admin.execute("UPDATE stored_object SET remove_at = now()")
    removed = await files.remove_gone()
    assert (removed, await outside(kept)) == (1 if late.place else 0, [])
    if late.place:
        with pytest.raises(NotFound):
            async with kept.database.workspace(owner.workspace_id) as connection:
                await rows.add(connection, None, "n", "text/plain", late)


async def test_a_document_waits_while_its_bucket_is_away(
    services: Services, owner: Principal, s3: S3Server, admin: Any
) -> None:
    services.database.files = FileBytes(services.database, {"s3": bucket(s3, seconds=0.3)}, "s3")
    base = await services.knowledge_bases.create(owner, "Shop")
    row = await services.knowledge_documents.add_file(owner, base.id, "a.txt", b"Delivery costs 5 euros.")
    s3.fault, s3.slow_seconds = "slow", 0.5
    assert await services.knowledge_ingest.run_next()
    assert (await services.knowledge_documents.get(owner, row.id)).state == "reading"
    assert not await services.knowledge_ingest.run_next()
    s3.fault = ""
    admin.execute("UPDATE knowledge_document SET lease_until = now()")
    assert await services.knowledge_ingest.run_next()
    assert (await services.knowledge_documents.get(owner, row.id)).state == "ready"
    await services.knowledge_ingest.close()


async def test_what_lay_elsewhere_is_still_read(database: Database, owner: Principal, tmp_path: Path) -> None:
    old = FileBytes(database, {"folder": FolderObjects(tmp_path)}, "folder")
    kept = await old.keep(owner.workspace_id, b"x")
    now = FileBytes(database, {"folder": FolderObjects(tmp_path)})
    assert await now.read({"content": None, "place": kept.place}) == b"x"
    with pytest.raises(Unreachable, match="folder"):
        await FileBytes(database).read({"content": None, "place": kept.place})


def test_settings_of_a_bucket_that_miss_something_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATCHCORD_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PATCHCORD_FILES", "s3")
    with pytest.raises(SettingsRefused, match="PATCHCORD_S3_BUCKET"):
        Settings.load()
    monkeypatch.setenv("PATCHCORD_S3_BUCKET", "b")
    monkeypatch.setenv("PATCHCORD_S3_ACCESS_KEY_ID", "k")
    with pytest.raises(SettingsRefused, match="go together"):
        Settings.load()
    monkeypatch.setenv("PATCHCORD_S3_SECRET_ACCESS_KEY", "very secret")
    assert "very secret" not in repr(Settings.load())
