"""A process is killed in the middle of a turn; another takes over: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from graph_runtime.contract.messages import Reply
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.worker.main import work
from tests.conversation_world import Process, process, publish
from tests.engine.small_nodes import flow
from tests.integration.mortal import Journalled

ROOT = Path(__file__).resolve().parents[2]
FLOW = flow(
    {
        "s": ("start", {}),
        "q": ("ask", {"text": "Hi"}),
        "before": ("say", {"text": "One moment"}),
        "m": ("think", {"text": "{{ message.text }}"}),
    },
    {"s.next": "q", "q.answered": "before", "before.next": "m", "m.next": "q"},
)


async def kill_in_the_middle(url: str, access: ChannelAccess, conversation: str, journal: Path, where: str) -> None:
    """Let a real process run into the given place and kill it there."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.mortal", url, access.workspace_id, access.agent_id,
        access.channel_id or "", access.external_user_id, conversation, "key", str(journal), where,
        stdout=asyncio.subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert child.stdout is not None
    try:
        assert await asyncio.wait_for(child.stdout.readline(), 60) in (b"asked\n", b"committing\n")
    finally:
        child.send_signal(signal.SIGKILL)
        await child.communicate()


async def until(side: Process, access: ChannelAccess, conversation: str, count: int) -> float:
    """Seconds until the transcript has that many messages."""
    began = time.monotonic()
    async with asyncio.timeout(20), side.conversations.watch(access, conversation) as events:
        async for event in events:
            if event["type"] == "message" and event["message"]["seq"] == count:
                return time.monotonic() - began
    raise AssertionError


@pytest.mark.parametrize(("where", "questions"), [("model", 2), ("commit", 1)])
async def test_a_killed_process_is_replaced_within_three_seconds(
    postgres: EmbeddedPostgres, tmp_path: Path, where: str, questions: int
) -> None:
    access = publish(postgres.admin_url, FLOW)
    journal = tmp_path / "journal"
    async with process(postgres.app_url, Journalled(journal, hangs=False).outside) as side:
        conversation = await side.begin(access)
        await kill_in_the_middle(postgres.app_url, access, conversation, journal, where)
        assert await side.texts(access, conversation) == ["Hi", "> hello"]
        stop = asyncio.Event()
        worker = asyncio.create_task(work(side, stop))
        assert await until(side, access, conversation, 5) < 3
        # The vendor repeats its delivery, as it must when it saw no answer.
        again = await side.conversations.receive(access, conversation, Reply(text="hello"), dedupe_key="key")
        assert not again.is_new
        await side.settle()
        stop.set()
        await worker
        assert await side.texts(access, conversation) == ["Hi", "> hello", "One moment", "Answer to hello", "Hi"]
    # The question in flight at the death is asked once more: its answer was lost. One that had ended is not.
    assert journal.read_text().splitlines() == ["hello"] * questions
