"""A process that holds calls has everything loaded before the first one: while a call goes on, an import would be heard."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from connectors.offline_speech.speech import missing
from graph_runtime.api.app import create_app
from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.api.conftest import serving
from tests.fakes import model_vendors
from tests.phone_world import new_line, phone_flow
from tests.ports import free_port
from tests.voice.asterisk_stand_in import Dialplan
from tests.voice.test_processes import ROOT, Caller, spoken

VENDORS = {
    "openai": ("/v1", "gpt-5-mini"),
    "anthropic": ("", "claude-haiku-4-5"),
    "google_gemini": ("", "gemini-2.5-flash"),
}
"""(what its address ends in, a model) of each."""

FLOW = phone_flow(
    {
        "n_day": (
            "ask_choice",
            {"text": "Which day?", "options": [{"id": "mon", "label": "Monday"}, {"id": "tue", "label": "Tuesday"}]},
        ),
        **{f"n_{name}": ("prompt", {"connection": name, "system": "Be short.", "user": "Where?"}) for name in VENDORS},
        "n_bye": ("hang_up", {"text": "Goodbye.", "reason": "done"}),
    },
    {
        "n_start.next": "n_day", "n_day.mon": "n_bye", "n_day.tue": "n_openai", "n_day.other": "n_day",
        "n_openai.next": "n_anthropic", "n_anthropic.next": "n_google_gemini", "n_google_gemini.next": "n_bye",
        **{f"n_{name}.error": "n_bye" for name in VENDORS},
    },
    connections={name: {"kind": "chat_model", "label": name} for name in VENDORS},
)  # fmt: skip

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason="the extra offline-voice is not installed"),
    pytest.mark.timeout(400),
]


class Output:
    """What a process writes, line by line; `imported` is what it has loaded since it was ready."""

    def __init__(self) -> None:
        self.is_ready = asyncio.Event()
        self.imported: list[str] = []

    async def read(self, stream: asyncio.StreamReader) -> None:
        async for raw in stream:
            line = raw.decode()
            if line.startswith("import time:"):
                if self.is_ready.is_set():
                    self.imported.append(line.rpartition("|")[2].strip())
            elif "voice_ready" in line:
                self.is_ready.set()


@asynccontextmanager
async def voice_process(postgres: EmbeddedPostgres, folder: Path) -> AsyncIterator[tuple[int, Output]]:
    """A ready one: its port and what it writes."""
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PATCHCORD_", "DATABASE"))}
    environment = kept | {
        "PYTHONPATH": str(ROOT), "DATABASE_URL": postgres.app_url, "PATCHCORD_SECRET_KEY": "for tests only, " * 3,
        "PATCHCORD_VOICE_PORT": str(port), "PATCHCORD_DATA_DIR": str(folder),
    }  # fmt: skip
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-X", "importtime", "-P", "-m", "graph_runtime", "voice",
        env=environment, cwd=ROOT, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output = Output()
    assert running.stderr is not None
    reading = asyncio.create_task(output.read(running.stderr))
    try:
        async with asyncio.timeout(150):
            await output.is_ready.wait()
        yield port, output
    finally:
        running.kill()
        await running.wait()
        await reading


async def test_nothing_is_imported_in_a_call(
    services: Services, owner: Principal, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    line = await new_line(services, owner, FLOW, endpoint_ms=400, is_recorded=True)
    (tuesday,) = await spoken("Tuesday")
    with model_vendors.serving() as fake:
        lane = fake.lane()
        for name, (path, model) in VENDORS.items():
            values = {"base_url": fake.url(lane) + path, "key": "sk-a-key-of-the-tests"}
            made = await services.credentials.create(owner, name, "Own", values)
            await services.agents.bind(owner, line.agent_id, name, credential_id=made.id, connector=name, model=model)
        async with (
            voice_process(postgres, tmp_path) as (port, output),
            serving(create_app(services), services) as web,
            httpx2.AsyncClient(base_url=web.http) as client,
        ):

            async def ask(path: str, query: dict[str, str]) -> str:
                return (await client.get(f"/phone/{line.secret}/{path}", params=query)).text.strip()

            async def dial(_: str) -> str:
                raise AssertionError

            caller = Caller(line, Dialplan(ask, lambda: port, dial, pause=1.0))
            call = asyncio.create_task(caller.plan.run())
            leg = await caller.is_asked("n_day", legs=1)
            await leg.say(tuesday)
            async with asyncio.timeout(90):
                assert await call == "done"
        assert len(lane.journal) == len(VENDORS), "each was asked"
    assert output.imported == []
