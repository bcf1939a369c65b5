"""What pages show of the services' rows: small frozen values without secrets and without documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from graph_runtime.contract.catalog import translate
from graph_runtime.contract.connectors import Connector
from graph_runtime.contract.forms import form_fields, is_shown
from graph_runtime.contract.outside_words import from_texts, in_language
from graph_runtime.services.conversation_list import ConversationRow


def moment(value: datetime | str | None) -> str:
    """A time as the browser reads it, or an empty text."""
    return value.isoformat() if isinstance(value, datetime) else value or ""


def flow_path(agent_id: Any, flow_id: Any, node_id: str = "") -> str:
    """The address of a flow in the editor, with a step in view."""
    return f"/agents/{agent_id}/flow/{flow_id}" + (f"?node={node_id}" if node_id else "")


@dataclass(frozen=True)
class AgentItem:
    """A row of the list of agents."""

    id: str
    name: str
    description: str
    initial: str
    is_on: bool
    live_version: int
    flow_path: str
    flows: int
    problems: int
    conversations_today: int
    last_activity: str
    public_id: str


def agent_item(row: Any) -> AgentItem:
    """From the services' row."""
    return AgentItem(
        id=str(row.id),
        name=row.name,
        description=row.description or "",
        initial=row.name[:1].upper(),
        is_on=row.is_on,
        live_version=row.live_version or 0,
        flow_path=flow_path(row.id, row.main_flow_id),
        flows=row.flows,
        problems=row.problems or 0,
        conversations_today=row.conversations_today,
        last_activity=moment(row.last_activity),
        public_id=row.public_id,
    )


@dataclass(frozen=True)
class PreviewMessage:
    """One bubble of a template's preview."""

    side: str
    text: str
    options: list[str]


@dataclass(frozen=True)
class TemplateItem:
    """A template to start from."""

    id: str
    name: str
    summary: str


@dataclass(frozen=True)
class FlowItem:
    """A flow of an agent."""

    id: str
    name: str
    path: str
    kind: str
    live_version: int
    problems: int
    updated_at: str


def flow_item(row: Any, agent_id: str) -> FlowItem:
    """From the services' row."""
    return FlowItem(
        id=str(row.id),
        name=row.name,
        path=flow_path(agent_id, row.id),
        kind=row.kind,
        live_version=row.live_version or 0,
        problems=row.problems or 0,
        updated_at=moment(row.updated_at),
    )


@dataclass(frozen=True)
class VersionItem:
    """A published version, as a line of the agent's diary."""

    number: int
    comment: str
    author: str
    created_at: str
    is_live: bool


def version_item(row: Any, live: int) -> VersionItem:
    """From the services' row."""
    return VersionItem(
        number=row.number,
        comment=row.comment or "",
        author=row.author or "",
        created_at=moment(row.created_at),
        is_live=row.number == live,
    )


@dataclass(frozen=True)
class ConnectionItem:
    """Which model a slot of an agent's flows uses."""

    slot: str
    label: str
    choice: str
    model: str


@dataclass(frozen=True)
class CredentialChoice:
    """A key in a list to choose from."""

    id: str
    label: str


@dataclass(frozen=True)
class CredentialItem:
    """A stored key: everything but the key."""

    id: str
    connector: str
    connector_label: str
    label: str
    details: str
    state: str
    message: str
    checked_at: str
    used_by: int
    is_limited: bool = False
    only_for: str = ""


def vendor_words(connector: Connector | None, said: str, language: str) -> str:
    """What a check found, in a language: the connector's own sentence, or one of the program's; else as it was said."""
    own = from_texts(connector.texts, said, language) if connector else None
    return own or in_language(said, language) or said


def credential_item(row: Any, connector: Connector | None, language: str) -> CredentialItem:
    """From the services' row; `settings` of it hold no secrets. `connector` is None when it is not installed."""
    settings: Mapping[str, Any] = row.settings or {}
    return CredentialItem(
        id=str(row.id),
        connector=row.connector,
        connector_label=connector.label if connector else row.connector,
        label=row.label,
        details=str(settings.get("base_url") or settings.get("folder") or ""),
        state="unknown" if row.check_ok is None else "works" if row.check_ok else "fails",
        message=vendor_words(connector, row.check_message or "", language),
        checked_at=moment(row.checked_at),
        used_by=row.used_by or 0,
        is_limited=row.only_agents is not None,
        only_for=", ".join(row.only_names) or "–",
    )


