"""Rows of all tables out of a database and into an empty one of ours, by PostgreSQL's own programs."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from typing import IO, Final

import psycopg
from alembic.runtime.migration import MigrationContext
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from graph_runtime.storage import migrate
from graph_runtime.storage.archive import CHUNK, BackupRefused
from graph_runtime.storage.postgres_account import programs_for

_OF_CONNECTION: Final = {
    "host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT",
}  # fmt: skip
# Rows only: tables, owners and rights are made by the migrations of the installation that restores.
_DUMP: Final = (
    "--format=custom", "--data-only", "--schema=public", "--exclude-table-data=public.alembic_version", "--no-owner",
    "--no-privileges",
)  # fmt: skip
_RESTORE: Final = ("--data-only", "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")


def schema_of(url: str) -> str:
    """The newest migration of a database, empty when it has no tables of ours. Raises: BackupRefused."""
    _require_sight(url)
    import sqlalchemy

    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=sqlalchemy.NullPool
    )
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision() or ""
    except sqlalchemy.exc.OperationalError as error:
        raise BackupRefused(f"The database cannot be reached: {_last_line(str(error.orig))}") from error


def files_elsewhere(url: str) -> int:
    """How many files lie in a folder or a bucket, and so in no dump."""
    with psycopg.connect(url) as connection:
        knows = "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('file') AND attname = 'place'"
        if connection.execute(knows).fetchone() != (1,):
            return 0  # from before files could lie elsewhere
        row = connection.execute(
            "SELECT (SELECT count(*) FROM file WHERE place <> '') + (SELECT count(*) FROM knowledge_source WHERE place <> '')"
        ).fetchone()
    return int(row[0]) if row else 0


def dump(url: str, take: Callable[[IO[bytes]], None]) -> None:
    """Give the rows of one moment to `take`, as a stream. Raises: BackupRefused."""
    with (
        tempfile.TemporaryFile() as said,
        _program("pg_dump", url, *_DUMP, stdout=subprocess.PIPE, said=said) as process,
    ):
        assert process.stdout is not None
        take(process.stdout)
        _check(process, said, "The database could not be read")


def load(url: str, schema: str, source: IO[bytes], progress: Callable[[int], None]) -> None:
    """Make the tables as of `schema`, fill them from a stream, bring them up to date. Raises: BackupRefused."""
    _require_sight(url)
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        if found != (0,):
            raise BackupRefused("The database is not empty. Restore into an empty one: nothing is ever overwritten.")
    migrate.upgrade(url, to=schema)
    with psycopg.connect(url) as connection:
        # Tables refer to each other in circles, so rows come first and the references after them.
        references = connection.execute(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND conparentid = 0"
        ).fetchall()
        triggers = connection.execute(
            "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"
        ).fetchall()
        for table, name, _ in references:
            _execute(connection, "ALTER TABLE {} DROP CONSTRAINT {}", table, name)
        for (table,) in triggers:
            _execute(connection, "ALTER TABLE {} DISABLE TRIGGER USER", table)
    with tempfile.TemporaryFile() as said, _program("pg_restore", url, *_RESTORE, "--dbname=", stdin=subprocess.PIPE, said=said) as process:  # fmt: skip
        assert process.stdin is not None
        size = 0
        try:
            while chunk := source.read(CHUNK):
                process.stdin.write(chunk)
                size += len(chunk)
                progress(size)
            process.stdin.close()
        except BrokenPipeError:
            pass  # its own words say why
        _check(process, said, "The rows could not be restored")
    with psycopg.connect(url) as connection:
        for table, name, definition in references:
            connection.execute(
                sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                    sql.Identifier(table), sql.Identifier(name), sql.SQL(definition)
                )
            )
        for (table,) in triggers:
            _execute(connection, "ALTER TABLE {} ENABLE TRIGGER USER", table)
    migrate.upgrade(url)


def _execute(connection: psycopg.Connection[tuple[object, ...]], statement: str, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _require_sight(url: str) -> None:
    """Raises: BackupRefused for a role that row-level security would show nothing to."""
    try:
        with psycopg.connect(url) as connection:
            row = connection.execute(
                "SELECT rolname::text, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
    except psycopg.OperationalError as error:
        raise BackupRefused(f"The database cannot be reached: {_last_line(str(error))}") from error
    if row is None or not row[1]:
        raise BackupRefused(
            f"The role {row[0] if row else '?'} sees the rows of no workspace, so it cannot make or restore a backup. Set "
            "PATCHCORD_DATABASE_ADMIN_URL to the owner of the tables, and give that role BYPASSRLS: "
            "ALTER ROLE … BYPASSRLS."
        )


def _program(
    name: str,
    url: str,
    *arguments: str,
    said: IO[bytes],
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """The address goes through the environment: everybody may read a command line."""
    told = conninfo_to_dict(url)
    place = {_OF_CONNECTION[k]: str(v) for k, v in told.items() if k in _OF_CONNECTION}
    command = [str(programs_for(None) / name), *arguments]
    if name == "pg_restore":
        command = [*command[:-1], f"--dbname={place['PGDATABASE']}"]
    return subprocess.Popen(
        command, stdin=stdin, stdout=stdout, stderr=said, env={"PATH": os.defpath, "LC_ALL": "C", **place}
    )


def _check(process: subprocess.Popen[bytes], said: IO[bytes], otherwise: str) -> None:
    if process.wait():
        said.seek(0)
        raise BackupRefused(f"{otherwise}. PostgreSQL said: {_last_line(said.read().decode(errors='replace'))}")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    told = [line for line in lines if "error:" in line.lower()]
    return (told or lines or ["nothing"])[-1 if not told else 0]
