"""One `ChatModel` over LangChain's chat models: streaming, tools, structured answers, time-outs, usage, errors."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from connectors._langchain.answer import Answer
from connectors._langchain.errors import CUT, SLOW, refuses_schema, translate
from connectors._langchain.messages import to_function, to_langchain
from connectors._langchain.structured import Schema, closed, instruction
from graph_runtime.contract.errors import BadAnswer, ConnectorError, Unreachable
from graph_runtime.contract.models import ModelEvent, ModelRequest, TextDelta

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Vendor:
    """What differs between vendors.

    `provider` goes into replies and prices, `label` into errors. `build` makes LangChain's model (slow at first: it
    imports the vendor's library; called in a thread). `options` gives the call's keyword arguments; its second argument
    is the closed schema and whether strict mode may be used, or None when no native structured answer is wanted.
    `close` lets go of the connections of what `build` made. `account` tells credentials apart within this process.
    """

    provider: str
    label: str
    build: Callable[[], Any]
    options: Callable[[ModelRequest, tuple[Schema, bool] | None], dict[str, Any]]
    close: Callable[[Any], Awaitable[Any]]
    account: str


class LangchainModel:
    """One model of one vendor with one credential; made once and shared by all conversations of a process."""

    def __init__(self, vendor: Vendor, name: str) -> None:
        self.provider = vendor.provider
        self.name = name
        self.account = vendor.account
        self._vendor = vendor
        self._model: Any = None
        self._building = asyncio.Lock()
        self._schema_in_text = False

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Yield `TextDelta`s (none when a schema is asked for), then one `ModelReply`.

        Raises: CredentialRejected, RateLimited, Unreachable, Refused, BadAnswer.
        """
        return self._stream(request)

    async def _stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        answer = Answer(request)
        deadline = asyncio.get_running_loop().time() + request.seconds
        try:
            model = await self._opened()
            if request.schema is not None and not _takes(model, "structured_output"):
                self._schema_in_text = True
            native = request.schema is not None and not self._schema_in_text
            for in_native in (True, False) if native else (False,):
                try:
                    async with contextlib.aclosing(
                        self._pieces(model, request, answer, deadline, native=in_native)
                    ) as pieces:
                        async for text in pieces:
                            yield TextDelta(text)
                    break
                except Exception as error:
                    if not in_native or answer.started or not refuses_schema(error):
                        raise
                    self._schema_in_text = True
            if rest := answer.rest():
                yield TextDelta(rest)
            reply = answer.reply(self.name, self.provider)
        except ConnectorError as error:
            error.params.setdefault("vendor", self._vendor.label)
            raise
        except Exception as error:  # noqa: BLE001  # vendors' libraries raise anything; translated, never swallowed
            translated = translate(error, vendor=self._vendor.label, started=answer.started)
            log.info("model call failed", extra={"provider": self.provider, "error": type(error).__name__})
            # `from None`: the vendor's exception may hold request headers, and so the key
            raise translated from None
        yield reply

    async def _pieces(
        self, model: Any, request: ModelRequest, answer: Answer, deadline: float, *, native: bool
    ) -> AsyncGenerator[str, None]:
        schema = request.schema
        extra = instruction(schema) if schema is not None and not native else ""
        options = self._vendor.options(request, closed(schema) if schema is not None and native else None)
        if not _takes(model, "temperature"):
            options.pop("temperature", None)
        runnable = model.bind_tools([to_function(t) for t in request.tools]) if request.tools else model
        source = runnable.astream(to_langchain(request, extra_system=extra), **options)
        loop = asyncio.get_running_loop()
        silent_until = loop.time() + request.first_token_seconds
        async with contextlib.aclosing(source):
            while True:
                chunk = await self._next(source, min(deadline, silent_until), answer)
                if chunk is None:
                    return
                text = answer.take(chunk)
                if answer.started:
                    silent_until = loop.time() + request.first_token_seconds
                if text and schema is None:
                    yield text

    @staticmethod
    async def _next(source: AsyncGenerator[Any, None], until: float, answer: Answer) -> Any:
        """The next chunk, or None at the end. The time-out holds no longer than this wait: between two chunks the
        task belongs to whoever listens."""
        limit = asyncio.timeout_at(until)
        try:
            async with limit:
                return await anext(source, None)
        except TimeoutError:
            if not limit.expired():
                raise
            raise (BadAnswer(CUT) if answer.started else Unreachable(SLOW)) from None

    async def aclose(self) -> None:
        """Let go of open connections; the next call opens new ones."""
        model, self._model = self._model, None
        if model is not None:
            await self._vendor.close(model)

    async def _opened(self) -> Any:
        if self._model is None:
            async with self._building:
                if self._model is None:
                    self._model = await asyncio.to_thread(self._vendor.build)
        return self._model


def _takes(model: Any, feature: str) -> bool:
    """False only where the library's model profile says that the model cannot do it."""
    profile = getattr(model, "profile", None) or {}
    return profile.get(feature) is not False
