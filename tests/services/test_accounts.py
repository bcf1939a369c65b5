"""The first owner, signing in and out, sessions that end, and guessing that does not pay."""

import asyncio
import hashlib
import statistics
import time

import psycopg
import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import Conflict, InputInvalid, NotSignedIn, TooMany
from graph_runtime.services.accounts import SESSION_LASTS, SessionToken, SignInRefused
from graph_runtime.services.passwords import PasswordCost, Passwords
from graph_runtime.services.principal import Principal
from graph_runtime.testing import FakeClock

EMAIL, PASSWORD = "Olena@Example.org", "correct horse battery"
Admin = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
async def first(services: Services) -> SessionToken:
    return await services.accounts.create_owner(
        workspace="Acme", name="Olena", email=EMAIL, password=PASSWORD, language="uk"
    )


async def attempt(services: Services, password: str, *, email: str = EMAIL, address: str = "192.0.2.1") -> str:
    """How an attempt to sign in ends, as a word."""
    try:
        await services.accounts.sign_in(email, password, address=address)
    except (SignInRefused, TooMany) as error:
        return error.code
    return "in"


async def test_the_first_run_makes_the_owner_and_only_the_first(services: Services) -> None:
    assert await services.accounts.needs_owner()
    made = await asyncio.gather(
        *(
            services.accounts.create_owner(
                workspace="Acme", name=f"Olena {i}", email=f"o{i}@example.org", password=PASSWORD, language="uk"
            )
            for i in range(4)
        ),
        return_exceptions=True,
    )
    assert sorted(type(m).__name__ for m in made) == ["Conflict", "Conflict", "Conflict", "SessionToken"]
    assert not await services.accounts.needs_owner()
    with pytest.raises(Conflict, match="Sign in instead"):
        await services.accounts.create_owner(
            workspace="B", name="B", email="b@example.org", password=PASSWORD, language="en"
        )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no address"),
        ("email", ""),
        ("password", "short"),
        ("password", "aaaaaaaaaaaa"),
        ("password", "olena@example.org"),
        ("password", "x" * 1001),
        ("name", "   "),
        ("workspace", ""),
        ("language", "de"),
    ],
)
async def test_what_does_not_fit_is_named(services: Services, field: str, value: str) -> None:
    given = {"workspace": "Acme", "name": "Olena", "email": EMAIL, "password": PASSWORD, "language": "uk"}
    with pytest.raises(InputInvalid) as caught:
        await services.accounts.create_owner(**given | {field: value})
    assert caught.value.field == field
    assert await services.accounts.needs_owner()


async def test_a_session_names_its_member(services: Services, first: SessionToken) -> None:
    principal = await services.accounts.principal(first.token)
    assert principal == first.principal
    me = await services.accounts.me(principal)
    assert (me.name, me.email, me.role, me.language, me.workspace) == (
        "Olena", "olena@example.org", "owner", "uk", "Acme",
    )  # fmt: skip


async def test_the_database_holds_no_token_and_no_password(first: SessionToken, admin: Admin) -> None:
    dump = "".join(
        str(row) for table in ("session", "member", "audit") for row in admin.execute(f"SELECT t::text FROM {table} t")
    )
    assert first.token not in dump
    assert PASSWORD not in dump
    assert hashlib.sha256(first.token.encode()).hexdigest() in dump
    assert "$argon2id$" in dump
    assert first.token not in repr(first)


async def test_signing_in_and_out(services: Services, first: SessionToken) -> None:
    again = await services.accounts.sign_in(f"  {EMAIL.upper()} ", PASSWORD, address="192.0.2.1")
    assert again.token != first.token
    await services.accounts.sign_out(again.principal)
    with pytest.raises(NotSignedIn):
        await services.accounts.principal(again.token)
    assert await services.accounts.principal(first.token) == first.principal


@pytest.mark.parametrize("token", ["", "x", "\0", "ї" * 100, "' OR 1=1 --"])
async def test_a_made_up_token_is_nobody(services: Services, first: SessionToken, token: str) -> None:
    with pytest.raises(NotSignedIn):
        await services.accounts.principal(token)


async def test_a_session_slides_while_it_is_used_and_ends_when_not(
    services: Services, first: SessionToken, clock: FakeClock
) -> None:
    for _ in range(3):
        clock.advance(days=20)
        await services.accounts.principal(first.token)
    clock.at += SESSION_LASTS
    with pytest.raises(NotSignedIn):
        await services.accounts.principal(first.token)


async def test_unknown_and_wrong_look_the_same(services: Services, first: SessionToken) -> None:
    said = []
    for email, password in ((EMAIL, "wrong password"), ("nobody@example.org", PASSWORD), ("", ""), ("\0", "\0")):
        with pytest.raises(SignInRefused) as caught:
            await services.accounts.sign_in(email, password, address="192.0.2.1")
        said.append((caught.value.code, caught.value.message, caught.value.params))
    assert len({str(words) for words in said}) == 1


async def test_an_unknown_account_takes_as_long_as_a_known_one() -> None:
    passwords = Passwords(PasswordCost(memory_kib=8192, rounds=2))
    stored = await passwords.hash(PASSWORD)

    async def median_seconds(of: str | None) -> float:
        times = []
        for _ in range(15):
            began = time.process_time()
            assert not await passwords.fits("wrong", of)
            times.append(time.process_time() - began)
        return statistics.median(times)

    known, unknown = await median_seconds(stored), await median_seconds(None)
    assert 0.5 < known / unknown < 2


