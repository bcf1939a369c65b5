"""State of one event subscription: its log, sending again, trying it, changing it, its secret, deleting it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import reflex as rx

from builder_ui.pages.events_state import EventForm, SubscriptionItem, agents_of, subscription_item, wanted_of
from builder_ui.rows import moment
from builder_ui.session import handler, services
from graph_runtime.contract.errors import AccessDenied, NotFound
from graph_runtime.services.event_subscriptions import SubscriptionChange

if TYPE_CHECKING:
    from graph_runtime.services.event_log import EventDelivery
    from graph_runtime.services.principal import Principal

SECRET_FIELD: Final = "renewed_event_secret"  # noqa: S105 (the id of a field)
SHOWN: Final = 50
SINCE_HOURS: Final = (1, 24, 72)
LOOKS: Final = 20
LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True)
class DeliveryItem:
    """A line of the log. `payload` and `answer` only of the one that is open."""

    id: str = ""
    type: str = ""
    state: str = ""
    attempts: int = 0
    status: str = ""
    ms: int = 0
    reason: str = ""
    error: str = ""
    at: str = ""
    next_at: str = ""
    key: str = ""
    payload: str = ""
    answer: str = ""
    conversation_path: str = ""


def delivery_item(row: EventDelivery, *, is_open: bool = False) -> DeliveryItem:
    """From the services' row."""
    return DeliveryItem(
        id=row.id,
        type=row.type,
        state=row.state if row.state != "sending" else "pending",
        attempts=row.attempts,
        status="" if row.status is None else str(row.status),
        ms=row.ms or 0,
        reason=row.reason,
        error=row.error,
        at=moment(row.created_at),
        next_at=moment(row.next_attempt_at) if row.attempts else "",
        key=row.key,
        payload=json.dumps(row.payload, ensure_ascii=False, indent=2) if is_open else "",
        answer=row.answer if is_open else "",
        conversation_path=f"/conversations?id={row.conversation_id}" if row.conversation_id else "",
    )


