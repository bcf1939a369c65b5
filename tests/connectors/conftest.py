"""One fake of the model vendors for all tests of this folder, and each vendor's way to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from connectors._langchain.adapter import LangchainModel
from connectors.anthropic import connector as anthropic
from connectors.google_gemini import connector as google_gemini
from connectors.openai import connector as openai
from graph_runtime.contract.connectors import CheckResult
from graph_runtime.contract.models import ModelReply, ModelRequest, TextDelta
from tests.fakes.lanes import Lane
from tests.fakes.model_vendors import ModelVendors, serving

CANARY = "canary-secret-4711"
WIRES: dict[str, tuple[Any, str, dict[str, str]]] = {
    "openai chat": (openai, "/v1", {"protocol": "chat_completions"}),
    "openai responses": (openai, "/v1", {"protocol": "responses"}),
    "anthropic": (anthropic, "", {}),
    "google_gemini": (google_gemini, "", {}),
}


@dataclass
class Wire:
    """One vendor's connector, pointed at a lane of its own."""

    name: str
    lane: Lane
    settings: Any
    model: LangchainModel
    check: Callable[[Any], Any]

    async def ask(self, request: ModelRequest) -> tuple[list[str], ModelReply]:
        """The deltas and the reply."""
        pieces: list[str] = []
        reply: ModelReply | None = None
        async for event in self.model.stream(request):
            assert reply is None, "nothing may come after the reply"
            if isinstance(event, TextDelta):
                pieces.append(event.text)
            else:
                reply = event
        assert reply is not None
        return pieces, reply

    async def checked(self, **changed: Any) -> CheckResult:
        """The connector's check, with some settings changed."""
        result: CheckResult = await self.check(self.settings.model_copy(update=changed))
        return result


@pytest.fixture(scope="session")
def vendors() -> Iterator[ModelVendors]:
    """The fake, over a real socket."""
    with serving() as fake:
        yield fake


@pytest_asyncio.fixture(params=WIRES)
async def wire(request: pytest.FixtureRequest, vendors: ModelVendors) -> AsyncIterator[Wire]:
    """Every vendor in turn."""
    module, suffix, more = WIRES[request.param]
    lane = vendors.lane()
    settings = module.Settings(key=CANARY, base_url=vendors.url(lane) + suffix, **more)
    model = module.chat_model(settings, "small")
    yield Wire(request.param, lane, settings, model, module.check)
    await model.aclose()
    vendors.forget(lane.name)
