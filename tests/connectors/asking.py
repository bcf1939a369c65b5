"""Asks the demo model in a test."""

from __future__ import annotations

from typing import Any

from connectors.demo_model.model import DemoModel
from graph_runtime.contract.models import ModelMessage, ModelReply, ModelRequest, TextDelta


async def ask(said: str, language: str = "en", system: str = "", **more: Any) -> tuple[list[str], ModelReply]:
    """Ask the demo model."""
    messages = (ModelMessage("system", system), ModelMessage("user", said))
    request = ModelRequest(messages, language=language, **more)
    events = [event async for event in DemoModel().stream(request)]
    deltas = [event.text for event in events[:-1] if isinstance(event, TextDelta)]
    reply = events[-1]
    assert isinstance(reply, ModelReply)
    assert len(deltas) == len(events) - 1
    return deltas, reply
