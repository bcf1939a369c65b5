"""Secrets go into the vault and come out only towards their connector."""

import asyncio
from dataclasses import dataclass, field

import psycopg
import pytest
from pydantic import SecretStr

from graph_runtime.bootstrap import Services
from graph_runtime.cli.rotate_keys import rotate
from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.connectors import CheckResult, Connector, CredentialSettings
from graph_runtime.contract.errors import (
    AccessDenied,
    Conflict,
    CredentialRejected,
    InputInvalid,
    NotFound,
    Unreachable,
)
from graph_runtime.services.bound_models import BoundModels
from graph_runtime.services.credentials import Credentials
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.services.vault import Vault
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.storage.encryption import KeyRing, VaultLocked
from graph_runtime.testing import FakeModel

Admin = psycopg.Connection[tuple[object, ...]]
SECRET = "sk-canary-0123456789"


class VendorSettings(CredentialSettings):
    key: SecretStr
    organisation: SecretStr | None = None
    base_url: str = "https://api.example.org"


class NoSettings(CredentialSettings):
    pass


def named(name: str) -> FakeModel:
    """A model that says nothing."""
    model = FakeModel([])
    model.name = name
    return model


@dataclass
class Vendor:
    """A connector that remembers what it was given."""

    given: list[CredentialSettings] = field(default_factory=list)
    answer: CheckResult | Exception = field(
        default_factory=lambda: CheckResult(ok=True, message="Works.", models=("m1",))
    )

    def chat_model(self, settings: VendorSettings, model: str) -> FakeModel:
        self.given.append(settings)
        return named(model)

    async def check(self, settings: VendorSettings) -> CheckResult:
        self.given.append(settings)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    @property
    def catalog(self) -> Catalog:
        vendor = Connector(
            id="vendor",
            label="Vendor",
            summary="",
            settings=VendorSettings,
            chat_model=self.chat_model,
            check=self.check,
        )
        demo = Connector(
            id="demo", label="Demo", summary="", settings=NoSettings, needs_credential=False,
            chat_model=lambda settings, model: named("demo"),
        )  # fmt: skip
        return Catalog({}, {"vendor": vendor, "demo": demo})


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def credentials(services: Services, vendor: Vendor) -> Credentials:
    return Credentials(services.database, vendor.catalog, services.vault)


@pytest.fixture
def models(services: Services, vendor: Vendor) -> BoundModels:
    return BoundModels(services.database, vendor.catalog, services.vault)


def bind(admin: Admin, who: Principal, credential_id: str | None, *, connector: str = "vendor") -> str:
    """An agent whose slot "llm" is bound to the credential; its id."""
    row = admin.execute(
        "WITH a AS (INSERT INTO agent (workspace_id, name, public_id) VALUES (%(w)s, 'Shop', gen_random_uuid()::text)"
        " RETURNING id) INSERT INTO agent_connection (workspace_id, agent_id, slot, credential_id, connector, model)"
        " SELECT %(w)s, id, 'llm', %(c)s, %(k)s, 'm1' FROM a RETURNING agent_id::text",
        {"w": who.workspace_id, "c": credential_id, "k": connector},
    ).fetchone()
    assert row is not None
    return str(row[0])


def whole_database(admin: Admin) -> str:
    tables = ("credential", "data_key", "audit", "setting", "agent_connection")
    return "".join(str(row) for table in tables for row in admin.execute(f"SELECT t::text FROM {table} t"))


async def test_a_secret_is_never_shown_again(credentials: Credentials, owner: Principal, admin: Admin) -> None:
    made = await credentials.create(owner, "vendor", "  Our key ", {"key": SECRET})
    assert made.label == "Our key"
    assert made.settings == {"base_url": "https://api.example.org"}
    assert made.hints == {"key": "…6789"}
    everything = str(made) + str(await credentials.list(owner)) + str(await credentials.get(owner, made.id))
    assert SECRET not in everything
    assert SECRET not in whole_database(admin)


async def test_a_short_secret_gives_nothing_away(credentials: Credentials, owner: Principal) -> None:
    made = await credentials.create(owner, "vendor", "", {"key": "12345678"})
    assert made.hints == {"key": "…"}
    assert made.label == "Vendor"


