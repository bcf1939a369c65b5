"""Setting up channels that push: add, list, change, switch, give a new secret, delete."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.channel_links import Account
from graph_runtime.contract.connectors import Connector
from graph_runtime.contract.errors import BuilderError, InputInvalid, NotFound
from graph_runtime.contract.signatures import new_secret
from graph_runtime.engine.http import check_url
from graph_runtime.services.channel_doors import ChannelDoors
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.open_channels import PREVIOUS
from graph_runtime.services.phone_lines import new_line_secret
from graph_runtime.services.principal import Principal
from graph_runtime.services.vault import Vault
from graph_runtime.storage import audit, channel_links
from graph_runtime.storage import channels as rows
from graph_runtime.storage.database import Connection, Database, Row

KEPT_HOURS: Final = 24
SECRET: Final = "secret"  # noqa: S105 (the name of a field)


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A channel as it is shown, never with a secret. `path`: where the other side posts to, below our own address.

    `previous_until`: until when the secret before the present one is still taken.
    """

    id: str
    agent_id: str
    connector: str
    label: str
    path: str
    settings: dict[str, Any]
    is_on: bool
    paused_until: datetime | None
    previous_until: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ChannelLink:
    """A channel's account at its vendor and how events come in. `mode`: "webhook", "polling", or "" before the first try.

    `is_connected`: the vendor knows our address, or somebody asks it. `error_code` "" when nothing is wrong.
    """

    name: str
    link: str
    mode: str
    last_event_at: datetime | None
    last_ok_at: datetime | None
    error_code: str
    error: str
    error_at: datetime | None
    is_connected: bool


