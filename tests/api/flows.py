"""Flows that the tests talk to."""

from typing import Any

GREETING: dict[str, Any] = {
    "format": "flow/1",
    "name": "Reception",
    "locale": "en",
    "entry": {"message": "n_start"},
    "variables": {"name": {"type": "text", "label": "Name"}},
    "nodes": {
        "n_start": {"type": "start", "v": 1, "settings": {}},
        "n_name": {
            "type": "ask",
            "v": 1,
            "settings": {"text": "What is your name?", "kind": "text", "save_to": "name"},
        },
        "n_day": {
            "type": "ask_choice",
            "v": 1,
            "settings": {
                "text": "Hello {{ var.name | default: 'you' }}, which day?",
                "options": [{"id": "mon", "label": "Monday"}, {"id": "tue", "label": "Tuesday"}],
            },
        },
        "n_end": {"type": "end", "v": 1, "settings": {"text": "See you then.", "result": "booked"}},
    },
    "edges": {
        "n_start.next": "n_name",
        "n_name.answered": "n_day",
        "n_name.invalid": "n_end",
        "n_day.mon": "n_end",
        "n_day.tue": "n_end",
        "n_day.other": "n_end",
    },
}