@pytest.mark.parametrize(
    ("connector", "values", "named"),
    [
        ("vendor", {}, "key"),
        ("vendor", {"key": SECRET, "typo": "x"}, "typo"),
        ("vendor", {"key": 5}, "key"),
        ("unknown", {"key": SECRET}, "connector"),
    ],
)
async def test_wrong_values_are_named_and_not_repeated(
    credentials: Credentials, owner: Principal, connector: str, values: dict[str, object], named: str
) -> None:
    with pytest.raises(InputInvalid) as caught:
        await credentials.create(owner, connector, "L", values)
    assert caught.value.field == named
    assert SECRET not in str(caught.value) + str(caught.value.params)


async def test_a_check_hands_the_secret_to_the_vendor_and_remembers(
    credentials: Credentials, owner: Principal, vendor: Vendor
) -> None:
    made = await credentials.create(owner, "vendor", "L", {"key": SECRET})
    assert (await credentials.check(owner, made.id)).ok
    (settings,) = vendor.given
    assert isinstance(settings, VendorSettings)
    assert settings.key.get_secret_value() == SECRET
    shown = await credentials.get(owner, made.id)
    assert (shown.check_ok, shown.check_message, shown.models) == (True, "Works.", ("m1",))
    vendor.answer = Unreachable("The vendor cannot be reached. Try again later.")
    assert await credentials.check(owner, made.id) == CheckResult(
        ok=False, message="The vendor cannot be reached. Try again later."
    )
    assert (await credentials.get(owner, made.id)).check_ok is False


async def test_replacing_forgets_the_check_and_serves_the_new_secret(
    credentials: Credentials, models: BoundModels, owner: Principal, vendor: Vendor, admin: Admin
) -> None:
    made = await credentials.create(owner, "vendor", "L", {"key": SECRET})
    agent = bind(admin, owner, made.id)
    await credentials.check(owner, made.id)
    first = await models.chat_model(owner.workspace_id, agent, "llm")
    assert await models.chat_model(owner.workspace_id, agent, "llm") == first
    replaced = await credentials.replace_secret(owner, made.id, {"key": "sk-newer-0123456789"}, label="New")
    assert (replaced.label, replaced.check_ok, replaced.models) == ("New", None, ())
    assert await models.chat_model(owner.workspace_id, agent, "llm") != first
    newest = vendor.given[-1]
    assert isinstance(newest, VendorSettings)
    assert newest.key.get_secret_value() == "sk-newer-0123456789"


async def test_a_saved_key_is_never_led_to_a_new_address(credentials: Credentials, owner: Principal) -> None:
    made = await credentials.create(owner, "vendor", "L", {"key": SECRET})
    for values in ({"base_url": "https://evil.example"}, {"base_url": "https://evil.example", "key": ""}):
        with pytest.raises(InputInvalid, match="enter the key again") as caught:
            await credentials.replace_secret(owner, made.id, values)
        assert caught.value.field == "key"
    moved = await credentials.replace_secret(owner, made.id, {"base_url": "https://other.example", "key": SECRET})
    assert moved.settings["base_url"] == "https://other.example"
    assert (await credentials.replace_secret(owner, made.id, {}, label="Only a name")).label == "Only a name"


async def test_a_row_swapped_in_the_database_does_not_open(
    credentials: Credentials, models: BoundModels, owner: Principal, other_workspace: Principal, admin: Admin
) -> None:
    mine = await credentials.create(owner, "vendor", "L", {"key": SECRET})
    twin = await credentials.create(owner, "vendor", "L", {"key": "sk-another-0123456789"})
    foreign = await credentials.create(other_workspace, "vendor", "L", {"key": "sk-foreign-0123456789"})
    agent = bind(admin, owner, mine.id)
    for source in (twin, foreign):
        admin.execute(
            "UPDATE credential SET secrets = (SELECT secrets FROM credential WHERE id = %s) WHERE id = %s",
            (source.id, mine.id),
        )
        with pytest.raises(VaultLocked):
            await credentials.check(owner, mine.id)
        with pytest.raises(CredentialRejected, match="Enter it anew"):
            await models.chat_model(owner.workspace_id, agent, "llm")


