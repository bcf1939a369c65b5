"""Keys for programs: shown once, scoped, expiring, and never above the member who made them."""

import hashlib

import psycopg
import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import AccessDenied, InputInvalid, NotFound, NotSignedIn
from graph_runtime.services.api_keys import ApiKeys
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.testing import FakeClock

Admin = psycopg.Connection[tuple[object, ...]]


async def test_a_key_opens_what_its_scopes_say(services: Services, owner: Principal) -> None:
    row, secret = await services.api_keys.create(owner, " My  program ", ["conversations:write", "flows:read"])
    program = await services.api_keys.principal(secret)
    assert program.workspace_id == owner.workspace_id
    assert program.role == "api"
    assert program.session_id == row.id
    assert program.scopes == {"conversations:write", "flows:read", "conversation.write", "agent.read"}
    program.require("conversation.write")
    with pytest.raises(AccessDenied, match=r"flow\.publish"):
        program.require("flow.publish")
    assert row.name == "My program"


async def test_the_secret_is_shown_once_and_kept_as_a_hash(services: Services, owner: Principal, admin: Admin) -> None:
    row, secret = await services.api_keys.create(owner, "A", ["flows:read"])
    dump = str(admin.execute("SELECT k::text FROM api_key k").fetchall())
    assert secret not in dump
    assert hashlib.sha256(secret.encode()).hexdigest() in dump
    assert await services.api_keys.list(owner) == [row]
    assert secret.startswith("pck_")
    assert row.prefix.startswith(secret[:8])
    assert secret not in str(row)


async def test_use_is_noted(services: Services, owner: Principal, clock: FakeClock) -> None:
    _, secret = await services.api_keys.create(owner, "A", ["flows:read"])
    assert [key.last_used_at for key in await services.api_keys.list(owner)] == [None]
    await services.api_keys.principal(secret)
    assert [key.last_used_at for key in await services.api_keys.list(owner)] == [clock.now()]


async def test_a_revoked_or_expired_key_opens_nothing(services: Services, owner: Principal, clock: FakeClock) -> None:
    row, secret = await services.api_keys.create(owner, "A", ["flows:read"])
    _, short = await services.api_keys.create(owner, "B", ["flows:read"], days=1)
    await services.api_keys.revoke(owner, row.id)
    with pytest.raises(NotSignedIn):
        await services.api_keys.principal(secret)
    with pytest.raises(NotFound):
        await services.api_keys.revoke(owner, row.id)
    assert (await services.api_keys.principal(short)).role == "api"
    clock.advance(days=1)
    with pytest.raises(NotSignedIn):
        await services.api_keys.principal(short)
    for made_up in ("", "pck_", "pck_x", short[:-1], "\0"):
        with pytest.raises(NotSignedIn):
            await services.api_keys.principal(made_up)


async def test_a_key_in_use_stops_with_its_revocation(services: Services, owner: Principal, clock: FakeClock) -> None:
    row, secret = await services.api_keys.create(owner, "A", ["flows:read"])
    elsewhere = ApiKeys(services.database, clock.now)
    assert await services.api_keys.principal(secret) == await elsewhere.principal(secret)
    await services.api_keys.revoke(owner, row.id)
    with pytest.raises(NotSignedIn):
        await services.api_keys.principal(secret)
    clock.advance(seconds=3)
    with pytest.raises(NotSignedIn):
        await elsewhere.principal(secret)


async def test_a_key_shrinks_with_its_creator(
    services: Services, owner: Principal, admin: Admin, clock: FakeClock
) -> None:
    _, secret = await services.api_keys.create(owner, "A", ["flows:write", "flows:read", "conversations:read"])
    admin.execute("UPDATE member SET role = 'viewer' WHERE id = %s", (owner.member_id,))
    program = await services.api_keys.principal(secret)
    assert program.scopes == {"flows:read", "conversations:read", "agent.read", "conversation.read"}
    admin.execute("DELETE FROM member WHERE id = %s", (owner.member_id,))
    clock.advance(seconds=3)
    with pytest.raises(NotSignedIn):
        await services.api_keys.principal(secret)


@pytest.mark.parametrize("scopes", [[], ["everything"], ["flows:read", "key.manage"], ["agent.read"]])
async def test_unknown_scopes_are_refused(services: Services, owner: Principal, scopes: list[str]) -> None:
    with pytest.raises(InputInvalid):
        await services.api_keys.create(owner, "A", scopes)


async def test_only_administrators_make_keys(services: Services, owner: Principal, other_workspace: Principal) -> None:
    for role in ("editor", "viewer", "operator"):
        member = Principal(owner.workspace_id, owner.member_id, role, PERMISSIONS[role])
        with pytest.raises(AccessDenied):
            await services.api_keys.create(member, "A", ["flows:read"])
        with pytest.raises(AccessDenied):
            await services.api_keys.list(member)
    _, secret = await services.api_keys.create(owner, "A", ["flows:read"])
    with pytest.raises(AccessDenied):
        await services.api_keys.create(await services.api_keys.principal(secret), "B", ["flows:read"])


async def test_keys_of_another_workspace_do_not_exist(
    services: Services, owner: Principal, other_workspace: Principal
) -> None:
    row, _ = await services.api_keys.create(owner, "A", ["flows:read"])
    assert await services.api_keys.list(other_workspace) == []
    for key_id in (row.id, "not-an-id", ""):
        with pytest.raises(NotFound):
            await services.api_keys.revoke(other_workspace, key_id)