@dataclass(frozen=True)
class ConnectorItem:
    """A vendor to choose when adding a key."""

    id: str
    label: str
    summary: str


def connector_item(connector: Connector, language: str) -> ConnectorItem:
    """In the member's language."""
    label = translate(connector.texts, connector.label, language)
    return ConnectorItem(connector.id, label, translate(connector.texts, connector.summary, language))


_KINDS = {"select": "select", "switch": "switch"}


@dataclass(frozen=True)
class FieldItem:
    """A field of the form of a key. `kind`: text, password, select or switch; `options`: [value, label] of a choice; a
    switch that is on has the default "on"."""

    key: str
    label: str
    help: str
    placeholder: str
    kind: str
    default: str
    is_required: bool
    is_advanced: bool
    options: list[list[str]] = field(default_factory=list)


def field_items(connector: Connector, language: str) -> list[FieldItem]:
    """The form of a connector's settings in the member's language."""
    secrets = connector.settings.secret_fields()

    def said(source: str) -> str:
        return translate(connector.texts, source, language) if source else ""

    return [
        FieldItem(
            key=f.key,
            label=said(f.label),
            help=said(f.help),
            placeholder=said(f.placeholder),
            kind="password" if f.key in secrets else _KINDS.get(f.widget, "text"),
            default="" if f.key in secrets else "on" if f.default is True else str(f.default or ""),
            is_required=f.required,
            is_advanced=f.advanced,
            options=[[str(value), said(label)] for value, label in f.options],
        )
        for f in form_fields(connector.settings)
    ]


@dataclass(frozen=True)
class FormItem:
    """A field of the form of a connection. `kind`: text, password, select or switch; `options`: [value, label]."""

    key: str
    label: str
    help: str
    placeholder: str
    kind: str
    value: str
    is_required: bool
    options: list[list[str]]


def form_items(
    connector: Connector, language: str, values: Mapping[str, Any], *, advanced: bool, changing: bool = False
) -> list[FormItem]:
    """Fields that show with these values. `changing`: a secret may be left empty, it then stays."""
    secrets = connector.settings.secret_fields()

    def said(source: str) -> str:
        return translate(connector.texts, source, language) if source else ""

    form = form_fields(connector.settings)
    known = {f.key: f.default for f in form if f.key not in secrets} | dict(values)
    return [
        FormItem(
            key=f.key,
            label=said(f.label),
            help=said(f.help),
            placeholder=f.placeholder,
            kind="password" if f.key in secrets else _KINDS.get(f.widget, "text"),
            value="" if f.key in secrets else "on" if known.get(f.key) is True else str(known.get(f.key) or ""),
            is_required=f.required and not (changing and f.key in secrets),
            options=[[str(value), said(label)] for value, label in f.options],
        )
        for f in form
        if f.advanced is advanced and is_shown(f, known)
    ]


@dataclass(frozen=True)
class ApiKeyItem:
    """An API key: everything but the secret."""

    id: str
    name: str
    prefix: str
    scopes: list[str]
    created_at: str
    last_used_at: str
    expires_at: str


def api_key_item(row: Any) -> ApiKeyItem:
    """From the services' row."""
    return ApiKeyItem(
        id=str(row.id),
        name=row.name,
        prefix=row.prefix,
        scopes=sorted(row.scopes),
        created_at=moment(row.created_at),
        last_used_at=moment(row.last_used_at),
        expires_at=moment(row.expires_at),
    )


@dataclass(frozen=True)
class NamedItem:
    """Something to choose by its name."""

    id: str
    name: str


@dataclass(frozen=True)
class ConversationItem:
    """A row of the live list of conversations; empty while none is open."""

    id: str = ""
    who: str = ""
    agent: str = ""
    channel: str = ""
    status: str = ""
    waits: str = ""
    preview: str = ""
    updated_at: str = ""


def conversation_item(row: ConversationRow) -> ConversationItem:
    """From the services' row."""
    return ConversationItem(
        id=row.id,
        who=row.contact_name,
        agent=row.agent_name,
        channel="test" if row.is_test else row.channel,
        status=row.status,
        waits=row.waits,
        preview=(row.preview or "")[:160],
        updated_at=moment(row.updated_at),
    )
