"""Collects the chunks of one streamed answer and makes the `ModelReply` of them."""

from __future__ import annotations

import json
from typing import Any, Literal

from connectors._langchain.errors import CUT, UNREADABLE
from connectors._langchain.structured import Misfit, read
from connectors._langchain.texts import Joiner, clean, clean_all
from graph_runtime.contract.errors import BadAnswer
from graph_runtime.contract.models import ModelReply, ModelRequest, ModelUsage, ToolCall

Finish = Literal["stop", "length", "tools", "filter"]

CUT_BY_LIMIT = "The answer was longer than the step allows. Raise “max tokens” of the step or ask for less."
EMPTY = "The model answered with nothing. Try again."

_FINISH: dict[str, Finish] = {
    "stop": "stop", "end_turn": "stop", "stop_sequence": "stop", "completed": "stop", "pause_turn": "stop",
    "length": "length", "max_tokens": "length", "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_calls": "tools", "tool_use": "tools", "function_call": "tools",
    "content_filter": "filter", "refusal": "filter", "safety": "filter", "recitation": "filter",
    "prohibited_content": "filter", "blocklist": "filter", "spii": "filter", "language": "filter",
}  # fmt: skip
_BROKEN = frozenset({"error", "malformed_function_call", "unexpected_tool_call", "failed", "cancelled"})


class Answer:
    """The answer so far. `started` is true once something a person could see, or a tool call, has come."""

    def __init__(self, request: ModelRequest) -> None:
        self.started = False
        self._request = request
        self._joiner = Joiner()
        self._texts: list[str] = []
        self._merged: Any = None
        self._meta: dict[str, Any] = {}

    def take(self, chunk: Any) -> str:
        """Add a chunk; returns its cleaned text."""
        self._merged = chunk if self._merged is None else self._merged + chunk
        self._meta.update({k: v for k, v in (chunk.response_metadata or {}).items() if v})
        raw = str(chunk.text)
        text = self._joiner.feed(raw)
        self._texts.append(text)
        self.started = self.started or bool(raw) or bool(getattr(chunk, "tool_call_chunks", None))
        return text

    def rest(self) -> str:
        """Text held back until now."""
        left = self._joiner.close()
        self._texts.append(left)
        return left if self._request.schema is None else ""

    def reply(self, name: str, provider: str) -> ModelReply:
        """Raises: BadAnswer when the stream was cut, is empty or does not fit the schema."""
        finish = self._finish()
        text = "".join(self._texts)
        calls = self._tool_calls()
        data = None
        if finish == "filter":
            pass
        elif self._request.schema is not None and not calls:
            data = self._data(text, finish)
        elif not text.strip() and not calls:
            raise BadAnswer(CUT_BY_LIMIT if finish == "length" else EMPTY)
        return ModelReply(
            text=text,
            data=data,
            tool_calls=calls,
            usage=self._usage(text),
            model=str(self._meta.get("model_name") or self._meta.get("model") or name),
            provider=provider,
            finish="tools" if calls else finish,
        )

    def _finish(self) -> Finish:
        meta = self._meta
        reason = meta.get("finish_reason") or meta.get("stop_reason") or meta.get("status")
        if reason == "incomplete":
            details = meta.get("incomplete_details")
            reason = (details.get("reason") if isinstance(details, dict) else None) or "length"
        block = meta.get("prompt_feedback")
        if not reason and isinstance(block, dict) and block.get("block_reason"):
            return "filter"
        if not reason or str(reason).lower() in _BROKEN or self._merged is None:
            raise BadAnswer(CUT)
        return _FINISH.get(str(reason).lower(), "stop")

    def _data(self, text: str, finish: Finish) -> dict[str, Any]:
        try:
            return read(text, self._request.schema or {})
        except Misfit as misfit:
            sentence = CUT_BY_LIMIT if finish == "length" else UNREADABLE
            raise BadAnswer(sentence, misfit=str(misfit)) from None

    def _tool_calls(self) -> tuple[ToolCall, ...]:
        if getattr(self._merged, "invalid_tool_calls", None):
            raise BadAnswer(UNREADABLE)
        found = getattr(self._merged, "tool_calls", None) or ()
        return tuple(
            ToolCall(id=clean(str(c.get("id") or f"call_{n}")), name=clean(c["name"]), arguments=clean_all(c["args"]))
            for n, c in enumerate(found)
        )

    def _usage(self, text: str) -> ModelUsage:
        """As the vendor reported it; when it reported nothing, about four characters a token, marked as estimated."""
        told = getattr(self._merged, "usage_metadata", None) or {}
        asked = sum(len(m.text) for m in self._request.messages) + len(json.dumps(self._request.schema or ""))
        details = told.get("input_token_details") or {}
        return ModelUsage(
            input_tokens=int(told.get("input_tokens") or asked // 4 + 1),
            output_tokens=int(told.get("output_tokens") or len(text) // 4 + 1),
            cached_tokens=int(details.get("cache_read") or 0),
            estimated=not (told.get("input_tokens") and told.get("output_tokens")),
        )