class ChannelSetup:
    """Editors set channels up; only who may change the workspace's settings lets one reach into the network."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        vault: Vault,
        clock: Clock = system_clock,
        doors: ChannelDoors | None = None,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._vault = vault
        self._clock = clock
        self._doors = doors or ChannelDoors()

    async def list(self, principal: Principal, agent_id: str) -> list[ChannelRow]:
        """The agent's channels that push, oldest first. Raises: AccessDenied, NotFound."""
        principal.require("agent.read")
        kinds = [c.id for c in self._catalog.connectors.values() if c.channel is not None]
        async with self._database.workspace(principal.workspace_id) as connection:
            await _agent(connection, agent_id)
            return [_shown(row) for row in await rows.of_agent(connection, agent_id, kinds)]

    async def create(
        self, principal: Principal, agent_id: str, connector: str, *, label: str = "", settings: Mapping[str, Any]
    ) -> tuple[ChannelRow, str]:
        """The channel, and the secret that was made for it ("" if none), which is shown now and never again.

        A vendor's account is looked at first: what it says of itself is kept, and one account serves one channel.
        Raises: AccessDenied, NotFound, InputInvalid, CredentialRejected, Unreachable, Conflict (account taken).
        """
        principal.require("agent.edit")
        kind = self._kind(connector)
        public, entered = _sorted(kind, settings)
        _require_admin(principal, {"base_url": _usual_address(kind)}, public)
        async with self._database.workspace(principal.workspace_id) as connection:
            await _agent(connection, agent_id)
        account = await self._identify(kind, public, entered)
        public |= account.settings if account else {}
        channel_id, public_id = str(uuid.uuid4()), secrets.token_urlsafe(16)
        secret = _new_secret(kind, public_id) if kind.channel and kind.channel.makes_secret else ""
        entered |= {SECRET: secret} if secret else {}
        async with self._database.workspace(principal.workspace_id) as connection:
            await _agent(connection, agent_id)
            sealed = await self._seal(connection, principal, (channel_id, 1), entered)
            values = {
                "id": channel_id, "agent_id": agent_id, "connector": kind.id, "public_id": public_id,
                "label": _label(label or (account.name if account else "")), "settings": public, "secrets": sealed, "secrets_version": 1,
            }  # fmt: skip
            await rows.insert(connection, values)
            if account is not None:
                await self._link(connection, channel_id, kind, account)
            await self._note(connection, principal, "channel.created", channel_id)
            return _shown(await _found(connection, channel_id)), secret

    async def update(
        self,
        principal: Principal,
        channel_id: str,
        *,
        label: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> ChannelRow:
        """Change the label, or settings; a setting left out keeps its value, a secret that is given replaces the old one.

        Raises: AccessDenied, NotFound, InputInvalid, VaultLocked.
        """
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, channel_id, for_update=True)
            kind = self._kind(row["connector"])
            public, entered = _sorted(kind, {**row["settings"], **(settings or {})})
            _require_admin(principal, row["settings"], public)
            if kind.channel is not None and kind.channel.identify is not None and settings:
                place = (row["id"], row["secrets_version"])
                known = await self._vault.open(connection, principal.workspace_id, place, row["secrets"])
                account = await self._identify(kind, public, {**known, **entered})
                assert account is not None
                public |= account.settings
                await self._link(connection, row["id"], kind, account)
            values = {"settings": public, "label": row["label"] if label is None else _label(label)}
            if entered:
                values |= await self._with_secrets(connection, principal, row, entered)
            await rows.change(connection, channel_id, values)
            await self._note(connection, principal, "channel.changed", channel_id)
            return _shown(await _found(connection, channel_id))

    async def set_on(self, principal: Principal, channel_id: str, is_on: bool) -> ChannelRow:
        """Switched off it takes nothing in, and what it has to send waits until it expires.

        Raises: AccessDenied, NotFound.
        """
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            await _found(connection, channel_id, for_update=True)
            await rows.change(connection, channel_id, {"is_on": is_on})
            await channel_links.wake(connection)
            action = "channel.switched_on" if is_on else "channel.switched_off"
            await self._note(connection, principal, action, channel_id)
            return _shown(await _found(connection, channel_id))

    async def rotate_secret(self, principal: Principal, channel_id: str) -> tuple[ChannelRow, str]:
        """A new secret, shown now and never again; the one before stays valid for a day.

        Raises: AccessDenied, NotFound, VaultLocked.
        """
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, channel_id, for_update=True)
            kind = self._kind(row["connector"])
            if kind.channel is None or not kind.channel.makes_secret:
                raise InputInvalid("The secret of this channel comes from its vendor. Enter the new one.", field=SECRET)
            secret = _new_secret(kind, row["public_id"])
            values = await self._with_secrets(connection, principal, row, {SECRET: secret})
            values["previous_until"] = row["at"] + timedelta(hours=KEPT_HOURS)
            await rows.change(connection, channel_id, values)
            await self._note(connection, principal, "channel.secret_changed", channel_id)
            return _shown(await _found(connection, channel_id)), secret

    async def delete(self, principal: Principal, channel_id: str) -> int:
        """Delete a channel; how many messages it had still to send: they become dead letters.

        Raises: AccessDenied, NotFound.
        """
        principal.require("agent.edit")
        await self._unsubscribe(principal, channel_id)
        async with self._database.workspace(principal.workspace_id) as connection:
            await _found(connection, channel_id, for_update=True)
            given_up = await rows.delete(connection, channel_id)
            await self._note(connection, principal, "channel.deleted", channel_id)
            return given_up

    async def links(self, principal: Principal, agent_id: str) -> dict[str, ChannelLink]:
        """How the agent's channels with an account at a vendor are doing, by channel. Raises: AccessDenied, NotFound."""
        principal.require("agent.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await _agent(connection, agent_id)
            found = await channel_links.of_agent(connection, agent_id)
        return {row["channel_id"]: ChannelLink(**{k: v for k, v in row.items() if k != "channel_id"}) for row in found}

    async def retry(self, principal: Principal, channel_id: str) -> None:
        """Connect again at once, whatever was wrong. Raises: AccessDenied, NotFound."""
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            await _found(connection, channel_id)
            await channel_links.retry_now(connection, channel_id)
            await channel_links.wake(connection)

    async def _identify(self, kind: Connector, public: Mapping[str, Any], entered: dict[str, str]) -> Account | None:
        if kind.channel is None or kind.channel.identify is None:
            return None
        given = {k: v for k, v in {**public, **entered}.items() if k in kind.settings.model_fields}
        settings = kind.settings.model_validate(given)
        async with asyncio.timeout(20):
            return await kind.channel.identify(settings, self._doors.of(kind.channel, settings))

    async def _link(self, connection: Connection, channel_id: str, kind: Connector, account: Account) -> None:
        about = {"id": account.id, "name": account.name, "link": account.link}
        await channel_links.insert(connection, channel_id, kind.id, about)
        await channel_links.wake(connection)

    async def _unsubscribe(self, principal: Principal, channel_id: str) -> None:
        """The vendor need not post to us any more; one that cannot be asked gets 404 from now on."""
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, channel_id)
            kind = self._kind(row["connector"])
            if kind.channel is None or kind.channel.subscribe is None:
                return
            with contextlib.suppress(BuilderError):
                place = (row["id"], row["secrets_version"])
                known = await self._vault.open(connection, principal.workspace_id, place, row["secrets"])
                given = {k: v for k, v in {**row["settings"], **known}.items() if k in kind.settings.model_fields}
        with contextlib.suppress(BuilderError, TimeoutError, ValidationError, UnboundLocalError):
            settings = kind.settings.model_validate(given)
            async with asyncio.timeout(10):
                await kind.channel.subscribe(settings, "", self._doors.of(kind.channel, settings))

    def _kind(self, connector: str) -> Connector:
        kind = self._catalog.connectors.get(connector)
        if kind is None or kind.channel is None:
            raise InputInvalid(f"There is no kind of channel “{connector}”.", field="connector", connector=connector)
        return kind

    async def _seal(
        self, connection: Connection, principal: Principal, place: tuple[str, int], plain: dict[str, str]
    ) -> dict[str, str]:
        return (await self._vault.seal(connection, principal.workspace_id, place, plain))[0]

    async def _with_secrets(
        self, connection: Connection, principal: Principal, row: Row, entered: dict[str, str]
    ) -> dict[str, Any]:
        """The columns for new secrets beside those that stay; a secret that Patchcord made is kept as the previous one."""
        place = (row["id"], row["secrets_version"])
        opened = await self._vault.open(connection, principal.workspace_id, place, row["secrets"])
        previous = {PREVIOUS: opened[SECRET]} if SECRET in entered and opened.get(SECRET) else {}
        version = row["secrets_version"] + 1
        sealed = await self._seal(connection, principal, (row["id"], version), {**opened, **previous, **entered})
        return {"secrets": sealed, "secrets_version": version}

    async def _note(self, connection: Connection, principal: Principal, action: str, channel_id: str) -> None:
        await audit.append(connection, principal.actor, action, {"channel": channel_id}, self._clock())


