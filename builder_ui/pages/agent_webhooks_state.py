"""State of an agent's webhooks: adding one, whose secret is shown once, switching, a new secret, deleting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import reflex as rx

from builder_ui.rows import moment
from builder_ui.session import Session, handler, services, text_of
from graph_runtime.contract.errors import NotFound

if TYPE_CHECKING:
    from graph_runtime.services.channel_setup import ChannelRow
    from graph_runtime.services.principal import Principal

CONNECTOR: Final = "webhook"
SECRET_FIELD: Final = "fresh_webhook_secret"  # noqa: S105 (the id of a field)


@dataclass(frozen=True)
class WebhookItem:
    """A webhook of the agent. `path`: where the other side posts to; `previous_until`: end of the old secret's day."""

    id: str
    name: str
    url: str
    path: str
    is_on: bool
    is_paused: bool
    is_private: bool
    previous_until: str


def webhook_item(row: ChannelRow) -> WebhookItem:
    """From the services' row."""
    url = str(row.settings.get("url") or "")
    return WebhookItem(
        id=row.id,
        name=row.label or url.partition("://")[2].partition("/")[0] or url,
        url=url,
        path=row.path,
        is_on=row.is_on,
        is_paused=row.paused_until is not None,
        is_private=bool(row.settings.get("allow_private_host")),
        previous_until=moment(row.previous_until),
    )


class Webhooks(Session):
    """The section on an agent's page. A fresh secret is put straight into a field and is never part of the state."""

    hooks: list[WebhookItem] = []
    is_adding: bool = False
    is_saving: bool = False
    is_fresh_shown: bool = False
    may_reach_inside: bool = False
    doomed_id: str = ""
    doomed_name: str = ""

    def _agent_id(self) -> str:
        return str(self.router.url.path).rstrip("/").rsplit("/", 1)[-1]

    async def _refresh(self, who: Principal) -> None:
        rows = await services().channel_setup.list(who, self._agent_id())
        self.hooks = [webhook_item(row) for row in rows if row.connector == CONNECTOR]
        self.may_reach_inside = "settings.manage" in who.scopes

    async def _find(self, who: Principal, channel_id: str) -> ChannelRow:
        """Raises: NotFound for a channel of another agent."""
        rows = await services().channel_setup.list(who, self._agent_id())
        row = next((r for r in rows if r.id == channel_id), None)
        if row is None:
            raise NotFound("There is no such channel.")
        return row

    @handler
    async def load(self, who: Principal) -> None:
        """The agent's page was opened."""
        self.is_adding = self.is_saving = self.is_fresh_shown = False
        self.doomed_id = ""
        self.hooks = []
        try:
            await self._refresh(who)
        except NotFound:
            return  # the page itself says so

    @handler
    async def set_adding(self, who: Principal, is_open: bool) -> None:
        """Open or close the form."""
        self.is_adding = bool(is_open)

    @handler
    async def add(self, who: Principal, form: dict[str, Any]) -> Any:
        """Add a webhook and show its secret."""
        if self.is_saving or not self.is_adding:
            return
        self.is_saving = True
        yield
        try:
            settings = {
                "url": text_of(form, "url", required=True, limit=2000),
                "allow_private_host": bool(form.get("allow_private_host")),
            }
            label = text_of(form, "label", limit=120)
            setup = services().channel_setup
            _, secret = await setup.create(who, self._agent_id(), CONNECTOR, label=label, settings=settings)
            self.is_adding, self.is_fresh_shown = False, True
            await self._refresh(who)
            yield rx.set_value(SECRET_FIELD, secret)
        finally:
            self.is_saving = False

    @handler
    async def renew(self, who: Principal, channel_id: str) -> Any:
        """Give a webhook a new secret and show it."""
        row = await self._find(who, channel_id)
        _, secret = await services().channel_setup.rotate_secret(who, row.id)
        self.is_fresh_shown = True
        await self._refresh(who)
        yield rx.set_value(SECRET_FIELD, secret)

    @handler
    async def forget(self, who: Principal) -> Any:
        """The person has saved the secret: empty the field."""
        self.is_fresh_shown = False
        yield rx.set_value(SECRET_FIELD, "")

    @handler
    async def switch(self, who: Principal, channel_id: str, is_on: bool) -> None:
        """Let a webhook work, or stop it."""
        row = await self._find(who, channel_id)
        await services().channel_setup.set_on(who, row.id, bool(is_on))
        await self._refresh(who)
        self._tell("webhook.is_on_now" if is_on else "webhook.is_off_now")

    @handler
    async def ask_delete(self, who: Principal, channel_id: str) -> None:
        """Ask before deleting."""
        item = webhook_item(await self._find(who, channel_id))
        self.doomed_id, self.doomed_name = item.id, item.name

    @handler
    async def keep(self, who: Principal, is_open: bool) -> None:
        """Close the question without deleting."""
        if not is_open:
            self.doomed_id = ""

    @handler
    async def delete(self, who: Principal) -> None:
        """Delete the webhook that was asked about."""
        doomed, self.doomed_id = self.doomed_id, ""
        if doomed:
            await services().channel_setup.delete(who, (await self._find(who, doomed)).id)
            await self._refresh(who)
            self._tell("webhook.deleted")
