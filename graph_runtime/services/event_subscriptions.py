"""Event subscriptions: who is told what happens, at which address, signed with which secret."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from graph_runtime.contract.errors import InputInvalid, NotFound
from graph_runtime.contract.signatures import new_secret
from graph_runtime.engine.http import check_url
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.principal import Principal
from graph_runtime.services.vault import Vault
from graph_runtime.storage import audit
from graph_runtime.storage import event_subscriptions as rows
from graph_runtime.storage.database import Connection, Database, Row

EVENT_TYPES: Final = (
    "conversation.started",
    "conversation.ended",
    "conversation.handed_off",
    "conversation.accepted",
    "conversation.returned",
    "turn.ended",
    "turn.failed",
    "flow.finished",
    "flow.published",
    "message.held",
    "message.decided",
    "message.undeliverable",
)
"""What can be subscribed to, as migrations 0006 and later write them; screens explain by these."""
SECRET: Final = "secret"  # noqa: S105 (the name of a field)
PREVIOUS: Final = "previous_secret"
OVERLAP_HOURS: Final = 24
MOST_OVERLAP_HOURS: Final = 168
MOST_SUBSCRIPTIONS: Final = 50
COUNTED_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class SubscriptionRow:
    """A subscription as it is shown, never with a secret. `agent_ids` None: every agent.

    `off_reason` while off: "member", "failing" (days without one success) or "gone" (the receiver answered 410).
    `failing_since`: the first failure after the last success. `sent`, `waiting`, `failed`: events of the last 7 days.
    """

    id: str
    url: str
    description: str
    types: tuple[str, ...]
    agent_ids: tuple[str, ...] | None
    allow_private_host: bool
    is_on: bool
    off_reason: str
    off_at: datetime | None
    failing_since: datetime | None
    last_ok_at: datetime | None
    paused_until: datetime | None
    previous_until: datetime | None
    created_at: datetime
    sent: int
    waiting: int
    failed: int


@dataclass(frozen=True, slots=True)
class SubscriptionChange:
    """What changes; None leaves it. `all_agents`: drop the choice of agents."""

    url: str | None = None
    description: str | None = None
    types: Sequence[str] | None = None
    agent_ids: Sequence[str] | None = None
    all_agents: bool = False
    allow_private_host: bool | None = None


class EventSubscriptions:
    """Whoever may manage events; letting one reach into the network takes who may change the workspace's settings."""

    def __init__(self, database: Database, vault: Vault, clock: Clock = system_clock) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock

    async def list(self, principal: Principal) -> list[SubscriptionRow]:
        """All of the workspace, oldest first. Raises: AccessDenied."""
        principal.require("event.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            counts = await rows.counts(connection, COUNTED_DAYS)
            return [_shown(row, counts.get(row["id"], {})) for row in await rows.listed(connection)]

    async def get(self, principal: Principal, subscription_id: str) -> SubscriptionRow:
        """Raises: AccessDenied, NotFound."""
        principal.require("event.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return await self._row(connection, subscription_id)

    async def create(
        self,
        principal: Principal,
        url: str,
        types: Sequence[str],
        *,
        description: str = "",
        agent_ids: Sequence[str] | None = None,
        allow_private_host: bool = False,
    ) -> tuple[SubscriptionRow, str]:
        """The subscription, and its secret, which is shown now and never again.

        Raises: AccessDenied, InputInvalid.
        """
        principal.require("event.manage")
        if allow_private_host:
            principal.require("settings.manage")
        subscription_id, secret = str(uuid.uuid4()), new_secret()
        values: dict[str, Any] = {
            "id": subscription_id, "url": _url(url, allow_private_host=allow_private_host), "types": _types(types),
            "description": _description(description), "allow_private_host": allow_private_host,
        }  # fmt: skip
        async with self._database.workspace(principal.workspace_id) as connection:
            if len(await rows.listed(connection)) >= MOST_SUBSCRIPTIONS:
                raise InputInvalid(
                    f"A workspace has at most {MOST_SUBSCRIPTIONS} subscriptions. Delete one first.", field="url"
                )
            values["agent_ids"] = await _agents(connection, agent_ids)
            place = (subscription_id, 1)
            values["secrets"], _ = await self._vault.seal(connection, principal.workspace_id, place, {SECRET: secret})
            await rows.insert(connection, values)
            await self._note(connection, principal, "created", subscription_id)
            return await self._row(connection, subscription_id), secret

    async def update(
        self, principal: Principal, subscription_id: str, change: SubscriptionChange
    ) -> SubscriptionRow:  # fmt: skip
        """Change what is given. Events that wait go to the new address. Raises: AccessDenied, NotFound, InputInvalid."""
        principal.require("event.manage")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, subscription_id, for_update=True)
            reaches = row["allow_private_host"] if change.allow_private_host is None else change.allow_private_host
            url = row["url"] if change.url is None else change.url
            if reaches and (url, reaches) != (row["url"], row["allow_private_host"]):
                principal.require("settings.manage")
            values: dict[str, Any] = {"url": _url(url, allow_private_host=reaches), "allow_private_host": reaches}
            if change.description is not None:
                values["description"] = _description(change.description)
            if change.types is not None:
                values["types"] = _types(change.types)
            if change.all_agents or change.agent_ids is not None:
                values["agent_ids"] = await _agents(connection, None if change.all_agents else change.agent_ids)
            await rows.change(connection, row["id"], values)
            await self._note(connection, principal, "changed", row["id"])
            return await self._row(connection, row["id"])

    async def set_on(self, principal: Principal, subscription_id: str, is_on: bool) -> SubscriptionRow:
        """Switched off, nothing is noted for it any more; what waits is kept until it expires.

        Raises: AccessDenied, NotFound.
        """
        principal.require("event.manage")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, subscription_id, for_update=True)
            if row["is_on"] != is_on:
                reason, at = ("", None) if is_on else ("member", row["at"])
                values = {"is_on": is_on, "off_reason": reason, "off_at": at}
                # Days of failures that were before do not count against a new beginning.
                fresh: dict[str, Any] = {"failing_since": None, "paused_until": None} if is_on else {}
                await rows.change(connection, row["id"], values | fresh)
                await rows.wake(connection)
                await self._note(connection, principal, "switched_on" if is_on else "switched_off", row["id"])
            return await self._row(connection, row["id"])

    async def rotate_secret(
        self, principal: Principal, subscription_id: str, *, overlap_hours: int = OVERLAP_HOURS
    ) -> tuple[SubscriptionRow, str]:
        """A new secret, shown now and never again; until the overlap is over, events carry both signatures.

        Raises: AccessDenied, NotFound, InputInvalid, VaultLocked.
        """
        principal.require("event.manage")
        if not 0 <= overlap_hours <= MOST_OVERLAP_HOURS:
            raise InputInvalid(f"The overlap is 0 to {MOST_OVERLAP_HOURS} hours.", field="overlap_hours")
        secret = new_secret()
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, subscription_id, for_update=True)
            place = (row["id"], row["secrets_version"])
            opened = await self._vault.open(connection, principal.workspace_id, place, row["secrets"])
            plain = {SECRET: secret, PREVIOUS: opened[SECRET]} if overlap_hours else {SECRET: secret}
            version = row["secrets_version"] + 1
            sealed, _ = await self._vault.seal(connection, principal.workspace_id, (row["id"], version), plain)
            until = row["at"] + timedelta(hours=overlap_hours) if overlap_hours else None
            values = {"secrets": sealed, "secrets_version": version, "previous_until": until}
            await rows.change(connection, row["id"], values)
            await self._note(connection, principal, "secret_changed", row["id"])
            return await self._row(connection, row["id"]), secret

    async def delete(self, principal: Principal, subscription_id: str) -> None:
        """Delete it with its log; what waits is not sent. Raises: AccessDenied, NotFound."""
        principal.require("event.manage")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, subscription_id, for_update=True)
            await rows.delete(connection, row["id"])
            await self._note(connection, principal, "deleted", row["id"])

    async def _row(self, connection: Connection, subscription_id: str) -> SubscriptionRow:
        row = await _found(connection, subscription_id)
        return _shown(row, (await rows.counts(connection, COUNTED_DAYS)).get(row["id"], {}))

    async def _note(self, connection: Connection, principal: Principal, what: str, subscription_id: str) -> None:
        ids = {"event_subscription": subscription_id}
        await audit.append(connection, principal.actor, f"event_subscription.{what}", ids, self._clock())


