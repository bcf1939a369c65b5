"""Real flows with canaries for secrets: afterwards no log, database row, Redis key, backup, page or figure holds one."""

from __future__ import annotations

import io
import logging
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
import structlog

from graph_runtime.api.app import create_app
from graph_runtime.bootstrap import Services
from graph_runtime.cli.backup import back_up
from graph_runtime.contract.messages import Reply
from graph_runtime.contract.models import ModelReply
from graph_runtime.services.conversation_side import Part
from graph_runtime.services.principal import Principal
from graph_runtime.services.turn_world import Outside
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.storage.postgres_account import programs_for
from graph_runtime.telemetry import logs
from tests.conversation_world import process, publish
from tests.fakes.redis_server import redis_server
from tests.integration.test_turns import THINKING

Admin = psycopg.Connection[tuple[Any, ...]]
MARK = "CANARY7f3a"
VENDOR_KEY = "sk-" + f"{MARK}vendor0123456789abcdef"
PASSWORD = f"a tram {MARK} that flies home"
HEADER = "Bearer " + f"{MARK}header0123456789"
WORDS = f"401 for olena.{MARK}@example.com with {HEADER} and {VENDOR_KEY}"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, at the finest level."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, structlog.get_config())
    out = io.StringIO()
    logs.set_up(as_json=True, level="DEBUG", out=out)
    yield out
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    structlog.configure(**before[2])


class Failing:
    """A vendor's library whose words hold the key and a person's address."""

    async def run(self, *_: Any) -> ModelReply:
        raise RuntimeError(WORDS)

    @property
    def outside(self) -> Outside:
        async def models(*_: str) -> list[Any]:
            return []

        return Outside(runner=self, models=models)


def rows(admin: Admin) -> str:
    """Every value of every table as text."""
    tables = admin.execute(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )
    return "\n".join(
        str(admin.execute(f'SELECT t::text FROM "{table}" t').fetchall()) for (table,) in tables.fetchall()
    )


def unpacked(backup: Path) -> str:
    """What a backup holds, as statements."""
    with zipfile.ZipFile(backup) as archive:
        program = programs_for(None) / "pg_restore"
        done = subprocess.run(
            [program, "-f", "-"], input=archive.read("database.dump"), capture_output=True, check=True
        )
    assert b"COPY public.message" in done.stdout
    return done.stdout.decode()


async def sign_in_and_out(services: Services) -> str:
    """Requests with a password, right and wrong, and with a key; all that was answered."""
    transport = httpx2.ASGITransport(app=create_app(services), raise_app_exceptions=False)
    said = []
    async with httpx2.AsyncClient(transport=transport, base_url="http://x", headers={"Origin": "http://x"}) as http:
        owner = {"workspace": "W", "name": "O", "email": "o@example.org", "password": PASSWORD, "language": "en"}
        said.append(await http.post("/api/owner", json=owner))
        said.append(await http.post("/api/session", json={"email": "o@example.org", "password": PASSWORD}))
        said.append(await http.post("/api/session", json={"email": "o@example.org", "password": PASSWORD + "!"}))
        said.append(await http.post("/api/session", json={"email": 5, "password": PASSWORD}))
        said.append(await http.get("/api/v1/agents", headers={"Authorization": f"Bearer pck_{MARK}0123456789"}))
        said.append(await http.get(f"/api/nowhere?access_token={MARK}query"))
        said.append(await http.get("/metrics"))
    return "\n".join(answer.text + str(answer.headers) for answer in said)


async def test_no_sink_holds_a_secret(
    services: Services, postgres: EmbeddedPostgres, admin: Admin, owner: Principal, log: io.StringIO, tmp_path: Path
) -> None:
    admin.execute("DELETE FROM workspace")
    answers = await sign_in_and_out(services)
    member = admin.execute("SELECT workspace_id::text, id::text FROM member").fetchone()
    assert member is not None, answers
    who = Principal(member[0], member[1], "owner", owner.scopes)
    await services.credentials.create(who, connector="openai", label="Key", values={"key": VENDOR_KEY})
    access = publish(postgres.admin_url, THINKING)
    with redis_server(tmp_path) as redis:
        part = Part(redis_url=redis.url)
        async with process(postgres.app_url, Failing().outside, part=part) as p:
            conversation = await p.begin(access)
            await p.conversations.receive(access, conversation, Reply(text="hello"), dedupe_key="1")
            await p.settle()

            async def breaks(*_: Any) -> Any:
                raise RuntimeError(WORDS)

            p.store.commit = breaks  # type: ignore[method-assign, assignment]
            await p.conversations.receive(access, conversation, Reply(text="hello again"), dedupe_key="2")
            await p.settle()
        client = redis.client()
        in_redis = str([client.dump(key) for key in client.scan_iter()])
    file = tmp_path / "b"
    back_up(postgres.admin_url, file, with_secret_key=False)
    written = log.getvalue()
    assert "RuntimeError" in written, "the failure was not logged, so this test proves nothing"
    sinks = {
        "log": written, "answers": answers, "rows": rows(admin), "redis": in_redis,
        "figures": (await services.figures.text()).decode(), "backup": unpacked(file),
    }  # fmt: skip
    assert {name for name, text in sinks.items() if MARK in text} == set()
