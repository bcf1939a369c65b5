"""State of the connections: adding, granting access, checking, changing and deleting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import reflex as rx

from builder_ui.pages.connection_rows import LinkedItem, linked_item
from builder_ui.pages.models_state import FOR_MODELS
from builder_ui.rows import ConnectorItem, FormItem, connector_item, form_items, vendor_words
from builder_ui.session import Session, handler, services, text_of
from graph_runtime.contract.connectors import Connector
from graph_runtime.contract.errors import InputInvalid, NotFound
from graph_runtime.contract.forms import form_fields

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

FOR_STEPS = frozenset({"http", "crm"})
_ON = frozenset({"on", "true", "True"})


class Connections(Session):
    """Secrets pass through a handler's argument and are never kept here."""

    links: list[LinkedItem] = []
    offers: list[ConnectorItem] = []
    may_manage: bool = False
    is_loaded: bool = False
    is_adding: bool = False
    is_saving: bool = False
    changing_id: str = ""
    changing_name: str = ""
    offer: str = ""
    picked: dict[str, str] = {}
    fields: list[FormItem] = []
    extra_fields: list[FormItem] = []
    redirect: str = ""
    hook_base: str = ""
    checking_id: str = ""
    doomed_id: str = ""
    doomed_name: str = ""
    doomed_agents: list[str] = []

    def _connectors(self) -> dict[str, Connector]:
        return {c.id: c for c in services().credentials.connectors() if c.needs_credential}

    async def _refresh(self, who: Principal) -> None:
        connectors = self._connectors()
        self.links = [
            linked_item(r, kind, self.me.language, is_model=kind is not None and not kind.kinds & FOR_STEPS)
            for r in await services().credentials.list(who)
            for kind in [connectors.get(r.connector)]
        ]
        order = {"kommo": 0, "rest_crm": 1}
        offered = sorted(
            (c for c in connectors.values() if c.kinds & FOR_STEPS and not c.kinds & FOR_MODELS),
            key=lambda c: (order.get(c.id, 2), c.label),
        )
        self.offers = [connector_item(c, self.me.language) for c in offered]
        self.hook_base = services().crm_hooks.address("")
        self.may_manage = "credential.manage" in who.scopes
        self.is_loaded = True

    @handler
    async def load(self, who: Principal) -> Any:
        """The page was opened, perhaps by a vendor that sent the member back."""
        self.is_adding = self.is_saving = False
        self.changing_id = self.checking_id = self.doomed_id = ""
        back = self.router.url.query_parameters
        await self._refresh(who)
        if "connected" in back:
            found = next((link for link in self.links if link.id == back["connected"]), None)
            if found is not None:
                self._tell("links.connected", name=found.label)
                await services().credentials.check(who, found.id)
                await self._hear(who, found.id)
                await self._refresh(who)
            return rx.redirect("/connections", replace=True)
        if "failed" in back:
            reason = back["failed"] if back["failed"] in ("denied", "over", "refused") else "other"
            self._tell(f"links.failed_{reason}", level="error")
            return rx.redirect("/connections", replace=True)
        return None

    @handler
    async def begin_adding(self, who: Principal) -> None:
        """Open the form of a new connection."""
        who.require("credential.manage")
        self.changing_id, self.picked = "", {}
        self._show_form(self.offer or (self.offers[0].id if self.offers else ""))
        self.is_adding = True

    @handler
    async def choose(self, who: Principal, offer: str) -> None:
        """Show the form of another kind."""
        self.picked = {}
        self._show_form(offer)

    @handler
    async def pick(self, who: Principal, key: str, value: str) -> None:
        """A choice in the form decides which other fields are shown."""
        self.picked = {**self.picked, str(key)[:100]: str(value)[:200]}
        self._show_form(self.offer)

    def _show_form(self, offer: str) -> None:
        connector = self._connectors().get(offer)
        self.offer = offer if connector else ""
        if connector is None:
            self.fields, self.extra_fields = [], []
            return
        changing = bool(self.changing_id)
        language = self.me.language
        self.fields = form_items(connector, language, self.picked, advanced=False, changing=changing)
        self.extra_fields = form_items(connector, language, self.picked, advanced=True, changing=changing)
        signs_in = any(f.key == "client_id" for f in self.fields)
        self.redirect = services().oauth.redirect_uri if connector.oauth is not None and signs_in else ""

    @handler
    async def close_form(self, who: Principal, is_open: bool) -> None:
        """Close the form without saving."""
        if not is_open:
            self.is_adding, self.changing_id = False, ""

    @handler
    async def begin_changing(self, who: Principal, link_id: str) -> None:
        """Open the form of a connection with its values, without its secrets."""
        who.require("credential.manage")
        row = await services().credentials.get(who, link_id)
        self.changing_id, self.changing_name = str(row.id), row.label
        self.picked = {k: "on" if v is True else "" if v is False else str(v) for k, v in row.settings.items()}
        self._show_form(row.connector)

    @handler
    async def save(self, who: Principal, form: dict[str, Any]) -> Any:
        """Store a new connection or new values of one, and try it."""
        if self.is_saving:
            return
        self.is_saving = True
        yield
        try:
            connector = self._connectors().get(self.offer)
            if connector is None:
                raise InputInvalid("Choose what to connect.", field="connector")
            values = self._values(connector, form)
            label = text_of(form, "label", limit=80) or self.changing_name or connector.label
            is_new = not self.changing_id
            if self.changing_id:
                row = await services().credentials.replace_secret(who, self.changing_id, values, label=label)
            else:
                row = await services().credentials.create(who, connector.id, label, values)
            self.is_adding, self.changing_id = False, ""
            if row.access in ("none", "needs_reconnect"):
                await self._refresh(who)
                self._tell("links.saved_connect", name=row.label)
            else:
                await self._check(who, str(row.id), is_new=is_new)
        finally:
            self.is_saving = False

    def _values(self, connector: Connector, form: dict[str, Any]) -> dict[str, Any]:
        """Fields that are not shown keep their value; a switch that is off is not in the form at all."""
        shown = {f.key: f.kind for f in (*self.fields, *self.extra_fields)}
        values: dict[str, Any] = {}
        for field in form_fields(connector.settings):
            kind = shown.get(field.key)
            if kind == "switch":
                values[field.key] = str(form.get(field.key) or "") in _ON
            elif kind is not None:
                text = text_of(form, field.key, limit=4000)
                if text or kind != "password":
                    values[field.key] = text
        return values

    @handler
    async def connect(self, who: Principal, link_id: str) -> Any:
        """Go to the service's page that asks for access."""
        return rx.redirect(await services().oauth.begin(who, link_id))

    @handler
    async def check(self, who: Principal, link_id: str) -> Any:
        """Try a connection."""
        if self.checking_id:
            return
        self.checking_id = link_id
        yield
        try:
            await self._check(who, link_id)
        finally:
            self.checking_id = ""

    async def _hear(self, who: Principal, link_id: str) -> None:
        """A connection that was just made is told where to post what changes, where that is ours to tell."""
        row = await services().credentials.get(who, link_id)
        kind = self._connectors().get(row.connector)
        if (
            row.hears == "off"
            and kind is not None
            and kind.crm_hooks is not None
            and kind.crm_hooks.subscribe is not None
        ):
            await services().crm_hooks.listen(who, link_id)

    @handler
    async def listen(self, who: Principal, link_id: str) -> None:
        """Hear from now on what people change in the system."""
        await services().crm_hooks.listen(who, link_id)
        row = await services().credentials.get(who, link_id)
        if row.hears == "failed":
            kind = self._connectors().get(row.connector)
            reason = linked_item(row, kind, self.me.language, is_model=False).hears_problem
            self._tell("links.hears_not", level="error", name=row.label, reason=reason)
        else:
            self._tell("links.hears_now", name=row.label)
        await self._refresh(who)

    @handler
    async def listen_no_more(self, who: Principal, link_id: str) -> None:
        """Changes in the system start nothing any more."""
        await services().crm_hooks.stop(who, link_id)
        self._tell("links.hears_no_more")
        await self._refresh(who)

    async def _check(self, who: Principal, link_id: str, *, is_new: bool = False) -> None:
        result = await services().credentials.check(who, link_id)
        if is_new and result.ok:
            await self._hear(who, link_id)
        row = await services().credentials.get(who, link_id)
        if result.ok:
            self._tell("links.works", name=row.label)
        else:
            reason = vendor_words(self._connectors()[row.connector], result.message, self.me.language)
            self._tell("links.fails", level="error", name=row.label, reason=reason)
        await self._refresh(who)

    @handler
    async def ask_delete(self, who: Principal, link_id: str) -> None:
        """Ask before deleting, telling what uses it."""
        link = next((k for k in self.links if k.id == link_id), None)
        if link is None:
            raise NotFound("There is no such connection.")
        uses = await services().credentials.uses(who, link_id)
        self.doomed_agents = list(dict.fromkeys(use.agent for use in uses))
        self.doomed_id, self.doomed_name = link.id, link.label

    @handler
    async def keep(self, who: Principal, is_open: bool) -> None:
        """Close the question without deleting."""
        if not is_open:
            self.doomed_id = ""

    @handler
    async def delete(self, who: Principal) -> None:
        """Delete the connection that was asked about."""
        doomed, self.doomed_id = self.doomed_id, ""
        if doomed:
            await services().crm_hooks.stop(who, doomed)
            await services().credentials.delete(who, doomed, even_if_used=True)
            self._tell("links.deleted", name=self.doomed_name)
            await self._refresh(who)
