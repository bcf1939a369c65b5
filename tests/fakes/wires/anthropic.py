"""Anthropic's Messages."""

from __future__ import annotations

import json
from typing import Any

from tests.fakes.wires.plan import Asked, Planned, sse

_FINISH = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use", "filter": "refusal"}


def asked(body: dict[str, Any]) -> Asked:
    """Read a request."""
    system = [("system", _text(body["system"]))] if body.get("system") else []
    form = (body.get("output_config") or {}).get("format") or {}
    return Asked(
        model=body["model"],
        messages=(*system, *((m["role"], _text(m["content"])) for m in body["messages"])),
        schema=form.get("schema") if form.get("type") == "json_schema" else None,
        tools=tuple(t["name"] for t in body.get("tools", ())),
        stream=bool(body.get("stream")),
    )


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def error(status: int, kind: str, message: str) -> dict[str, Any]:
    """The body of a refusal."""
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def whole(question: Asked, plan: Planned) -> dict[str, Any]:
    """An answer in one piece."""
    content = [{"type": "text", "text": plan.text}] if plan.text else []
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": question.model,
        "content": content + _calls(plan), "stop_reason": _finish(plan), "stop_sequence": None,
        "usage": _usage(plan, plan.output_tokens),
    }  # fmt: skip


def stream(question: Asked, plan: Planned) -> list[str]:
    """An answer as events."""
    start = {**whole(question, plan), "content": [], "stop_reason": None, "usage": _usage(plan, 1)}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if plan.text:
        deltas = [{"type": "text_delta", "text": p} for p in plan.pieces]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for call in _calls(plan):
        text = json.dumps(call["input"])
        parts = [text[: len(text) // 2], text[len(text) // 2 :]]
        blocks.append(({**call, "input": {}}, [{"type": "input_json_delta", "partial_json": p} for p in parts]))
    for n, (block, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": n, "content_block": block})
        events += [{"type": "content_block_delta", "index": n, "delta": d} for d in deltas]
        events.append({"type": "content_block_stop", "index": n})
    events.append({
        "type": "message_delta", "delta": {"stop_reason": _finish(plan), "stop_sequence": None},
        "usage": _usage(plan, plan.output_tokens),
    })  # fmt: skip
    events.append({"type": "message_stop"})
    return [sse(e, e["type"]) for e in events]


def _finish(plan: Planned) -> str:
    return _FINISH["tools" if plan.tool_calls else plan.finish]


def _usage(plan: Planned, output: int) -> dict[str, Any]:
    """Anthropic counts what came from the cache apart from `input_tokens`."""
    if not plan.usage:
        return {"input_tokens": 0, "output_tokens": 0}
    return {
        "input_tokens": plan.input_tokens - plan.cached_tokens, "output_tokens": output,
        "cache_read_input_tokens": plan.cached_tokens, "cache_creation_input_tokens": 0,
    }  # fmt: skip


def _calls(plan: Planned) -> list[dict[str, Any]]:
    return [
        {"type": "tool_use", "id": f"toolu_{n}", "name": name, "input": arguments}
        for n, (name, arguments) in enumerate(plan.tool_calls)
    ]
