"""State of an agent's phone lines: adding one, whose secret is shown once, setting it up, switching, deleting."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import reflex as rx

from builder_ui.rows import FieldItem, field_items, moment
from builder_ui.session import Session, handler, services, text_of
from graph_runtime.contract.errors import InputInvalid, NotFound
from graph_runtime.contract.forms import form_fields

if TYPE_CHECKING:
    from graph_runtime.services.channel_setup import ChannelRow
    from graph_runtime.services.phone_setup import LastCall
    from graph_runtime.services.principal import Principal

CONNECTOR: Final = "asterisk"
SECRET_FIELD: Final = "fresh_line_secret"  # noqa: S105 (the id of a field)
PLAN_FIELD: Final = "fresh_dialplan"
SAME: Final = "same"
"""A line that speaks the agent's language."""
_TEXTS: Final = ("voice_en", "voice_ru", "voice_uk", "dial_template")
_NUMBERS: Final = {"rate": float, "endpoint_ms": int, "no_input_ms": int}
_HAS_PLACE: Final = {*_TEXTS, *_NUMBERS, "language", "secret", "previous_secret"}
"""Settings that the form shows in places of their own, or never; all others stand together under “More”."""


@dataclass(frozen=True)
class LineItem:
    """A phone line of the agent. `call_state` "" when no call was announced yet."""

    id: str
    name: str
    language: str
    voice_en: str
    voice_ru: str
    voice_uk: str
    rate: str
    endpoint_ms: str
    no_input_ms: str
    dial_template: str
    is_on: bool
    previous_until: str
    call_state: str
    call_from: str
    call_at: str
    can_call: bool = False


EMPTY: Final = LineItem("", "", SAME, "", "", "", "1", "450", "6000", "PJSIP/{number}@trunk", True, "", "", "", "")


def line_item(row: ChannelRow, last: LastCall | None) -> LineItem:
    """From the services' rows."""
    settings = row.settings
    return LineItem(
        id=row.id,
        name=row.label,
        language=str(settings.get("language") or SAME),
        voice_en=str(settings.get("voice_en") or ""),
        voice_ru=str(settings.get("voice_ru") or ""),
        voice_uk=str(settings.get("voice_uk") or ""),
        rate=f"{float(settings.get('rate') or 1):g}",
        endpoint_ms=str(settings.get("endpoint_ms") or EMPTY.endpoint_ms),
        no_input_ms=str(settings.get("no_input_ms") or EMPTY.no_input_ms),
        dial_template=str(settings.get("dial_template") or EMPTY.dial_template),
        is_on=row.is_on,
        previous_until=moment(row.previous_until),
        call_state=last.state if last else "",
        call_from=last.from_number if last else "",
        call_at=moment(last.started_at) if last else "",
        can_call=bool(settings.get("manager_address")),
    )


