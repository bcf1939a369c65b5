"""A flow that writes to a customer system, and everything between it and the fake one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from graph_runtime.contract.catalog import load_catalog
from graph_runtime.contract.flow import load_flow
from graph_runtime.services.bound_connections import BoundConnections
from graph_runtime.services.oauth import OAuth
from graph_runtime.services.turn_world import Outside
from graph_runtime.services.vault import Vault
from graph_runtime.storage.database import Database
from graph_runtime.storage.encryption import KeyRing

KEY = "for tests only, " * 3
CATALOG = load_catalog(("nodes", "connectors"))
FLOW = load_flow(
    {
        "format": "flow/1",
        "entry": {"message": "n_start"},
        "connections": {"crm": {"kind": "crm", "label": "CRM"}},
        "variables": {"budget": {"type": "number", "label": "Budget"}},
        "nodes": {
            "n_start": {"type": "start"},
            "n_ask": {"type": "ask", "settings": {"text": "Budget?", "kind": "number", "save_to": "budget"}},
            "n_crm": {
                "type": "crm_update",
                "settings": {
                    "value": "+380501112233", "note": "From the chat",
                    "values": [{"field": "name", "value": "Bouquet"}, {"field": "price", "value": "{{ var.budget }}"}],
                },
            },
            "n_done": {"type": "send_message", "settings": {"text": "Deal {{ step.n_crm.id }}"}},
            "n_sorry": {"type": "send_message", "settings": {"text": "Sorry: {{ step.n_crm.error }}"}},
            "n_end": {"type": "end"},
        },
        "edges": {
            "n_start.next": "n_ask", "n_ask.answered": "n_crm", "n_ask.invalid": "n_end", "n_ask.no_reply": "n_end",
            "n_crm.next": "n_done", "n_crm.error": "n_sorry", "n_done.next": "n_end", "n_sorry.next": "n_end",
        },
    }
)  # fmt: skip


@asynccontextmanager
async def outside(url: str) -> AsyncIterator[Outside]:
    """What turns reach the world through, credentials included."""
    database = Database(url, min_size=1, max_size=4)
    await database.open()
    vault = Vault(database, KeyRing([KEY]))
    oauth = OAuth(database, CATALOG, vault, "http://localhost/oauth/callback")
    connections = BoundConnections(database, CATALOG, vault, oauth)
    try:
        yield Outside(connections=connections.of)
    finally:
        await connections.close()
        await database.close()