def test_todays_cost_is_argon2id_with_64_mib() -> None:
    assert asyncio.run(Passwords().hash("x")).startswith("$argon2id$v=19$m=65536,t=3,p=1$")


async def test_hashes_run_two_at_a_time_and_a_crowd_is_sent_away() -> None:
    passwords = Passwords(PasswordCost(memory_kib=1024, rounds=1))
    running: list[int] = []
    most = 0

    class Watched:
        def hash(self, password: str) -> str:
            nonlocal most
            running.append(1)
            most = max(most, len(running))
            time.sleep(0.005)
            running.pop()
            return password

    passwords._hasher = Watched()  # type: ignore[assignment]
    results = await asyncio.gather(*(passwords.hash("x") for _ in range(60)), return_exceptions=True)
    assert most == 2
    assert sum(isinstance(r, TooMany) for r in results) == 20


async def test_a_cheaper_hash_is_replaced_at_the_next_sign_in(
    services: Services, first: SessionToken, admin: Admin
) -> None:
    older = await Passwords(PasswordCost(memory_kib=32, rounds=1)).hash(PASSWORD)
    admin.execute("UPDATE member SET password_hash = %s", (older,))
    assert await attempt(services, PASSWORD) == "in"
    stored = admin.execute("SELECT password_hash FROM member").fetchone()
    assert stored is not None
    assert "m=64," in str(stored[0])
    assert await attempt(services, PASSWORD) == "in"


async def test_attempts_are_free_at_first_then_slower_and_slower(
    services: Services, first: SessionToken, clock: FakeClock
) -> None:
    for _ in range(6):
        assert await attempt(services, "wrong") == "sign_in_refused"
    waits = []
    for _ in range(6):
        with pytest.raises(TooMany) as caught:
            await services.accounts.sign_in(EMAIL, PASSWORD, address="192.0.2.1")
        assert caught.value.retry_after is not None
        waits.append(caught.value.retry_after)
        clock.advance(seconds=caught.value.retry_after)
        assert await attempt(services, "wrong") == "sign_in_refused"
    assert waits == [1, 2, 4, 8, 16, 32]


async def test_waiting_lets_the_right_password_in_and_forgets(
    services: Services, first: SessionToken, clock: FakeClock
) -> None:
    for _ in range(7):
        await attempt(services, "wrong")
    assert await attempt(services, PASSWORD) == "too_many"
    clock.advance(seconds=2)
    assert await attempt(services, PASSWORD) == "in"
    assert [await attempt(services, "wrong") for _ in range(5)] == ["sign_in_refused"] * 5


async def test_guessing_for_an_hour_from_everywhere_gets_thirty_tries_at_most(
    services: Services, first: SessionToken, clock: FakeClock
) -> None:
    outcomes = []
    for number in range(400):  # nine seconds apart: an hour
        outcomes.append(await attempt(services, "wrong", address=f"198.51.100.{number}"))
        clock.advance(seconds=9)
    assert outcomes.count("sign_in_refused") <= 30
    assert set(outcomes) == {"sign_in_refused", "too_many"}


async def test_one_address_cannot_try_many_accounts(services: Services, first: SessionToken) -> None:
    outcomes = [await attempt(services, "wrong", email=f"m{i}@example.org") for i in range(40)]
    assert outcomes.count("sign_in_refused") < 40
    assert await attempt(services, PASSWORD) == "too_many"
    assert await attempt(services, PASSWORD, address="203.0.113.7") == "in"


async def test_guesses_at_once_count_one_by_one(services: Services, first: SessionToken) -> None:
    outcomes = await asyncio.gather(*(attempt(services, "wrong") for _ in range(20)))
    assert outcomes.count("sign_in_refused") == 6


async def test_ones_own_profile(services: Services, first: SessionToken) -> None:
    me = await services.accounts.update_me(first.principal, language="ru", theme="dark")
    assert (me.name, me.language, me.theme) == ("Olena", "ru", "dark")
    for wrong in ({"theme": "pink"}, {"language": "xx"}, {"name": " "}):
        with pytest.raises(InputInvalid):
            await services.accounts.update_me(first.principal, **wrong)


async def test_a_new_password_ends_the_other_sessions(services: Services, first: SessionToken) -> None:
    other = await services.accounts.sign_in(EMAIL, PASSWORD, address="192.0.2.1")
    with pytest.raises(InputInvalid, match="present password"):
        await services.accounts.change_password(first.principal, old="wrong", new="another good one")
    await services.accounts.change_password(first.principal, old=PASSWORD, new="another good one")
    with pytest.raises(NotSignedIn):
        await services.accounts.principal(other.token)
    assert await services.accounts.principal(first.token) == first.principal
    assert await attempt(services, PASSWORD) == "sign_in_refused"
    assert await attempt(services, "another good one") == "in"


async def test_a_stolen_session_cannot_guess_the_password(services: Services, first: SessionToken) -> None:
    async def guess() -> str:
        try:
            await services.accounts.change_password(first.principal, old="wrong", new="another good one")
        except (InputInvalid, TooMany) as error:
            return error.code
        return "changed"

    assert [await guess() for _ in range(10)] == ["input_invalid"] * 6 + ["too_many"] * 4


async def test_a_deleted_member_is_signed_out(services: Services, first: SessionToken, admin: Admin) -> None:
    admin.execute("DELETE FROM member")
    with pytest.raises(NotSignedIn):
        await services.accounts.principal(first.token)
    stale = Principal(first.principal.workspace_id, first.principal.member_id, "owner", frozenset())
    with pytest.raises(NotSignedIn):
        await services.accounts.me(stale)
