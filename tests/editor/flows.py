"""Flows for the editor's tests and measurements: a small real one and generated ones of any size."""

from __future__ import annotations

import math
from typing import Any

from graph_runtime.contract.flow import Flow, load_flow

BIG = {"left": {"ref": "var.budget"}, "op": "gte", "right": {"value": 500000}}


def lead_flow(flow_id: str = "flow-lead") -> Flow:
    """A lead qualification in Russian and English words, with every kind of wire."""
    nodes: dict[str, Any] = {
        "n_start": {"type": "start", "name": "Start"},
        "n_hello": {"type": "send_message", "name": "Greeting", "settings": {"text": "Hello! I help to choose a plan. It takes two minutes."}},
        "n_need": {
            "type": "ask_choice", "name": "What are you looking for?",
            "settings": {
                "text": "What are you looking for?", "no_reply_after": "PT24H",
                "options": [{"id": "c_buy", "label": "I want to buy"}, {"id": "c_help", "label": "I need help"}],
            },
        },
        "n_budget": {
            "type": "ask", "name": "Ask the budget",
            "settings": {
                "text": "What is your budget, {{ contact.first_name | default: 'friend' }}?",
                "kind": "number", "save_to": "budget", "retries": 2, "no_reply_after": "PT24H",
            },
        },
        "n_big": {
            "type": "branch", "name": "A big deal?",
            "settings": {"cases": [{"id": "c_big", "label": "500k or more", "when": {"all": [BIG]}}]},
        },
        "n_ai": {"type": "prompt", "name": "Answer the question", "settings": {"connection": "llm", "user": "{{ message.text }}"}},
        "n_vip": {"type": "send_message", "name": "Personal manager", "settings": {"text": "Your personal manager will call within an hour."}},
        "n_std": {"type": "send_message", "settings": {"text": "Here is our price list: the basic plan fits most teams."}},
        "n_end": {"type": "end", "name": "Won", "settings": {"result": "won"}},
        "n_lost": {"type": "end", "name": "No reply", "settings": {"result": "lost"}},
    }  # fmt: skip
    edges = {
        "n_start.next": "n_hello", "n_hello.next": "n_need", "n_need.c_buy": "n_budget", "n_need.c_help": "n_ai",
        "n_need.no_reply": "n_lost", "n_budget.answered": "n_big", "n_budget.no_reply": "n_lost", "n_big.c_big": "n_vip",
        "n_big.else": "n_std", "n_vip.next": "n_end", "n_std.next": "n_end", "n_ai.next": "n_end", "n_ai.error": "n_std",
    }  # fmt: skip
    layout = {
        "n_start": [0, 80], "n_hello": [360, 80], "n_need": [720, 80], "n_budget": [1080, 0], "n_big": [1440, 0],
        "n_ai": [1080, 300], "n_vip": [1800, -80], "n_std": [1800, 120], "n_end": [2160, 40], "n_lost": [1440, 440],
    }  # fmt: skip
    return load_flow(
        {
            "format": "flow/1", "id": flow_id, "name": "Lead qualification", "locale": "en", "entry": {"message": "n_start"},
            "connections": {"llm": {"kind": "chat_model", "label": "Model"}},
            "variables": {"budget": {"type": "number", "label": "Budget"}},
            "nodes": nodes, "edges": edges, "layout": {"nodes": layout},
        }
    )  # fmt: skip


def empty_flow(flow_id: str = "flow-empty") -> Flow:
    """A flow without steps."""
    return load_flow({"format": "flow/1", "id": flow_id, "name": "New flow"})


def large_flow(size: int, flow_id: str = "flow-large") -> Flow:
    """A flow of `size` steps in a square: a start, then messages and choices joined onwards."""
    rows = math.ceil(math.sqrt(size * 0.9))
    nodes: dict[str, Any] = {"n_0": {"type": "start", "name": "Start"}}
    edges: dict[str, str] = {}
    layout: dict[str, list[int]] = {"n_0": [0, 0]}
    for i in range(1, size):
        is_choice = i % 3 == 0
        options = [{"id": f"c_{k}", "label": f"Option {k}"} for k in range(3)]
        settings: dict[str, Any] = {"text": f"Text of step {i}: a sentence of a usual length for a person."}
        if is_choice:
            settings["options"] = options
        nodes[f"n_{i}"] = {
            "type": "ask_choice" if is_choice else "send_message",
            "name": f"Step {i}",
            "settings": settings,
        }
        layout[f"n_{i}"] = [(i // rows) * 400, (i % rows) * 280]
        edges[f"n_{i - 1}.{'c_0' if (i - 1) % 3 == 0 and i > 1 else 'next'}"] = f"n_{i}"
        if is_choice:
            for port, further in (("c_1", 2), ("c_2", 7), ("other", rows)):
                edges[f"n_{i}.{port}"] = f"n_{min(i + further, size - 1)}"
    return load_flow(
        {"format": "flow/1", "id": flow_id, "name": f"{size} steps", "entry": {"message": "n_0"}, "nodes": nodes, "edges": edges, "layout": {"nodes": layout}}
    )  # fmt: skip
