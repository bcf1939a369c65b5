"""OpenAI's Chat completions, which OpenRouter, Ollama and vLLM speak too."""

from __future__ import annotations

import json
from typing import Any

from tests.fakes.wires.plan import Asked, Planned, sse

_FINISH = {"stop": "stop", "length": "length", "tools": "tool_calls", "filter": "content_filter"}


def asked(body: dict[str, Any]) -> Asked:
    """Read a request."""
    form = body.get("response_format") or {}
    return Asked(
        model=body["model"],
        messages=tuple((m["role"], _text(m.get("content"))) for m in body["messages"]),
        schema=form.get("json_schema", {}).get("schema") if form.get("type") == "json_schema" else None,
        tools=tuple(t["function"]["name"] for t in body.get("tools", ())),
        stream=bool(body.get("stream")),
    )


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def error(status: int, kind: str, message: str) -> dict[str, Any]:
    """The body of a refusal."""
    return {"error": {"message": message, "type": kind, "param": None, "code": kind}}


def whole(question: Asked, plan: Planned) -> dict[str, Any]:
    """An answer in one piece."""
    message: dict[str, Any] = {"role": "assistant", "content": plan.text or None}
    if plan.tool_calls:
        message["tool_calls"] = _calls(plan)
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": question.model,
        "choices": [{"index": 0, "message": message, "finish_reason": _finish(plan)}], "usage": _usage(plan),
    }  # fmt: skip


def stream(question: Asked, plan: Planned) -> list[str]:
    """An answer as events."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": p} for p in plan.pieces)]
    for n, call in enumerate(_calls(plan)):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        half = len(arguments) // 2
        deltas.append({"tool_calls": [{"index": n, **call, "function": {"name": name, "arguments": arguments[:half]}}]})
        deltas.append({"tool_calls": [{"index": n, "function": {"arguments": arguments[half:]}}]})
    events = [_chunk(question, [{"index": 0, "delta": d, "finish_reason": None}]) for d in deltas]
    events.append(_chunk(question, [{"index": 0, "delta": {}, "finish_reason": _finish(plan)}]))
    if plan.usage:
        events.append({**_chunk(question, []), "usage": _usage(plan)})
    return [*(sse(e) for e in events), sse("[DONE]")]


def _chunk(question: Asked, choices: list[Any]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": question.model,
        "choices": choices, "usage": None,
    }  # fmt: skip


def _calls(plan: Planned) -> list[dict[str, Any]]:
    return [
        {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for n, (name, arguments) in enumerate(plan.tool_calls)
    ]


def _finish(plan: Planned) -> str:
    return _FINISH["tools" if plan.tool_calls else plan.finish]


def _usage(plan: Planned) -> dict[str, Any]:
    return {
        "prompt_tokens": plan.input_tokens, "completion_tokens": plan.output_tokens,
        "total_tokens": plan.input_tokens + plan.output_tokens,
        "prompt_tokens_details": {"cached_tokens": plan.cached_tokens},
    }  # fmt: skip
