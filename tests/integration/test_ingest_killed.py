"""kill -9 while documents are read, in the middle of one: nothing is lost, nothing is there twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres

READER = """
import asyncio
from graph_runtime.bootstrap import build
from graph_runtime.settings import Settings
from graph_runtime.worker.ingest import Ingest

async def main():
    services = await build(Settings.load(), is_worker=True)
    await Ingest(services.knowledge_ingest, services.database.listen).run()

asyncio.run(main())
"""
ARTICLES = 12
COUNTED = """
    SELECT d.title, d.state, d.passages, count(p.id), count(DISTINCT p.place), coalesce(max(p.place), -1) + 1
    FROM knowledge_document d LEFT JOIN knowledge_passage p ON p.document_id = d.id
    WHERE d.knowledge_base_id = %s GROUP BY d.id ORDER BY d.title
"""


def article(number: int) -> str:
    """Long enough to be caught in the middle of."""
    words = " ".join(f"word{number}x{n}" for n in range(120))
    return "\n\n".join(f"## Part {part}\n\n{words} {part}" for part in range(60))


async def test_readers_that_are_killed_lose_and_double_nothing(
    services: Services, owner: Principal, postgres: EmbeddedPostgres, admin: Any, tmp_path: Path
) -> None:
    killed, calm = [await services.knowledge_bases.create(owner, name) for name in ("Killed", "Calm")]
    for base in (killed, calm):
        for number in range(ARTICLES):
            await services.knowledge_documents.add_article(owner, base.id, f"Article {number:02}", article(number))
    admin.execute(
        "UPDATE knowledge_document SET queued_at = now() + interval '1 hour' WHERE knowledge_base_id = %s", (calm.id,)
    )
    environment = {
        **os.environ, "DATABASE_URL": postgres.app_url, "PATCHCORD_SECRET_KEY": "for tests only, " * 3,
        "PATCHCORD_DATA_DIR": str(tmp_path / "reader"),
    }  # fmt: skip
    process = subprocess.Popen(  # noqa: ASYNC220 (a real process is what is killed)
        [sys.executable, "-c", READER], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        process.send_signal(signal.SIGSTOP)  # what is seen is so when it is killed
        row = admin.execute(
            "SELECT count(*) FILTER (WHERE state = 'ready'), count(*) FILTER (WHERE state = 'reading')"
            " FROM knowledge_document WHERE knowledge_base_id = %s",
            (killed.id,),
        ).fetchone()
        if row[0] >= 3 and row[1]:
            break
        process.send_signal(signal.SIGCONT)
        time.sleep(0.01)  # noqa: ASYNC251 (the other process is watched, nothing else runs here)
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    states = admin.execute(
        "SELECT DISTINCT state FROM knowledge_document WHERE knowledge_base_id = %s", (killed.id,)
    ).fetchall()
    assert {s for (s,) in states} == {"ready", "reading", "waiting"}
    admin.execute("UPDATE knowledge_document SET lease_until = now() WHERE state IN ('reading', 'embedding')")
    while await services.knowledge_ingest.run_next():
        pass
    await services.knowledge_ingest.close()
    after, expected = (admin.execute(COUNTED, (base.id,)).fetchall() for base in (killed, calm))
    assert after == expected
    assert len(after) == ARTICLES
    assert {state for _, state, *_ in after} == {"ready"}
    assert all(told == there == distinct == last for _, _, told, there, distinct, last in after)