async def test_nothing_bound_is_answered_by_the_demo_model(
    credentials: Credentials, models: BoundModels, owner: Principal, admin: Admin
) -> None:
    agent = bind(admin, owner, None, connector="demo")
    assert [m.name for m in await models.chat_model(owner.workspace_id, agent, "other slot")] == ["demo"]
    assert [m.name for m in await models.chat_model(owner.workspace_id, agent, "llm")] == ["demo"]
    for connector in ("vendor", "uninstalled"):
        without_key = bind(admin, owner, None, connector=connector)
        with pytest.raises(CredentialRejected, match="Models & keys"):
            await models.chat_model(owner.workspace_id, without_key, "llm")


async def test_deleting_says_who_uses_it(
    credentials: Credentials, models: BoundModels, owner: Principal, admin: Admin
) -> None:
    made = await credentials.create(owner, "vendor", "L", {"key": SECRET})
    agent = bind(admin, owner, made.id)
    assert (await credentials.get(owner, made.id)).agents == ("Shop",)
    with pytest.raises(Conflict, match="Shop"):
        await credentials.delete(owner, made.id)
    (use,) = await credentials.delete(owner, made.id, even_if_used=True)
    assert (use.agent_id, use.slot, use.model) == (agent, "llm", "m1")
    assert [m.name for m in await models.chat_model(owner.workspace_id, agent, "llm")] == ["demo"]
    with pytest.raises(NotFound):
        await credentials.get(owner, made.id)


async def test_editors_use_keys_and_only_administrators_manage_them(credentials: Credentials, owner: Principal) -> None:
    made = await credentials.create(owner, "vendor", "L", {"key": SECRET})
    editor, viewer = (
        Principal(owner.workspace_id, owner.member_id, role, PERMISSIONS[role]) for role in ("editor", "viewer")
    )
    assert len(await credentials.list(editor)) == 1
    for refused in (
        credentials.create(editor, "vendor", "L", {"key": SECRET}),
        credentials.replace_secret(editor, made.id, {"key": SECRET}),
        credentials.delete(editor, made.id),
        credentials.list(viewer),
        credentials.check(viewer, made.id),
        credentials.uses(viewer, made.id),
    ):
        with pytest.raises(AccessDenied):
            await refused


async def test_credentials_of_another_workspace_do_not_exist(
    credentials: Credentials, models: BoundModels, owner: Principal, other_workspace: Principal, admin: Admin
) -> None:
    made = await credentials.create(owner, "vendor", "L", {"key": SECRET})
    agent = bind(admin, owner, made.id)
    assert await credentials.list(other_workspace) == []
    for refused in (
        credentials.get(other_workspace, made.id),
        credentials.check(other_workspace, made.id),
        credentials.uses(other_workspace, made.id),
        credentials.replace_secret(other_workspace, made.id, {"key": SECRET}),
        credentials.delete(other_workspace, made.id, even_if_used=True),
        credentials.get(owner, "not-an-id"),
    ):
        with pytest.raises(NotFound):
            await refused
    assert [m.name for m in await models.chat_model(other_workspace.workspace_id, agent, "llm")] == ["demo"]


async def test_a_new_installation_key_rewraps_and_then_stands_alone(
    services: Services, vendor: Vendor, owner: Principal, other_workspace: Principal
) -> None:
    def under(*secrets: str) -> tuple[Vault, Credentials]:
        vault = Vault(services.database, KeyRing(secrets))
        return vault, Credentials(services.database, vendor.catalog, vault)

    _, before = under("old installation key")
    made = [await before.create(who, "vendor", "L", {"key": SECRET}) for who in (owner, other_workspace)]
    _, without = under("new installation key")
    with pytest.raises(VaultLocked, match="PATCHCORD_SECRET_KEY"):
        await without.check(owner, made[0].id)
    both, _ = under("new installation key", "old installation key")
    assert await both.rewrap() == 2
    assert await both.rewrap() == 0
    assert (await without.check(owner, made[0].id)).ok
    assert (await without.check(other_workspace, made[1].id)).ok