class EventPage(EventForm):
    """A fresh secret is put straight into a field of the page and is never part of the state."""

    item: SubscriptionItem = SubscriptionItem()
    agents: list[str] = []
    log: list[DeliveryItem] = []
    filter: str = "all"
    has_more: bool = False
    opened: DeliveryItem = DeliveryItem()
    is_loaded: bool = False
    is_missing: bool = False
    is_fresh_shown: bool = False
    is_doomed: bool = False
    is_asking_since: bool = False
    is_testing: bool = False

    def _id(self) -> str:
        return str(self.router.url.path).rstrip("/").rsplit("/", 1)[-1]

    async def _refresh(self, who: Principal) -> None:
        row = await services().event_subscriptions.get(who, self._id())
        names = {a.id: a.name for a in await agents_of(who)} if row.agent_ids is not None else {}
        self.item = subscription_item(row)
        self.agents = [names[a] for a in row.agent_ids or () if a in names]
        await self._read(who)

    async def _read(self, who: Principal, before: str = "") -> None:
        state = None if self.filter == "all" else self.filter
        rows = await services().event_log.list(who, self._id(), state=state, before=before, limit=SHOWN)
        self.log = [*(self.log if before else ()), *map(delivery_item, rows)]
        self.has_more = len(rows) == SHOWN

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.is_loaded = self.is_missing = self.is_form_open = self.is_saving = self.is_fresh_shown = False
        self.is_doomed = self.is_asking_since = self.is_testing = False
        self.filter, self.opened, self.log = "all", DeliveryItem(), []
        try:
            await self._refresh(who)
        except (NotFound, AccessDenied):
            self.is_missing = True
            return
        self.is_loaded = True

    @handler
    async def refresh(self, who: Principal) -> None:
        """Look at the log anew."""
        await self._refresh(who)

    @handler
    async def choose(self, who: Principal, state: str) -> None:
        """Show only events of one state."""
        self.filter = state
        await self._read(who)

    @handler
    async def more(self, who: Principal) -> None:
        """Show older ones."""
        if self.log:
            await self._read(who, self.log[-1].id)

    @handler
    async def open(self, who: Principal, delivery_id: str) -> None:
        """Show what was sent and what came back."""
        self.opened = delivery_item(await services().event_log.get(who, self._id(), delivery_id), is_open=True)

    @handler
    async def close(self, who: Principal, is_open: bool) -> None:
        """Close what was shown."""
        if not is_open:
            self.opened = DeliveryItem()

    @handler
    async def replay(self, who: Principal, delivery_id: str) -> Any:
        """Send one event again."""
        await services().event_log.replay(who, self._id(), delivery_id)
        self.opened = DeliveryItem()
        self._tell("events.replayed", n=1)
        await self._refresh(who)
        yield EventPage.watch

    @handler
    async def ask_since(self, who: Principal, is_open: bool) -> None:
        """Ask since when, or close the question."""
        self.is_asking_since = bool(is_open)

    @handler
    async def replay_failed(self, who: Principal, hours: int) -> Any:
        """Send what was given up in the last hours again."""
        self.is_asking_since = False
        since = datetime.now(UTC) - timedelta(hours=min(max(int(hours), 1), 24 * 365))
        self._tell("events.replayed", n=await services().event_log.replay_failed(who, self._id(), since))
        await self._refresh(who)
        yield EventPage.watch

    @handler
    async def send_test(self, who: Principal) -> Any:
        """Send an event to try it, and watch it arrive."""
        await services().event_log.send_test(who, self._id())
        self.filter = "all"
        self._tell("events.test_sent")
        await self._refresh(who)
        yield EventPage.watch

    @handler(background=True)
    async def watch(self, who: Principal) -> None:
        """Look at the log until what was just sent has been tried, for ten seconds at most."""
        async with self:
            if self.is_testing:
                return
            self.is_testing, place = True, self._id()
        try:
            for _ in range(LOOKS):
                await asyncio.sleep(LOOK_SECONDS)
                async with self:
                    if self._id() != place:
                        return
                    await self._refresh(who)
                    if not any(d.state == "pending" and d.attempts == 0 for d in self.log):
                        return
        finally:
            async with self:
                self.is_testing = False

    @handler
    async def switch(self, who: Principal, is_on: bool) -> None:
        """Tell it again what happens, or stop."""
        await services().event_subscriptions.set_on(who, self._id(), bool(is_on))
        await self._refresh(who)
        self._tell("events.is_on_now" if is_on else "events.is_off_now")

    @handler
    async def begin(self, who: Principal) -> None:
        """Open the form with what is now."""
        await self._open_form(who, await services().event_subscriptions.get(who, self._id()))

    @handler
    async def save(self, who: Principal, form: dict[str, Any]) -> Any:
        """Change the subscription."""
        if self.is_saving or not self.is_form_open:
            return
        self.is_saving = True
        yield
        try:
            wanted = wanted_of(form)
            change = SubscriptionChange(**wanted, all_agents=wanted["agent_ids"] is None)
            await services().event_subscriptions.update(who, self._id(), change)
            self.is_form_open = False
            await self._refresh(who)
            self._tell("events.saved")
        finally:
            self.is_saving = False

    @handler
    async def renew(self, who: Principal) -> Any:
        """Make a new secret and show it."""
        _, secret = await services().event_subscriptions.rotate_secret(who, self._id())
        self.is_fresh_shown = True
        await self._refresh(who)
        yield rx.set_value(SECRET_FIELD, secret)

    @handler
    async def forget(self, who: Principal) -> Any:
        """The person has saved the secret: empty the field."""
        self.is_fresh_shown = False
        yield rx.set_value(SECRET_FIELD, "")

    @handler
    async def ask_delete(self, who: Principal) -> None:
        """Ask before deleting."""
        self.is_doomed = True

    @handler
    async def keep(self, who: Principal, is_open: bool) -> None:
        """Close the question without deleting."""
        if not is_open:
            self.is_doomed = False

    @handler
    async def delete(self, who: Principal) -> Any:
        """Delete the subscription and go back to the list."""
        if self.is_doomed:
            self.is_doomed = False
            await services().event_subscriptions.delete(who, self._id())
            self._tell("events.deleted")
            yield rx.redirect("/events")
