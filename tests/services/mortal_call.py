"""A process to be killed: attaches a call, hears something and hangs in the middle of the answer.

Arguments: database address, UUID of an announced call, what to hang in ("model" or "commit"). Run by test_call_turns.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from pydantic import SecretStr

from graph_runtime.bootstrap import Services, build
from graph_runtime.contract.calls import Begin, Speech
from graph_runtime.contract.catalog import load_catalog
from graph_runtime.contract.models import ModelReply
from graph_runtime.services.turn_world import Outside
from graph_runtime.settings import Settings


@asynccontextmanager
async def building(url: str, *, is_worker: bool = False) -> AsyncIterator[Services]:
    """The services of another process, with the secret key of the tests."""
    settings = Settings(database_url=SecretStr(url), secret_key=SecretStr("for tests only, " * 3))
    services = await build(settings, catalog=load_catalog(("nodes", "connectors")), is_worker=is_worker)
    try:
        yield services
    finally:
        await services.close()


class Hangs:
    """Says half an answer; then nothing more, or that is all."""

    def __init__(self, *, is_final: bool) -> None:
        self._is_final = is_final

    async def run(self, _request: Any, _models: Any, on_delta: Any = None, _on_reset: Any = None) -> ModelReply:
        on_delta("Half an answer")
        if not self._is_final:
            print("ready", flush=True)
            await asyncio.Event().wait()
        return ModelReply("Half an answer")


async def _models(*_: str) -> list[Any]:
    return []


async def main(url: str, uuid: str, where: str) -> None:
    async with building(url) as services:
        side = services.conversation_side
        side.runner.world.outside = Outside(runner=Hangs(is_final=where == "commit"), models=_models)
        call = await services.phone_calls.attach(uuid)
        # To its end: what is told before its commit has no place yet that `spoken` could note.
        async with aclosing(services.phone_calls.turn(call, Begin())) as events:
            async for _ in events:
                pass
        await services.phone_calls.spoken(call)
        if where == "commit":

            async def hangs(*_: Any) -> Any:
                print("ready", flush=True)
                await asyncio.Event().wait()

            side.store.commit = hangs  # type: ignore[method-assign, assignment]
        async with aclosing(services.phone_calls.turn(call, Speech(text="Hello?"))) as events:
            async for _ in events:
                pass


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
