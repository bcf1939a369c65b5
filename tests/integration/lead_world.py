"""Ask, validate, find in the CRM, create a deal, set its stage, leave a note, hand over; and a worker that dies on the way."""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection
from typing import Any

from graph_runtime.engine.http import HttpDoor
from graph_runtime.worker.main import work
from tests.conversation_world import process
from tests.integration.crm_world import CATALOG, outside

PHONE = "+380501112233"
DEAL = {"entity": "lead", "by": "id", "value": "{{ step.n_lead.id }}", "creates": False}
LEAD: dict[str, Any] = {
    "format": "flow/1",
    "entry": {"message": "n_start", "call": "n_start"},
    "connections": {"crm": {"kind": "crm", "label": "CRM"}},
    "variables": {
        name: {"type": "text", "label": label}
        for name, label in (("phone", "Phone"), ("name", "Name"), ("day", "Day"), ("wish", "Wish"))
    },
    "nodes": {
        "n_start": {"type": "start"},
        "n_phone": {"type": "ask", "settings": {"text": "Your number?", "kind": "phone", "save_to": "phone"}},
        "n_valid": {"type": "validate", "settings": {"variable": "phone", "rules": [{"id": "r_1", "kind": "required"}]}},
        "n_find": {"type": "crm_find", "settings": {"entity": "contact", "by": "phone", "value": "{{ var.phone }}"}},
        "n_name": {"type": "ask", "settings": {"text": "Your name?", "save_to": "name"}},
        "n_lead": {
            "type": "crm_update",
            "settings": {
                "value": "{{ var.phone }}",
                "values": [{"field": "name", "value": "Bouquet for {{ var.name }}"}, {"field": "stage", "value": "1:11"}],
            },
        },
        "n_day": {"type": "ask", "settings": {"text": "Which day?", "save_to": "day"}},
        "n_stage": {"type": "crm_update", "settings": {**DEAL, "values": [{"field": "stage", "value": "1:12"}]}},
        "n_wish": {"type": "ask", "settings": {"text": "Any wishes?", "save_to": "wish"}},
        "n_note": {"type": "crm_update", "settings": {**DEAL, "note": "Wishes: {{ var.wish }}"}},
        "n_task": {"type": "crm_update", "settings": {**DEAL, "task": "Call {{ var.name }}"}},
        "n_hand": {
            "type": "hand_off",
            "settings": {"text": "One moment.", "summary": "{{ var.name }}, {{ var.day }}", "wait": "PT60S"},
        },
        "n_back": {"type": "send_message", "settings": {"text": "Back: {{ step.n_hand.note }}"}},
        "n_sorry": {"type": "send_message", "settings": {"text": "Sorry: {{ step.n_lead.error }}"}},
        "n_end": {"type": "end", "settings": {"result": "won"}},
    },
    "edges": {
        "n_start.next": "n_phone", "n_phone.answered": "n_valid", "n_phone.invalid": "n_end", "n_phone.no_reply": "n_end",
        "n_valid.ok": "n_find", "n_valid.failed": "n_phone", "n_valid.limit": "n_end",
        "n_find.found": "n_name", "n_find.not_found": "n_name", "n_find.error": "n_sorry",
        "n_name.answered": "n_lead", "n_name.no_reply": "n_end",
        "n_lead.next": "n_day", "n_lead.not_found": "n_sorry", "n_lead.error": "n_sorry",
        "n_day.answered": "n_stage", "n_day.no_reply": "n_end",
        "n_stage.next": "n_wish", "n_stage.not_found": "n_sorry", "n_stage.error": "n_sorry",
        "n_wish.answered": "n_note", "n_wish.no_reply": "n_end",
        "n_note.next": "n_task", "n_note.not_found": "n_sorry", "n_note.error": "n_sorry",
        "n_task.next": "n_hand", "n_task.not_found": "n_sorry", "n_task.error": "n_sorry",
        "n_hand.returned": "n_back", "n_hand.timeout": "n_end", "n_back.next": "n_end", "n_sorry.next": "n_end",
    },
}  # fmt: skip
ANSWERS = (PHONE, "Olena", "Friday", "no lilies")


def worker(url: str, method: str, path: str, when: str, told: Connection) -> None:
    """A process that works until it comes to such a request to the customer system, and hangs "before" or "after" it."""
    asyncio.run(_work(url, method, path, when, told))


async def _work(url: str, method: str, path: str, when: str, told: Connection) -> None:
    real = HttpDoor.exchange

    async def exchange(self: HttpDoor, verb: str, to: str, **more: Any) -> Any:
        meant = verb == method and path in to
        answer = await real(self, verb, to, **more) if when == "after" or not meant else None
        if meant:
            told.send("there")
            await asyncio.Event().wait()
        return answer

    HttpDoor.exchange = exchange  # type: ignore[method-assign,assignment]
    async with outside(url) as reach, process(url, reach, CATALOG) as side:
        await work(side, asyncio.Event())
