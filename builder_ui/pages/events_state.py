"""State of the list of event subscriptions: making one, whose secret is shown once, and switching."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import reflex as rx

from builder_ui.rows import NamedItem, moment
from builder_ui.session import Session, handler, services, text_of
from graph_runtime.contract.errors import AccessDenied
from graph_runtime.services.event_subscriptions import EVENT_TYPES

if TYPE_CHECKING:
    from graph_runtime.services.event_subscriptions import SubscriptionRow
    from graph_runtime.services.principal import Principal

FRESH_FIELD: Final = "fresh_event_secret"
SUGGESTED: Final = ("flow.finished", "turn.failed", "message.undeliverable")
AGENTS_SHOWN: Final = 200


@dataclass(frozen=True)
class SubscriptionItem:
    """A subscription. `state`: works, waits (nothing was received yet), failing, paused, or why it is off."""

    id: str = ""
    name: str = ""
    url: str = ""
    description: str = ""
    types: list[str] = field(default_factory=list)
    path: str = ""
    is_on: bool = True
    state: str = ""
    state_at: str = ""
    previous_until: str = ""
    is_private: bool = False
    sent: int = 0
    waiting: int = 0
    failed: int = 0


@dataclass(frozen=True)
class AgentChoice:
    """An agent to be told about, in the form."""

    id: str
    name: str
    is_chosen: bool


def subscription_item(row: SubscriptionRow) -> SubscriptionItem:
    """From the services' row."""
    state, at = "waits", None
    if not row.is_on:
        state, at = f"off_{row.off_reason or 'member'}", row.off_at
    elif row.paused_until is not None:
        state, at = "paused", row.paused_until
    elif row.failing_since is not None:
        state, at = "failing", row.failing_since
    elif row.last_ok_at is not None:
        state, at = "works", row.last_ok_at
    return SubscriptionItem(
        id=row.id,
        name=row.description or row.url.partition("://")[2].partition("/")[0],
        url=row.url,
        description=row.description,
        types=list(row.types),
        path=f"/events/{row.id}",
        is_on=row.is_on,
        state=state,
        state_at=moment(at),
        previous_until=moment(row.previous_until),
        is_private=row.allow_private_host,
        sent=row.sent,
        waiting=row.waiting,
        failed=row.failed,
    )


async def agents_of(who: Principal) -> list[NamedItem]:
    """Those that a subscription may be about."""
    return [NamedItem(a.id, a.name) for a in await services().agents.list(who, limit=AGENTS_SHOWN)]


def wanted_of(form: dict[str, Any]) -> dict[str, Any]:
    """What the form of a subscription says. Raises: InputInvalid."""
    agent_ids = [key.partition(":")[2] for key, value in form.items() if str(key).startswith("agent:") and value]
    return {
        "url": text_of(form, "url", required=True, limit=2000),
        "types": [t for t in EVENT_TYPES if form.get(t)],
        "description": text_of(form, "description"),
        "agent_ids": None if form.get("all_agents") else agent_ids,
        "allow_private_host": bool(form.get("allow_private_host")),
    }


class EventForm(Session):
    """What the form of a subscription begins with; the same form makes one and changes one."""

    form_of: str = ""
    form_url: str = ""
    form_description: str = ""
    form_types: list[str] = list(SUGGESTED)
    form_agents: list[AgentChoice] = []
    is_for_all: bool = True
    is_private: bool = False
    is_form_open: bool = False
    is_saving: bool = False
    may_reach_inside: bool = False

    async def _open_form(self, who: Principal, row: SubscriptionRow | None) -> None:
        chosen = set(row.agent_ids or ()) if row is not None else set()
        self.form_of = row.id if row is not None else ""
        self.form_url = row.url if row is not None else ""
        self.form_description = row.description if row is not None else ""
        self.form_types = list(row.types) if row is not None else list(SUGGESTED)
        self.form_agents = [AgentChoice(a.id, a.name, a.id in chosen) for a in await agents_of(who)]
        self.is_for_all = row is None or row.agent_ids is None
        self.is_private = row is not None and row.allow_private_host
        self.may_reach_inside = "settings.manage" in who.scopes
        self.is_form_open = True

    @handler
    async def close_form(self, who: Principal, is_open: bool) -> None:
        """Close the form without saving."""
        if not is_open:
            self.is_form_open = False

    @handler
    async def choose_all(self, who: Principal, is_for_all: bool) -> None:
        """Tell about every agent, or let the person choose."""
        self.is_for_all = bool(is_for_all)


class Events(EventForm):
    """The list. A fresh secret is put straight into a field of the page and is never part of the state."""

    subscriptions: list[SubscriptionItem] = []
    is_loaded: bool = False
    may_manage: bool = True
    is_fresh_shown: bool = False

    async def _refresh(self, who: Principal) -> None:
        self.subscriptions = [subscription_item(row) for row in await services().event_subscriptions.list(who)]

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.is_form_open = self.is_saving = self.is_fresh_shown = False
        self.may_manage = True
        try:
            await self._refresh(who)
        except AccessDenied:
            self.subscriptions, self.may_manage = [], False
        self.is_loaded = True

    @handler
    async def begin(self, who: Principal) -> None:
        """Open the form for a new subscription."""
        await self._open_form(who, None)

    @handler
    async def save(self, who: Principal, form: dict[str, Any]) -> Any:
        """Make a subscription and show its secret."""
        if self.is_saving or not self.is_form_open:
            return
        self.is_saving = True
        yield
        try:
            wanted = wanted_of(form)
            _, secret = await services().event_subscriptions.create(
                who, wanted.pop("url"), wanted.pop("types"), **wanted
            )
            self.is_form_open, self.is_fresh_shown = False, True
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
    async def switch(self, who: Principal, subscription_id: str, is_on: bool) -> None:
        """Tell it again what happens, or stop."""
        await services().event_subscriptions.set_on(who, subscription_id, bool(is_on))
        await self._refresh(who)
        self._tell("events.is_on_now" if is_on else "events.is_off_now")