def _new_secret(kind: Connector, public_id: str) -> str:
    return new_line_secret(public_id) if kind.channel and kind.channel.secret_is_address else new_secret()


async def _found(connection: Connection, channel_id: str, *, for_update: bool = False) -> Row:
    row = await rows.get(connection, channel_id, for_update=for_update)
    if row is None or row["secrets_version"] == 0:
        raise NotFound("There is no such channel. It may have been deleted; reload the page.")
    return row


async def _agent(connection: Connection, agent_id: str) -> None:
    if not await rows.agent_exists(connection, agent_id):
        raise NotFound("This agent does not exist any more. Go back to the list of agents.")


def _sorted(kind: Connector, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """What may be shown, and the secrets a person entered; those Patchcord makes itself are nobody's to enter.

    Raises: InputInvalid.
    """
    hidden = kind.settings.secret_fields()
    made = {SECRET, PREVIOUS} if kind.channel is not None and kind.channel.makes_secret else set()
    try:
        settings = kind.settings.model_validate({k: v for k, v in values.items() if k not in made})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputInvalid(f"“{field}”: {first['msg']}. Correct it and save again.", field=field) from None
    public = {k: v for k, v in settings.model_dump(mode="json").items() if k not in hidden}
    public = {k: v.strip() if isinstance(v, str) else v for k, v in public.items()}
    for name in ("url", "base_url"):
        if name in public and not check_url(public[name]):
            raise InputInvalid("This is not an address to send to. It must begin with https:// or http://.", field=name)
    entered = {k: getattr(settings, k) for k in hidden - made}
    return public, {k: v.get_secret_value().strip() for k, v in entered.items() if v and v.get_secret_value().strip()}


def _usual_address(kind: Connector) -> str:
    """Where the vendor is unless somebody says otherwise: a secret goes nowhere else without an administrator."""
    field = kind.settings.model_fields.get("base_url")
    return str(field.default) if field is not None else ""


def _require_admin(principal: Principal, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """To reach into the network, or to turn a channel that may to another address, takes an administrator."""
    if any(after.get(key) and before.get(key) != after[key] for key in ("manager_address", "ari_address")):
        principal.require("settings.manage")
    if "base_url" in after and before.get("base_url") != after["base_url"]:
        principal.require("settings.manage")
    if not after.get("allow_private_host"):
        return
    if any(before.get(key) != after.get(key) for key in ("allow_private_host", "url", "base_url")):
        principal.require("settings.manage")


def _label(text: str) -> str:
    label = " ".join(text.split())
    if len(label) > 200:
        raise InputInvalid("A name has at most 200 characters.", field="label")
    return label


def _shown(row: Row) -> ChannelRow:
    return ChannelRow(
        id=row["id"],
        agent_id=row["agent_id"],
        connector=row["connector"],
        label=row["label"],
        path=f"/hooks/{row['connector']}/{row['public_id']}",
        settings=row["settings"],
        is_on=row["is_on"],
        paused_until=row["paused_until"] if row["paused_until"] and row["paused_until"] > row["at"] else None,
        previous_until=row["previous_until"] if row["previous_until"] and row["previous_until"] > row["at"] else None,
        created_at=row["created_at"],
    )
