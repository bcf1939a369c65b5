"""State of the API keys: creating one, whose secret is shown once, and revoking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import reflex as rx

from builder_ui.rows import ApiKeyItem, api_key_item
from builder_ui.session import Session, handler, services, text_of
from graph_runtime.contract.errors import NotFound

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

SCOPES: Final = (
    "conversations:write", "conversations:read", "conversations:answer", "flows:read", "flows:write", "flows:publish",
    "knowledge:read", "knowledge:write", "events:read", "events:write",
)  # fmt: skip
FRESH_FIELD: Final = "fresh_key"


class ApiKeys(Session):
    """The list. A fresh secret is put straight into a field of the page and is never part of the state."""

    keys: list[ApiKeyItem] = []
    is_loaded: bool = False
    is_creating: bool = False
    is_saving: bool = False
    is_fresh_shown: bool = False
    doomed_id: str = ""
    doomed_name: str = ""

    async def _refresh(self, who: Principal) -> None:
        self.keys = [api_key_item(row) for row in await services().api_keys.list(who)]
        self.is_loaded = True

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.is_creating = self.is_saving = self.is_fresh_shown = False
        self.doomed_id = ""
        await self._refresh(who)

    @handler
    async def set_creating(self, who: Principal, is_open: bool) -> None:
        """Open or close the form."""
        self.is_creating = bool(is_open)

    @handler
    async def create(self, who: Principal, form: dict[str, Any]) -> Any:
        """Create a key and show its secret."""
        if self.is_saving or not self.is_creating:
            return
        self.is_saving = True
        yield
        try:
            scopes = [s for s in SCOPES if form.get(s)]
            name = text_of(form, "name", required=True, limit=80)
            _, secret = await services().api_keys.create(who, name, scopes)
            self.is_creating, self.is_fresh_shown = False, True
            await self._refresh(who)
            yield rx.set_value(FRESH_FIELD, secret)
        finally:
            self.is_saving = False

    @handler
    async def forget(self, who: Principal) -> Any:
        """The person has saved the secret: empty the field."""
        self.is_fresh_shown = False
        yield rx.set_value(FRESH_FIELD, "")

    @handler
    async def ask_revoke(self, who: Principal, key_id: str) -> None:
        """Ask before revoking."""
        row = next((r for r in await services().api_keys.list(who) if str(r.id) == key_id), None)
        if row is None:
            raise NotFound("There is no such key.")
        self.doomed_id, self.doomed_name = str(row.id), row.name

    @handler
    async def keep(self, who: Principal, is_open: bool) -> None:
        """Close the question without revoking."""
        if not is_open:
            self.doomed_id = ""

    @handler
    async def revoke(self, who: Principal) -> None:
        """Revoke the key that was asked about."""
        doomed, self.doomed_id = self.doomed_id, ""
        if doomed:
            await services().api_keys.revoke(who, doomed)
            self._tell("keys.revoked", name=self.doomed_name)
            await self._refresh(who)
