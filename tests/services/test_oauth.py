"""Access by OAuth: granted once to the one who asked, renewed once however many ask, never lost silently."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
import pytest_asyncio

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import AccessDenied, CredentialRejected, InputInvalid, NotFound
from graph_runtime.services.bound_connections import BoundConnections
from graph_runtime.services.channel_doors import ChannelDoors
from graph_runtime.services.oauth import Access, OAuth
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.storage.database import Database
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.fakes.kommo import CLIENT, LONG_TOKEN, Kommo, kommo

Admin = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def fake() -> Iterator[Kommo]:
    with kommo(life=1000) as account:
        yield account


async def credential(services: Services, owner: Principal, fake: Kommo, **more: Any) -> str:
    values = {"base_url": fake.url, "way_in": "oauth", "authorize_url": f"{fake.url}/oauth", "allow_private_host": True}
    row = await services.credentials.create(owner, "kommo", "Shop", {**values, **CLIENT, **more})
    return str(row.id)


def visit(fake: Kommo, url: str) -> dict[str, str]:
    """What the person does at the vendor: look, allow, be sent back."""
    asked = {k: v[0] for k, v in parse_qs(urlsplit(url).query).items()}
    assert url.startswith(f"{fake.url}/oauth?")
    assert asked["code_challenge_method"] == "S256"
    fake.codes["the-code"] = {"challenge": asked["code_challenge"], "redirect": asked["redirect_uri"]}
    return {"state": asked["state"], "code": "the-code"}


async def connected(services: Services, owner: Principal, fake: Kommo) -> str:
    made = await credential(services, owner, fake)
    back = visit(fake, await services.oauth.begin(owner, made))
    assert await services.oauth.finish(owner, **back) == made
    return made


def make_due(admin: Admin, *, expired: bool = False) -> None:
    admin.execute("UPDATE oauth_access SET refresh_after = now() - interval '1 second'")
    if expired:
        admin.execute("UPDATE oauth_access SET expires_at = now() - interval '1 second'")


async def test_access_is_granted_checked_and_shown_without_a_token(
    services: Services, owner: Principal, fake: Kommo, admin: Admin
) -> None:
    made = await credential(services, owner, fake)
    assert (await services.credentials.get(owner, made)).access == "none"
    result = await services.credentials.check(owner, made)
    assert not result.ok
    assert "Connect" in result.message
    back = visit(fake, await services.oauth.begin(owner, made))
    await services.oauth.finish(owner, **back)
    assert (await services.credentials.get(owner, made)).access == "ready"
    assert (await services.credentials.check(owner, made)).ok
    stored = str(admin.execute("SELECT * FROM oauth_access, credential, oauth_attempt").fetchall())
    stored += str(admin.execute("SELECT secrets FROM oauth_access").fetchall())
    assert "access-" not in stored
    assert "refresh-" not in stored


async def test_a_state_works_once_for_the_one_who_left_with_it_and_not_for_ever(
    services: Services, owner: Principal, other_workspace: Principal, fake: Kommo, admin: Admin
) -> None:
    made = await credential(services, owner, fake)
    back = visit(fake, await services.oauth.begin(owner, made))
    colleague = Principal(owner.workspace_id, "00000000-0000-4000-8000-000000000001", "admin", PERMISSIONS["admin"])
    for stranger in (other_workspace, colleague):
        with pytest.raises(InputInvalid):
            await services.oauth.finish(stranger, **back)
    await services.oauth.finish(owner, **back)
    with pytest.raises(InputInvalid):
        await services.oauth.finish(owner, **back)
    late = visit(fake, await services.oauth.begin(owner, made))
    admin.execute("UPDATE oauth_attempt SET expires_at = now() - interval '1 second'")
    with pytest.raises(InputInvalid):
        await services.oauth.finish(owner, **late)
    with pytest.raises(InputInvalid):
        await services.oauth.finish(owner, state="x" * 40, code="y")
    editor = Principal(owner.workspace_id, owner.member_id, "editor", PERMISSIONS["editor"])
    with pytest.raises(AccessDenied):
        await services.oauth.begin(editor, made)
    with pytest.raises(NotFound):
        await services.oauth.begin(other_workspace, made)


async def test_a_code_without_its_verifier_and_a_refusal_at_the_vendor_grant_nothing(
    services: Services, owner: Principal, fake: Kommo
) -> None:
    made = await credential(services, owner, fake)
    back = visit(fake, await services.oauth.begin(owner, made))
    fake.codes["the-code"]["challenge"] = "of somebody else"
    with pytest.raises(CredentialRejected):
        await services.oauth.finish(owner, **back)
    back = visit(fake, await services.oauth.begin(owner, made))
    with pytest.raises(InputInvalid, match="not granted"):
        await services.oauth.finish(owner, state=back["state"], code="", error="access_denied")
    assert (await services.credentials.get(owner, made)).access == "none"


@pytest_asyncio.fixture
async def workers(postgres: EmbeddedPostgres, services: Services) -> AsyncIterator[list[OAuth]]:
    """Five processes' worth of services: separate pools, doors and locks."""
    databases = [Database(postgres.app_url, min_size=1, max_size=4) for _ in range(5)]
    for database in databases:
        await database.open()
    made = [OAuth(d, services.catalog, services.vault, services.oauth.redirect_uri, ChannelDoors()) for d in databases]
    yield made
    for worker, database in zip(made, databases, strict=True):
        await worker.close()
        await database.close()