async def test_a_new_data_key_seals_everything_again(
    services: Services, credentials: Credentials, owner: Principal, vendor: Vendor, admin: Admin
) -> None:
    made = [await credentials.create(owner, "vendor", f"L{i}", {"key": f"{SECRET}{i}"}) for i in range(3)]
    old = whole_database(admin)
    assert await services.vault.renew(owner.workspace_id) == 3
    rows = admin.execute("SELECT secrets::text, data_key_number FROM credential").fetchall()
    assert {number for _, number in rows} == {2}
    assert not any(str(secrets) in old for secrets, _ in rows)
    assert admin.execute("SELECT number FROM data_key").fetchall() == [(2,)]
    for number, row in enumerate(made):
        await credentials.check(owner, row.id)
        settings = vendor.given[-1]
        assert isinstance(settings, VendorSettings)
        assert settings.key.get_secret_value() == f"{SECRET}{number}"


async def test_the_command_seals_everything_anew_while_secrets_are_opened_and_entered(
    postgres: EmbeddedPostgres, credentials: Credentials, owner: Principal, admin: Admin, vendor: Vendor
) -> None:
    made = [await credentials.create(owner, "vendor", f"L{n}", {"key": f"{SECRET}{n}"}) for n in range(3)]
    old = whole_database(admin)
    stop = asyncio.Event()
    entered: list[str] = []

    async def use() -> None:
        while not stop.is_set():
            assert (await credentials.check(owner, made[0].id)).ok
            if len(entered) < 20:
                entered.append((await credentials.create(owner, "vendor", "New", {"key": SECRET})).id)

    using = [asyncio.create_task(use()) for _ in range(3)]
    workspaces, sealed = await rotate(postgres.app_url, ["for tests only, " * 3], settled_seconds=0.3)
    stop.set()
    await asyncio.gather(*using)
    assert workspaces == 1
    assert sealed >= 3
    assert not any(str(r) in old for (r,) in admin.execute("SELECT secrets::text FROM credential").fetchall())
    assert admin.execute("SELECT number FROM data_key").fetchall() == [(2,)]
    assert len(entered) >= 1
    for credential_id in entered[-3:]:
        assert (await credentials.check(owner, credential_id)).ok


async def test_two_first_credentials_at_once_share_one_data_key(
    credentials: Credentials, owner: Principal, admin: Admin
) -> None:
    await asyncio.gather(*(credentials.create(owner, "vendor", f"L{i}", {"key": SECRET}) for i in range(5)))
    assert admin.execute("SELECT count(*) FROM data_key").fetchone() == (1,)
    for row in await credentials.list(owner):
        assert (await credentials.check(owner, row.id)).ok


async def test_every_installed_connector_can_be_entered(services: Services, owner: Principal) -> None:
    for kind in services.credentials.connectors():
        secrets = dict.fromkeys(kind.settings.secret_fields(), SECRET)
        made = await services.credentials.create(owner, kind.id, "", secrets)
        assert SECRET not in str(made)
        assert set(made.hints) == set(secrets)


@pytest.mark.parametrize("connector", ["http_key", "kommo", "rest_crm", "oauth_app"])
async def test_a_key_is_not_saved_for_an_address_that_reads_along(
    services: Services, owner: Principal, connector: str
) -> None:
    kind = services.catalog.connectors[connector]
    secrets = dict.fromkeys(kind.settings.secret_fields(), SECRET)
    with pytest.raises(InputInvalid, match="over https only") as caught:
        await services.credentials.create(owner, connector, "", {**secrets, "base_url": "http://crm.example.com"})
    assert (caught.value.field, caught.value.params["reason"]) == ("base_url", "https_or_inside")
    good = await services.credentials.create(owner, connector, "", {**secrets, "base_url": "https://crm.example.com"})
    with pytest.raises(InputInvalid, match="over https only"):
        await services.credentials.replace_secret(owner, good.id, {**secrets, "base_url": "http://crm.example.com"})
    inside = {**secrets, "base_url": "http://10.0.0.5", "allow_private_host": True}
    assert (await services.credentials.create(owner, connector, "", inside)).settings["base_url"] == "http://10.0.0.5"