async def _found(connection: Connection, subscription_id: str, *, for_update: bool = False) -> Row:
    row = await rows.get(connection, subscription_id, for_update=for_update) if is_uuid(subscription_id) else None
    if row is None:
        raise NotFound("There is no such subscription. It may have been deleted; reload the page.")
    return row


def _url(url: str, *, allow_private_host: bool) -> str:
    url = url.strip()
    if len(url) > 2000 or not check_url(url):
        raise InputInvalid("This is not an address to send to. It must begin with https://.", field="url")
    if url.startswith("http://") and not allow_private_host:
        raise InputInvalid(
            "Events travel over the open internet, so the address must begin with https://.", field="url"
        )
    return url


def _types(types: Sequence[str]) -> list[str]:
    unknown = sorted(set(types) - set(EVENT_TYPES))
    if unknown or not types:
        raise InputInvalid(f"Choose from these types: {', '.join(EVENT_TYPES)}.", field="types", unknown=unknown)
    return [t for t in EVENT_TYPES if t in types]


def _description(text: str) -> str:
    text = " ".join(text.split())
    if len(text) > 200:
        raise InputInvalid("A description has at most 200 characters.", field="description")
    return text


async def _agents(connection: Connection, agent_ids: Sequence[str] | None) -> list[str] | None:
    if agent_ids is None:
        return None
    wanted = list(dict.fromkeys(agent_ids))
    if not wanted or not all(map(is_uuid, wanted)) or await rows.known_agents(connection, wanted) != set(wanted):
        raise InputInvalid("Choose agents of this workspace, or all of them.", field="agent_ids")
    return wanted


def _shown(row: Row, counts: Mapping[str, int]) -> SubscriptionRow:
    def future(key: str) -> datetime | None:
        return row[key] if row[key] and row[key] > row["at"] else None

    return SubscriptionRow(
        id=row["id"],
        url=row["url"],
        description=row["description"],
        types=tuple(row["types"]),
        agent_ids=None if row["agent_ids"] is None else tuple(str(a) for a in row["agent_ids"]),
        allow_private_host=row["allow_private_host"],
        is_on=row["is_on"],
        off_reason=row["off_reason"],
        off_at=row["off_at"],
        failing_since=row["failing_since"],
        last_ok_at=row["last_ok_at"],
        paused_until=future("paused_until"),
        previous_until=future("previous_until"),
        created_at=row["created_at"],
        sent=counts.get("sent", 0),
        waiting=counts.get("pending", 0) + counts.get("sending", 0) + counts.get("held", 0),
        failed=counts.get("failed", 0),
    )