async def test_twenty_workers_renew_an_expired_token_once(
    services: Services, owner: Principal, fake: Kommo, admin: Admin, workers: list[OAuth]
) -> None:
    made = await connected(services, owner, fake)
    for _ in range(3):
        make_due(admin, expired=True)
        fake.fail("slow", seconds=0.1, path="/oauth2")
        before = len(fake.refreshed)
        asking = [workers[n % 5].access(owner.workspace_id, made) for n in range(20)]
        got = await asyncio.gather(*asking)
        assert len(fake.refreshed) - before == 1
        assert len({access.token for access in got}) == 1
        assert got[0].token in fake.access
    assert len(set(fake.refreshed)) == 3


async def test_a_token_is_renewed_early_and_an_old_one_serves_while_the_vendor_rests(
    services: Services, owner: Principal, fake: Kommo, admin: Admin
) -> None:
    made = await connected(services, owner, fake)
    row = admin.execute("SELECT extract(epoch FROM refresh_after - now()) / 1000 FROM oauth_access").fetchone()
    assert row is not None
    assert 0.7 < float(str(row[0])) <= 0.8
    first = await services.oauth.access(owner.workspace_id, made)
    make_due(admin)
    fake.fail("server_error", path="/oauth2")
    assert await services.oauth.access(owner.workspace_id, made) == first
    assert (await services.oauth.access(owner.workspace_id, made)).token != first.token


async def test_a_401_renews_once_and_the_request_is_made_again(
    services: Services, owner: Principal, fake: Kommo
) -> None:
    made = await connected(services, owner, fake)
    fake.access.clear()
    opened = await services.connections.open_credential(owner, made, "crm")
    answer = await services.connections.way_out(opened).exchange("GET", "/api/v4/account")
    assert answer.status == 200
    assert len(fake.refreshed) == 1
    fake.fail("unauthorized", times=2, path="/api")
    assert (await services.connections.way_out(opened).exchange("GET", "/api/v4/account")).status == 401
    assert len(fake.refreshed) == 2


