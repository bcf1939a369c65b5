"""Turns a `ModelRequest` into LangChain messages and tools that every vendor accepts."""

from __future__ import annotations

from typing import Any

from connectors._langchain.texts import clean, clean_all
from graph_runtime.contract.models import ModelMessage, ModelRequest, Tool

BEGIN = "(The conversation begins.)"
GO_ON = "(Go on.)"


def to_langchain(request: ModelRequest, *, extra_system: str = "") -> list[Any]:
    """System texts joined in front, empty messages dropped, a person's message first and (or a tool's) last.

    Vendors differ in what order they refuse; this order is accepted by all of them.
    """
    from langchain_core.messages import HumanMessage, SystemMessage

    system = [clean(m.text) for m in request.messages if m.role == "system" and m.text.strip()]
    if extra_system:
        system.append(extra_system)
    talk = [m for m in request.messages if m.role != "system" and (m.text.strip() or m.tool_calls or m.role == "tool")]
    out: list[Any] = [SystemMessage("\n\n".join(system))] if system else []
    if not talk or talk[0].role != "user":
        out.append(HumanMessage(BEGIN))
    out.extend(_message(m) for m in talk)
    if talk and talk[-1].role == "assistant":
        out.append(HumanMessage(GO_ON))
    return out


def _message(message: ModelMessage) -> Any:
    from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

    text = clean(message.text)
    if message.role == "assistant":
        calls = [{"id": c.id, "name": c.name, "args": clean_all(c.arguments)} for c in message.tool_calls]
        return AIMessage(text, tool_calls=calls)
    if message.role == "tool":
        return ToolMessage(text, tool_call_id=message.tool_call_id)
    return HumanMessage(text)


def to_function(tool: Tool) -> dict[str, Any]:
    """A tool in the form that `bind_tools` of every vendor takes."""
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
    }
