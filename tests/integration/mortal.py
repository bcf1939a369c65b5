"""A process to be killed: takes one message and asks a model that never answers. Run by test_turns_killed.

Arguments: database address, workspace, agent, channel, external user, conversation, dedupe key, journal file,
what to hang in ("model" or "commit").
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from graph_runtime.contract.messages import Reply
from graph_runtime.contract.models import ModelReply
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.turn_world import Outside
from tests.conversation_world import process


class Journalled:
    """Writes each question into a file, as a vendor's own books; then answers or hangs."""

    def __init__(self, journal: Path, *, hangs: bool) -> None:
        self._journal = journal
        self._hangs = hangs

    async def run(self, request: Any, *_: Any) -> ModelReply:
        with self._journal.open("a") as file:
            file.write(request.messages[-1].text + "\n")
        if self._hangs:
            print("asked", flush=True)
            await asyncio.Event().wait()
        return ModelReply(f"Answer to {request.messages[-1].text}")

    @property
    def outside(self) -> Outside:
        async def models(*_: str) -> list[Any]:
            return []

        return Outside(runner=self, models=models)


async def main(arguments: list[str]) -> None:
    url, workspace, agent, channel, external, conversation, key, journal, where = arguments
    access = ChannelAccess(workspace, agent, channel, external)
    model = Journalled(Path(journal), hangs=where == "model")
    async with process(url, model.outside) as side:
        if where == "commit":

            async def hangs(*_: Any) -> Any:
                print("committing", flush=True)
                await asyncio.Event().wait()

            side.store.commit = hangs  # type: ignore[method-assign, assignment]
        await side.conversations.receive(access, conversation, Reply(text="hello"), dedupe_key=key)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