class PhoneLines(Session):
    """The tab on an agent's page. A fresh secret goes straight into fields and is never part of the state."""

    lines: list[LineItem] = []
    edited: LineItem = EMPTY
    more: list[FieldItem] = []
    is_editing: bool = False
    is_saving: bool = False
    is_fresh_shown: bool = False
    dialplan: str = ""
    doomed_id: str = ""
    doomed_name: str = ""

    def _agent_id(self) -> str:
        return str(self.router.url.path).rstrip("/").rsplit("/", 1)[-1]

    async def _more(self, who: Principal, channel_id: str) -> list[FieldItem]:
        """The settings without a place of their own, with a line's values; switches say "on" or ""."""
        found = await services().phone_setup.lines(who, self._agent_id())
        settings = next((row.settings for row, _ in found if row.id == channel_id), {})
        connector = services().catalog.connectors[CONNECTOR]
        switches = {f.key: bool(f.default) for f in form_fields(connector.settings) if f.widget == "switch"}
        items = []
        for item in field_items(connector, self.me.language):
            if item.key in switches:
                is_on = settings.get(item.key, switches[item.key])
                items.append(replace(item, kind="switch", default="on" if is_on else ""))
            elif item.key not in _HAS_PLACE:
                kind = "select" if item.options else item.kind
                items.append(replace(item, kind=kind, default=str(settings.get(item.key, item.default) or "")))
        return items

    async def _refresh(self, who: Principal) -> None:
        found = await services().phone_setup.lines(who, self._agent_id())
        self.lines = [line_item(row, last) for row, last in found]
        self.dialplan = services().phone_setup.dialplan(who)

    def _find(self, channel_id: str) -> LineItem:
        """Raises: NotFound for a line of another agent."""
        item = next((line for line in self.lines if line.id == channel_id), None)
        if item is None:
            raise NotFound("There is no such phone line.")
        return item

    def _shown(self, who: Principal, row: ChannelRow, secret: str) -> list[Any]:
        """Fill the fields with a secret and the dialplan that holds it."""
        self.is_fresh_shown = True
        plan = services().phone_setup.dialplan(who, secret, desk=str(row.settings["desk"]))
        return [rx.set_value(SECRET_FIELD, secret), rx.set_value(PLAN_FIELD, plan)]

    @handler
    async def load(self, who: Principal) -> None:
        """The agent's page was opened."""
        self.is_editing = self.is_saving = self.is_fresh_shown = False
        self.doomed_id, self.lines, self.edited = "", [], EMPTY
        try:
            await self._refresh(who)
        except NotFound:
            return  # the page itself says so

    @handler
    async def look(self, who: Principal) -> None:
        """Look again whether a call has arrived."""
        await self._refresh(who)

    @handler
    async def begin(self, who: Principal, channel_id: str) -> None:
        """Open the form, for a new line when there is no id."""
        self.edited = self._find(channel_id) if channel_id else EMPTY
        self.more = await self._more(who, channel_id)
        self.is_editing = True

    @handler
    async def set_editing(self, who: Principal, is_open: bool) -> None:
        """Open or close the form."""
        self.is_editing = bool(is_open)

    @handler
    async def save(self, who: Principal, form: dict[str, Any]) -> Any:
        """Add the line and show its secret, or change it."""
        if self.is_saving or not self.is_editing:
            return
        self.is_saving = True
        yield
        try:
            settings, label = _settings(form) | _more_settings(form, self.more), text_of(form, "label", limit=120)
            setup = services().channel_setup
            fresh: list[Any] = []
            if self.edited.id:
                await setup.update(who, self._find(self.edited.id).id, label=label, settings=settings)
                self._tell("phone.saved")
            else:
                row, secret = await setup.create(who, self._agent_id(), CONNECTOR, label=label, settings=settings)
                fresh = self._shown(who, row, secret)
            self.is_editing = False
            await self._refresh(who)
            for event in fresh:
                yield event
        finally:
            self.is_saving = False

    @handler
    async def renew(self, who: Principal, channel_id: str) -> Any:
        """Give a line a new secret and show it."""
        row, secret = await services().channel_setup.rotate_secret(who, self._find(channel_id).id)
        fresh = self._shown(who, row, secret)
        await self._refresh(who)
        for event in fresh:
            yield event

    @handler
    async def forget(self, who: Principal) -> Any:
        """The person has saved the secret: empty the fields."""
        self.is_fresh_shown = False
        yield rx.set_value(SECRET_FIELD, "")
        yield rx.set_value(PLAN_FIELD, "")

    @handler
    async def switch(self, who: Principal, channel_id: str, is_on: bool) -> None:
        """Let a line take calls, or stop it."""
        await services().channel_setup.set_on(who, self._find(channel_id).id, bool(is_on))
        await self._refresh(who)
        self._tell("phone.is_on_now" if is_on else "phone.is_off_now")

    @handler
    async def ask_delete(self, who: Principal, channel_id: str) -> None:
        """Ask before deleting."""
        item = self._find(channel_id)
        self.doomed_id, self.doomed_name = item.id, item.name

    @handler
    async def keep(self, who: Principal, is_open: bool) -> None:
        """Close the question without deleting."""
        if not is_open:
            self.doomed_id = ""

    @handler
    async def delete(self, who: Principal) -> None:
        """Delete the line that was asked about."""
        doomed, self.doomed_id = self.doomed_id, ""
        if doomed:
            await services().channel_setup.delete(who, self._find(doomed).id)
            await self._refresh(who)
            self._tell("phone.deleted")


def _settings(form: dict[str, Any]) -> dict[str, Any]:
    """Raises: InputInvalid."""
    language = str(form.get("language") or SAME)
    settings: dict[str, Any] = {name: text_of(form, name, limit=150) for name in _TEXTS}
    settings["language"] = "" if language == SAME else language
    for name, kind in _NUMBERS.items():
        text = text_of(form, name, limit=20).replace(",", ".")
        try:
            settings[name] = kind(text or getattr(EMPTY, name))
        except ValueError:
            raise InputInvalid("This is not a number.", field=name) from None
    settings["dial_template"] = settings["dial_template"] or EMPTY.dial_template
    return settings


def _more_settings(form: dict[str, Any], items: list[FieldItem]) -> dict[str, Any]:
    """A secret that is left empty stays as it is, and so does a number."""
    settings: dict[str, Any] = {}
    for item in items:
        if item.kind == "switch":
            settings[item.key] = bool(form.get(item.key))
            continue
        text = text_of(form, item.key, limit=400)
        if text or (item.key in form and item.kind != "password" and not item.default.isdecimal()):
            settings[item.key] = text
    return settings
