"""Brings the database up to date: every migration that has not run yet, in order, one process at a time."""

from __future__ import annotations

from pathlib import Path

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

FOLDER = Path(__file__).resolve().parents[2] / "migrations"
_LOCK = 0x50_61_74_63_68  # any constant: two processes that migrate take turns


def upgrade(admin_url: str, to: str = "head") -> list[str]:
    """Run what is missing as the owner of the tables, all or nothing; the ids of the migrations that ran.

    Raises: psycopg.Error, with the database as it was.
    """
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(admin_url), poolclass=sqlalchemy.NullPool
    )
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        before = set(MigrationContext.configure(connection).get_current_heads())
        config.attributes["connection"] = connection
        command.upgrade(config, to)
        scripts = ScriptDirectory.from_config(config)
        done = {s.revision for head in before for s in scripts.iterate_revisions(head, "base")}
        return [s.revision for s in reversed(list(scripts.walk_revisions())) if s.revision not in done]


def revisions() -> set[str]:
    """The ids of all migrations that this version knows."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
