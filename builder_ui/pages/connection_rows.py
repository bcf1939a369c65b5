"""Connections as their page shows them: rows without secrets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from builder_ui.i18n import text
from builder_ui.rows import moment, vendor_words
from graph_runtime.contract.catalog import translate
from graph_runtime.contract.connectors import Connector
from graph_runtime.services.crm_hooks import UNREACHABLE


@dataclass(frozen=True)
class LinkedItem:
    """A connection: everything but its secrets. `state`: works, fails, unknown, none (not connected), needs_reconnect.

    `hears`: as `CredentialRow`, "" where there is nothing to hear; `hook`: the address that a person enters there.
    """

    id: str
    connector_label: str
    label: str
    details: str
    state: str
    message: str
    checked_at: str
    used_at: str
    agents: str
    used_by: int
    signs_in: bool
    is_model: bool
    hears: str = ""
    hears_problem: str = ""
    heard_at: str = ""
    hook: str = ""
    is_limited: bool = False
    only_for: str = ""


def linked_item(row: Any, connector: Connector | None, language: str, *, is_model: bool) -> LinkedItem:
    """From the services' row; `connector` is None when it is not installed."""
    checked = "unknown" if row.check_ok is None else "works" if row.check_ok else "fails"
    texts = connector.texts if connector else {}
    return LinkedItem(
        id=str(row.id),
        connector_label=translate(texts, connector.label, language) if connector else row.connector,
        label=row.label,
        details=str(row.settings.get("base_url") or "").removeprefix("https://").rstrip("/"),
        state=row.access if row.access in ("none", "needs_reconnect") else checked,
        message=vendor_words(connector, row.check_message or "", language),
        checked_at=moment(row.checked_at),
        used_at=moment(row.last_used_at),
        agents=", ".join(row.agents),
        used_by=row.used_by,
        signs_in=bool(row.access),
        is_model=is_model,
        hears=row.hears,
        hears_problem=text(language, "links.hears_unreachable")
        if row.hook_problem == UNREACHABLE
        else vendor_words(connector, row.hook_problem, language),
        heard_at=moment(row.heard_at),
        hook=row.hook_id if row.hears == "by_hand" else "",
        is_limited=row.only_agents is not None,
        only_for=", ".join(row.only_names) or "–",
    )