async def test_a_pair_lost_in_a_crash_tries_the_other_one_and_then_asks_for_a_person(
    services: Services, owner: Principal, fake: Kommo, admin: Admin
) -> None:
    made = await connected(services, owner, fake)
    make_due(admin, expired=True)
    await services.oauth.access(owner.workspace_id, made)
    used = fake.refreshed[-1]
    # The vendor never took the newest pair in, as after a crash on its side: the one before still works.
    fake.refresh.clear()
    fake.refresh.add(used)
    make_due(admin, expired=True)
    assert (await services.oauth.access(owner.workspace_id, made)).token in fake.access
    fake.refresh.clear()
    make_due(admin, expired=True)
    asked = len(fake.journal)
    with pytest.raises(CredentialRejected, match="Connect again"):
        await services.oauth.access(owner.workspace_id, made)
    assert len(fake.journal) - asked == 2
    row = await services.credentials.get(owner, made)
    assert row.access == "needs_reconnect"
    assert "Connect again" in row.check_message
    with pytest.raises(CredentialRejected):
        await services.oauth.access(owner.workspace_id, made)
    assert len(fake.journal) - asked == 2, "a lost access is not asked for again and again"
    back = visit(fake, await services.oauth.begin(owner, made))
    await services.oauth.finish(owner, **back)
    assert (await services.oauth.access(owner.workspace_id, made)).token in fake.access


async def test_a_process_that_dies_before_it_commits_leaves_the_old_pair(
    services: Services, owner: Principal, fake: Kommo, admin: Admin, workers: list[OAuth]
) -> None:
    fake.single_use = False
    made = await connected(services, owner, fake)
    make_due(admin, expired=True)
    fake.fail("slow", seconds=0.5, path="/oauth2")
    dying = asyncio.create_task(workers[0].access(owner.workspace_id, made))
    async with asyncio.timeout(10):
        while not fake.refreshed:  # noqa: ASYNC110  # it happens in the fake's own thread
            await asyncio.sleep(0.01)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    assert (await workers[1].access(owner.workspace_id, made)).token in fake.access
    assert len(fake.refreshed) == 2


async def test_other_settings_end_the_access_they_were_granted_to(
    services: Services, owner: Principal, fake: Kommo
) -> None:
    made = await connected(services, owner, fake)
    changed = {"base_url": "https://evil.example", "client_secret": "s", "long_token": "t"}
    await services.credentials.replace_secret(owner, made, changed)
    with pytest.raises(CredentialRejected):
        await services.oauth.access(owner.workspace_id, made)


async def test_what_grows_old_unused_is_renewed_and_new_data_keys_seal_it_again(
    services: Services, owner: Principal, fake: Kommo, admin: Admin
) -> None:
    made = await connected(services, owner, fake)
    assert await services.oauth.renew_due() == 0
    make_due(admin)
    assert await services.oauth.renew_due() == 1
    await services.vault.renew(owner.workspace_id)
    assert (await services.oauth.access(owner.workspace_id, made)).token in fake.access


async def test_a_newer_token_is_found_not_asked_for(services: Services, owner: Principal, fake: Kommo) -> None:
    made = await connected(services, owner, fake)
    first = await services.oauth.access(owner.workspace_id, made)
    fresh = await services.oauth.renew(owner.workspace_id, made, first)
    again = await services.oauth.renew(owner.workspace_id, made, Access("x", first.refreshes))
    assert (again, len(fake.refreshed)) == (fresh, 1)


async def test_a_key_is_sent_to_its_own_host_only(services: Services, owner: Principal, fake: Kommo) -> None:
    values = {"base_url": fake.url, "long_token": LONG_TOKEN, "allow_private_host": True}
    row = await services.credentials.create(owner, "kommo", "Token", values)
    opened = await services.connections.open_credential(owner, str(row.id), "http")
    out = services.connections.way_out(opened)
    assert (await out.call("GET", "/api/v4/account", headers={}, body=None, seconds=5)).body["name"] == "Flower shop"
    for elsewhere in ("https://example.org/x", "http://127.0.0.1:1/x", f"{fake.url}.evil.example/"):
        with pytest.raises(Exception, match=r"belongs to|cannot be called"):
            await out.call("GET", elsewhere, headers={}, body=None, seconds=5)
    assert isinstance(services.connections, BoundConnections)
