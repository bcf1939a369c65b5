"""OpenAI's Responses."""

from __future__ import annotations

import json
from typing import Any

from tests.fakes.wires import openai_chat
from tests.fakes.wires.plan import Asked, Planned, sse

error = openai_chat.error


def asked(body: dict[str, Any]) -> Asked:
    """Read a request."""
    items = body["input"]
    items = [{"role": "user", "content": items}] if isinstance(items, str) else items
    form = body.get("text", {}).get("format", {})
    return Asked(
        model=body["model"],
        messages=tuple((i["role"], _text(i.get("content"))) for i in items if "role" in i),
        schema=form.get("schema") if form.get("type") == "json_schema" else None,
        tools=tuple(t["name"] for t in body.get("tools", ())),
        stream=bool(body.get("stream")),
    )


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content or ())


def whole(question: Asked, plan: Planned) -> dict[str, Any]:
    """An answer in one piece."""
    return _response(question, plan, status="incomplete" if plan.finish in ("length", "filter") else "completed")


def stream(question: Asked, plan: Planned) -> list[str]:
    """An answer as events."""
    events: list[dict[str, Any]] = [{"type": "response.created", "response": _response(question, Planned())}]
    at = 0
    if plan.text:
        place = {"output_index": 0, "item_id": "msg_1"}
        part = {**place, "content_index": 0}
        empty = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
        text = {"type": "output_text", "text": "", "annotations": []}
        events.append({"type": "response.output_item.added", "output_index": 0, "item": empty})
        events.append({"type": "response.content_part.added", **part, "part": text})
        events += [{"type": "response.output_text.delta", **part, "delta": p, "logprobs": []} for p in plan.pieces]
        events.append({"type": "response.output_text.done", **part, "text": plan.text, "logprobs": []})
        events.append({"type": "response.output_item.done", "output_index": 0, "item": _message(plan)})
        at = 1
    for n, call in enumerate(_calls(plan)):
        place = {"output_index": at + n, "item_id": call["id"]}
        start = {**call, "arguments": "", "status": "in_progress"}
        events.append({"type": "response.output_item.added", "output_index": at + n, "item": start})
        events.append({"type": "response.function_call_arguments.delta", **place, "delta": call["arguments"]})
        events.append({"type": "response.output_item.done", "output_index": at + n, "item": call})
    kind = "response.incomplete" if plan.finish in ("length", "filter") else "response.completed"
    events.append({"type": kind, "response": whole(question, plan)})
    return [sse({**e, "sequence_number": n}, e["type"]) for n, e in enumerate(events)]


def _response(question: Asked, plan: Planned, status: str = "in_progress") -> dict[str, Any]:
    reason = {"length": "max_output_tokens", "filter": "content_filter"}.get(plan.finish)
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "model": question.model, "status": status,
        "error": None, "incomplete_details": {"reason": reason} if status == "incomplete" else None,
        "instructions": None, "metadata": {}, "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto",
        "tools": [], "top_p": 1.0, "output": ([_message(plan)] if plan.text else []) + _calls(plan),
        "usage": None if status == "in_progress" else {
            "input_tokens": plan.input_tokens, "output_tokens": plan.output_tokens,
            "total_tokens": plan.input_tokens + plan.output_tokens,
            "input_tokens_details": {"cached_tokens": plan.cached_tokens, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }  # fmt: skip


def _message(plan: Planned) -> dict[str, Any]:
    return {
        "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": plan.text, "annotations": []}],
    }  # fmt: skip


def _calls(plan: Planned) -> list[dict[str, Any]]:
    return [
        {
            "type": "function_call", "id": f"fc_{n}", "call_id": f"call_{n}", "name": name,
            "arguments": json.dumps(arguments), "status": "completed",
        }
        for n, (name, arguments) in enumerate(plan.tool_calls)
    ]  # fmt: skip
