"""State of the models and keys: adding, checking, replacing and deleting keys, and the default model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from builder_ui.pages.agent_state import DEFAULT, DEMO
from builder_ui.rows import (
    ConnectorItem,
    CredentialItem,
    FieldItem,
    connector_item,
    credential_item,
    field_items,
    vendor_words,
)
from builder_ui.session import Session, handler, services, text_of
from graph_runtime.contract.connectors import Connector
from graph_runtime.contract.errors import InputInvalid, NotFound

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal


FOR_MODELS = frozenset({"chat_model", "transcriber", "synthesizer", "embedder", "reranker", "vector_store"})
"""What keys of this page bring; all others are under Connections."""


def _place(connector: Connector) -> int:
    """In the list of what may be added: what answers, what hears and speaks, what helps to search."""
    kinds: tuple[set[str], ...] = ({"chat_model"}, {"transcriber", "synthesizer"}, {"embedder"}, {"reranker"})
    return next((place for place, of in enumerate(kinds) if connector.kinds & of), len(kinds))


class Models(Session):
    """Keys of model vendors. A secret passes through a handler's argument and is never kept here."""

    keys: list[CredentialItem] = []
    answering: list[CredentialItem] = []
    """Those that bring chat models; the others serve calls and channels."""
    vendors: list[ConnectorItem] = []
    vendor: str = ""
    fields: list[FieldItem] = []
    extra_fields: list[FieldItem] = []
    default_choice: str = DEMO
    default_model: str = ""
    suggested: list[str] = []
    is_loaded: bool = False
    is_adding: bool = False
    is_saving: bool = False
    replacing_id: str = ""
    replacing_name: str = ""
    checking_id: str = ""
    doomed_id: str = ""
    doomed_name: str = ""
    doomed_agents: list[str] = []
    doomed_bases: list[str] = []

    def _connectors(self) -> dict[str, Connector]:
        found = [c for c in services().credentials.connectors() if c.needs_credential and c.kinds & FOR_MODELS]
        return {c.id: c for c in sorted(found, key=_place)}

    async def _refresh(self, who: Principal) -> None:
        connectors = self._connectors()
        rows = [r for r in await services().credentials.list(who) if r.connector in connectors]
        self.keys = [credential_item(r, connectors.get(r.connector), self.me.language) for r in rows]
        self.answering = [
            k
            for k, r in zip(self.keys, rows, strict=True)
            if r.only_agents is None and "chat_model" in connectors[r.connector].kinds
        ]
        self.vendors = [connector_item(c, self.me.language) for c in connectors.values()]
        chosen = await services().workspace_settings.default_model(who)
        self.default_choice = str(chosen.credential_id or DEMO)
        self.default_model = chosen.model or ""
        row = next((r for r in rows if str(r.id) == self.default_choice), None)
        offered = [m.name for m in connectors[row.connector].models] if row and row.connector in connectors else []
        self.suggested = list(dict.fromkeys([*offered, *(getattr(row, "models", None) or ())]))[:100]
        self.is_loaded = True

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.is_adding = self.is_saving = False
        self.replacing_id = self.checking_id = self.doomed_id = ""
        await self._refresh(who)

    @handler
    async def begin_adding(self, who: Principal) -> None:
        """Open the form of a new key."""
        self.replacing_id = ""
        self._show_form(self.vendor or next(iter(self._connectors()), ""))
        self.is_adding = True

    @handler
    async def choose(self, who: Principal, vendor: str) -> None:
        """Show the form of a vendor."""
        self._show_form(vendor)

    def _show_form(self, vendor: str, *, only_secrets: bool = False) -> None:
        connector = self._connectors().get(vendor)
        fields = field_items(connector, self.me.language) if connector else []
        if only_secrets:
            fields = [f for f in fields if f.kind == "password"]
        self.vendor = vendor if connector else ""
        self.fields = [f for f in fields if not f.is_advanced]
        self.extra_fields = [f for f in fields if f.is_advanced]

    @handler
    async def close_form(self, who: Principal, is_open: bool) -> None:
        """Close the form without saving."""
        if not is_open:
            self.is_adding, self.replacing_id = False, ""

    @handler
    async def add(self, who: Principal, form: dict[str, Any]) -> Any:
        """Store a key and try it."""
        if self.is_saving:
            return
        self.is_saving = True
        yield
        try:
            connector = self._connectors().get(self.vendor)
            if connector is None:
                raise InputInvalid("Choose a provider.", field="vendor")
            values = self._values(connector, form)
            label = text_of(form, "label", limit=80) or connector.label
            row = await services().credentials.create(who, connector.id, label, values)
            self.is_adding = False
            await self._check(who, str(row.id), label)
        finally:
            self.is_saving = False

    def _values(self, connector: Connector, form: dict[str, Any]) -> dict[str, Any]:
        fields = field_items(connector, "en")
        return {f.key: v for f in fields if (v := text_of(form, f.key, limit=4000))}

    @handler
    async def begin_replacing(self, who: Principal, key_id: str) -> None:
        """Open the form for the new secret of a key."""
        row = await self._row(who, key_id)
        self._show_form(row.connector, only_secrets=True)
        self.replacing_id, self.replacing_name = str(row.id), row.label

    @handler
    async def replace(self, who: Principal, form: dict[str, Any]) -> Any:
        """Store another secret in place of the old one and try it."""
        if self.is_saving or not self.replacing_id:
            return
        self.is_saving = True
        yield
        try:
            row = await self._row(who, self.replacing_id)
            secrets = self._connectors()[row.connector].settings.secret_fields()
            values = {name: text_of(form, name, required=True, limit=4000) for name in secrets}
            await services().credentials.replace_secret(who, str(row.id), values)
            self.replacing_id = ""
            await self._check(who, str(row.id), row.label)
        finally:
            self.is_saving = False

    async def _row(self, who: Principal, key_id: str) -> Any:
        row = next((r for r in await services().credentials.list(who) if str(r.id) == key_id), None)
        if row is None:
            raise NotFound("There is no such key.")
        return row

    @handler
    async def check(self, who: Principal, key_id: str) -> Any:
        """Try a key against its vendor."""
        if self.checking_id:
            return
        row = await self._row(who, key_id)
        self.checking_id = str(row.id)
        yield
        try:
            await self._check(who, str(row.id), row.label)
        finally:
            self.checking_id = ""

    async def _check(self, who: Principal, key_id: str, label: str) -> None:
        result = await services().credentials.check(who, key_id)
        if result.ok:
            self._tell("models.works", name=label)
        else:
            connector = self._connectors()[(await self._row(who, key_id)).connector]
            reason = vendor_words(connector, result.message, self.me.language)
            self._tell("models.fails", level="error", name=label, reason=reason)
        await self._refresh(who)

    @handler
    async def ask_delete(self, who: Principal, key_id: str) -> None:
        """Ask before deleting, telling what uses the key."""
        row = await self._row(who, key_id)
        uses = await services().credentials.uses(who, str(row.id))
        self.doomed_agents = list(dict.fromkeys(use.agent for use in uses))
        self.doomed_bases = list(await services().credentials.holds_vectors_of(who, str(row.id)))
        self.doomed_id, self.doomed_name = str(row.id), row.label

    @handler
    async def keep(self, who: Principal, is_open: bool) -> None:
        """Close the question without deleting."""
        if not is_open:
            self.doomed_id = ""

    @handler
    async def delete(self, who: Principal) -> None:
        """Delete the key that was asked about."""
        doomed, self.doomed_id = self.doomed_id, ""
        if doomed:
            await services().credentials.delete(who, doomed, even_if_used=True)
            self._tell("models.deleted", name=self.doomed_name)
            await self._refresh(who)

    @handler
    async def choose_default(self, who: Principal, choice: str) -> None:
        """Choose the key of the workspace's default model, or the demo model."""
        if choice in (DEMO, DEFAULT):
            await services().workspace_settings.set_default_model(
                who, credential_id=None, connector="demo_model", model=""
            )
        else:
            row = await self._row(who, choice)
            offered = self._connectors()[row.connector].models
            await services().workspace_settings.set_default_model(
                who, credential_id=str(row.id), connector=row.connector, model=offered[0].name if offered else ""
            )
        await self._refresh(who)
        self._tell("models.default_saved")

    @handler
    async def name_default(self, who: Principal, model: str) -> None:
        """Change the model of the default key."""
        model = str(model).strip()[:120]
        chosen = await services().workspace_settings.default_model(who)
        if not chosen.credential_id or not model or model == chosen.model:
            return
        await services().workspace_settings.set_default_model(
            who, credential_id=chosen.credential_id, connector=chosen.connector, model=model
        )
        await self._refresh(who)
        self._tell("models.default_saved")
