"""State of an agent's Telegram bots: connecting one by its token, how each is doing, switching, disconnecting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from builder_ui.rows import moment
from builder_ui.session import Session, handler, services, text_of
from graph_runtime.contract.errors import Conflict, CredentialRejected, InputInvalid, NotFound

if TYPE_CHECKING:
    from graph_runtime.services.channel_setup import ChannelLink, ChannelRow
    from graph_runtime.services.principal import Principal

CONNECTOR: Final = "telegram"
GROUPS: Final = ("mentioned", "all", "never")
BUTTONS: Final = ("inline", "keyboard")
ERRORS: Final = (
    "credential_rejected", "polled_elsewhere", "webhook_elsewhere", "unreachable", "no_version", "agent_off",
    "rate_limited",
)  # fmt: skip


@dataclass(frozen=True)
class BotItem:
    """A bot of the agent. `mode`: "webhook", "polling" or ""; `error`: end of a text's key, when `is_troubled`."""

    id: str
    name: str
    username: str
    link: str
    mode: str
    is_on: bool
    is_connected: bool
    is_troubled: bool
    error: str
    last_event: str
    groups: str
    buttons: str
    commands: str


def bot_item(row: ChannelRow, link: ChannelLink | None) -> BotItem:
    """From the services' rows."""
    code = link.error_code if link else ""
    return BotItem(
        id=row.id,
        name=(link.name if link else "") or row.label,
        username=str(row.settings.get("username") or ""),
        link=link.link if link else "",
        mode=link.mode if link and link.is_connected else "",
        is_on=row.is_on,
        is_connected=bool(link and link.is_connected),
        is_troubled=row.is_on and code != "",
        error=code if code in ERRORS else "",
        last_event=moment(link.last_event_at) if link else "",
        groups=str(row.settings.get("groups") or GROUPS[0]),
        buttons=str(row.settings.get("buttons") or BUTTONS[0]),
        commands=str(row.settings.get("commands") or ""),
    )


def behavior(form: dict[str, Any]) -> dict[str, Any]:
    """The settings that say how a bot behaves, from a form; what a form of anybody's making has else is left."""
    groups, buttons = str(form.get("groups") or ""), str(form.get("buttons") or "")
    return {
        "groups": groups if groups in GROUPS else GROUPS[0],
        "buttons": buttons if buttons in BUTTONS else BUTTONS[0],
        "commands": text_of(form, "commands", limit=4000),
    }


class TelegramBots(Session):
    """The section on an agent's page. A token goes through to the vault and is never part of the state."""

    bots: list[BotItem] = []
    is_adding: bool = False
    is_saving: bool = False
    may_reach_inside: bool = False
    doomed_id: str = ""
    doomed_name: str = ""
    changing_id: str = ""
    changing_groups: str = GROUPS[0]
    changing_buttons: str = BUTTONS[0]
    changing_commands: str = ""

    def _agent_id(self) -> str:
        return str(self.router.url.path).rstrip("/").rsplit("/", 1)[-1]

    async def _refresh(self, who: Principal) -> None:
        setup = services().channel_setup
        links = await setup.links(who, self._agent_id())
        rows = await setup.list(who, self._agent_id())
        self.bots = [bot_item(row, links.get(row.id)) for row in rows if row.connector == CONNECTOR]
        self.may_reach_inside = "settings.manage" in who.scopes

    async def _find(self, who: Principal, channel_id: str) -> ChannelRow:
        """Raises: NotFound for a channel of another agent or another kind."""
        rows = await services().channel_setup.list(who, self._agent_id())
        row = next((r for r in rows if r.id == channel_id and r.connector == CONNECTOR), None)
        if row is None:
            raise NotFound("There is no such bot.")
        return row

    @handler
    async def load(self, who: Principal) -> None:
        """The agent's page was opened."""
        self.is_adding = self.is_saving = False
        self.doomed_id = self.changing_id = ""
        self.bots = []
        try:
            await self._refresh(who)
        except NotFound:
            return  # the page itself says so

    @handler
    async def refresh(self, who: Principal) -> None:
        """Look again."""
        await self._refresh(who)

    @handler
    async def set_adding(self, who: Principal, is_open: bool) -> None:
        """Open or close the form."""
        self.is_adding = bool(is_open)

    @handler
    async def connect(self, who: Principal, form: dict[str, Any]) -> Any:
        """Ask Telegram whose token this is, and connect the bot."""
        if self.is_saving or not self.is_adding:
            return
        self.is_saving = True
        yield
        try:
            token = text_of(form, "bot_token", required=True, limit=200)
            settings: dict[str, Any] = {"bot_token": token, **behavior(form)}
            base_url = text_of(form, "base_url", limit=500)
            if base_url:
                settings |= {"base_url": base_url, "allow_private_host": bool(form.get("allow_private_host"))}
            try:
                row, _ = await services().channel_setup.create(who, self._agent_id(), CONNECTOR, settings=settings)
            except CredentialRejected as error:
                raise InputInvalid(error.message, field="bot_token") from None
            except Conflict as error:
                if error.params.get("reason") == "account_taken":
                    raise InputInvalid(error.message, field="bot_taken") from None
                raise
            self.is_adding = False
            await self._refresh(who)
            self._tell("telegram.connected", name=row.label)
        finally:
            self.is_saving = False

    @handler
    async def begin_changing(self, who: Principal, channel_id: str) -> None:
        """Open the form with how a bot behaves."""
        item = bot_item(await self._find(who, channel_id), None)
        self.changing_groups, self.changing_buttons = item.groups, item.buttons
        self.changing_commands, self.changing_id = item.commands, item.id

    @handler
    async def end_changing(self, who: Principal, is_open: bool) -> None:
        """Close it."""
        if not is_open:
            self.changing_id = ""

    @handler
    async def change(self, who: Principal, form: dict[str, Any]) -> Any:
        """Save how a bot behaves; Telegram is told its commands when the bot is next connected, which is at once."""
        if self.is_saving or not self.changing_id:
            return
        self.is_saving = True
        yield
        try:
            row = await self._find(who, self.changing_id)
            await services().channel_setup.update(who, row.id, settings=behavior(form))
            self.changing_id = ""
            await self._refresh(who)
            self._tell("telegram.changed")
        finally:
            self.is_saving = False

    @handler
    async def retry(self, who: Principal, channel_id: str) -> None:
        """Connect again at once."""
        row = await self._find(who, channel_id)
        await services().channel_setup.retry(who, row.id)
        await self._refresh(who)
        self._tell("telegram.retried")

    @handler
    async def switch(self, who: Principal, channel_id: str, is_on: bool) -> None:
        """Let a bot work, or stop it."""
        row = await self._find(who, channel_id)
        await services().channel_setup.set_on(who, row.id, bool(is_on))
        await self._refresh(who)
        self._tell("telegram.is_on_now" if is_on else "telegram.is_off_now")

    @handler
    async def ask_disconnect(self, who: Principal, channel_id: str) -> None:
        """Ask before disconnecting."""
        row = await self._find(who, channel_id)
        self.doomed_id, self.doomed_name = row.id, row.label

    @handler
    async def keep(self, who: Principal, is_open: bool) -> None:
        """Close the question."""
        if not is_open:
            self.doomed_id = ""

    @handler
    async def disconnect(self, who: Principal) -> None:
        """Disconnect the bot that was asked about."""
        doomed, self.doomed_id = self.doomed_id, ""
        if doomed:
            await services().channel_setup.delete(who, (await self._find(who, doomed)).id)
            await self._refresh(who)
            self._tell("telegram.disconnected")
