"""Google's generateContent and streamGenerateContent."""

from __future__ import annotations

from typing import Any

from tests.fakes.wires.plan import Asked, Planned, sse

_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "tools": "STOP", "filter": "SAFETY"}
_STATUS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
}  # fmt: skip


def asked(body: dict[str, Any]) -> Asked:
    """Read a request; the model and whether to stream stand in the address."""
    system = body.get("systemInstruction")
    config = body.get("generationConfig", {})
    return Asked(
        model=body["model"],
        messages=(
            *([("system", _text(system))] if system else []),
            *(({"model": "assistant"}.get(c.get("role"), "user"), _text(c)) for c in body["contents"]),
        ),
        schema=config.get("responseJsonSchema") or config.get("responseSchema"),
        tools=tuple(f["name"] for t in body.get("tools", ()) for f in t.get("functionDeclarations", ())),
        stream=bool(body.get("stream")),
    )


def _text(content: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in content.get("parts", ()))


def error(status: int, kind: str, message: str) -> dict[str, Any]:
    """The body of a refusal."""
    return {"error": {"code": status, "message": message, "status": _STATUS.get(status, "UNKNOWN"), "details": []}}


def whole(question: Asked, plan: Planned) -> dict[str, Any]:
    """An answer in one piece."""
    parts: list[dict[str, Any]] = [{"text": plan.text}] if plan.text else []
    return _answer(question, plan, parts + _calls(plan), last=True)


def stream(question: Asked, plan: Planned) -> list[str]:
    """An answer as events, each a whole answer with a piece of the text."""
    parts: list[dict[str, Any]] = [*({"text": p} for p in plan.pieces), *_calls(plan)]
    events = [_answer(question, plan, [part], last=False) for part in parts]
    return [sse(e) for e in [*events, _answer(question, plan, [{"text": ""}], last=True)]]


def _answer(question: Asked, plan: Planned, parts: list[dict[str, Any]], *, last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    answer: dict[str, Any] = {"candidates": [candidate], "modelVersion": question.model, "responseId": "r1"}
    if last:
        candidate["finishReason"] = _FINISH[plan.finish]
        if plan.usage:
            answer["usageMetadata"] = {
                "promptTokenCount": plan.input_tokens, "candidatesTokenCount": plan.output_tokens,
                "totalTokenCount": plan.input_tokens + plan.output_tokens,
                "cachedContentTokenCount": plan.cached_tokens,
            }  # fmt: skip
    return answer


def _calls(plan: Planned) -> list[dict[str, Any]]:
    return [{"functionCall": {"name": name, "args": arguments}} for name, arguments in plan.tool_calls]
