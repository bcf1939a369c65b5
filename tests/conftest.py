"""One embedded PostgreSQL per test session; every test starts with an empty database."""

import functools
import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpcore2
import hypothesis
import psycopg
import pytest
import structlog
from pydantic import SecretStr

from graph_runtime.bootstrap import Services, build
from graph_runtime.cli.test_run import BYTECODE
from graph_runtime.contract.catalog import Catalog, load_catalog
from graph_runtime.places import keep_bytecode
from graph_runtime.services.passwords import PasswordCost
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.settings import Settings
from graph_runtime.storage import migrate
from graph_runtime.storage.database import Database
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.testing import FakeClock
from tests.canaries import found_below
from tests.transports import name_them

keep_bytecode(os.environ, BYTECODE)  # for the hundreds of processes that tests start and kill

# Thousands of clients, none of which meets a certificate: each would read all that the system trusts.
httpcore2.default_ssl_context = functools.cache(httpcore2.default_ssl_context)

name_them()

# Through the standard library, where pytest collects it; structlog's own default draws tracebacks for many seconds.
structlog.configure(
    processors=[structlog.stdlib.add_log_level, structlog.stdlib.render_to_log_kwargs],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
)
# How long one example takes says more about the machine's other work than about the code.
hypothesis.settings.register_profile("patchcord", deadline=None)
hypothesis.settings.load_profile("patchcord")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where the run says `--dist loadfile`, as `./patchcord test` does."""
    from tests.scheduling import Together

    return Together(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A migrated server. Its `admin_url` owns the tables and sees all workspaces."""
    folder = tmp_path_factory.mktemp("postgres") / "data"
    with EmbeddedPostgres(folder) as server:
        migrate.upgrade(server.admin_url)
        yield server
    assert found_below(folder) == [], "a credential of some test was stored in clear"


@pytest.fixture(scope="session")
def admin(postgres: EmbeddedPostgres) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """As the owner of the tables, past row-level security: for arranging and looking, never for what is tested."""
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def database(
    postgres: EmbeddedPostgres, admin: "psycopg.Connection[tuple[object, ...]]"
) -> AsyncIterator[Database]:
    """As the running program, with no row anywhere."""
    admin.execute("DELETE FROM workspace")
    admin.execute("DELETE FROM sign_in_limit")
    opened = Database(postgres.app_url, min_size=1, max_size=6)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """Everything that is installed: the product's own steps and connectors."""
    return load_catalog(("nodes", "connectors"))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))


@pytest.fixture
async def services(
    postgres: EmbeddedPostgres, database: Database, catalog: Catalog, clock: FakeClock, tmp_path: Path
) -> AsyncIterator[Services]:
    """Everything as the program builds it, with cheap passwords and a clock that moves on request."""
    settings = Settings(
        database_url=SecretStr(postgres.app_url),
        secret_key=SecretStr("for tests only, " * 3),
        data_dir=tmp_path / "data",
    )
    built = await build(settings, catalog=catalog, clock=clock.now, password_cost=PasswordCost(memory_kib=64, rounds=1))
    yield built
    await built.close()


def new_workspace(admin: "psycopg.Connection[tuple[object, ...]]", name: str) -> Principal:
    """A workspace with its owner (who has no password)."""
    row = admin.execute(
        "WITH w AS (INSERT INTO workspace (name) VALUES (%s) RETURNING id)"
        " INSERT INTO member (workspace_id, email, name, role, password_hash)"
        " SELECT id, %s, %s, 'owner', '' FROM w RETURNING workspace_id::text, id::text",
        (name, f"{name.lower()}@example.org", name),
    ).fetchone()
    assert row is not None
    return Principal(str(row[0]), str(row[1]), "owner", PERMISSIONS["owner"])


@pytest.fixture
def owner(database: Database, admin: "psycopg.Connection[tuple[object, ...]]") -> Principal:
    return new_workspace(admin, "Acme")


@pytest.fixture
def other_workspace(database: Database, admin: "psycopg.Connection[tuple[object, ...]]") -> Principal:
    return new_workspace(admin, "Globex")
