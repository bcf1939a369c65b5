"""Keys for programs: shown once, kept as a hash, never able to do more than the member who made them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from graph_runtime.contract.errors import InputInvalid, NotFound, NotSignedIn
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.storage import accounts as rows
from graph_runtime.storage import audit
from graph_runtime.storage.database import Database

PREFIX = "pck_"
SCOPES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "conversations:write": frozenset({"conversation.write"}),
        "conversations:read": frozenset({"conversation.read"}),
        "conversations:answer": frozenset({"conversation.answer"}),
        "flows:read": frozenset({"agent.read"}),
        "flows:write": frozenset({"agent.read", "flow.edit"}),
        "flows:publish": frozenset({"agent.read", "flow.publish"}),
        "knowledge:read": frozenset({"knowledge.read"}),
        "knowledge:write": frozenset({"knowledge.read", "knowledge.edit"}),
        "events:read": frozenset({"event.read"}),
        "events:write": frozenset({"event.read", "event.manage"}),
    }
)
"""What a key may be allowed, and the permissions in it; credentials, settings and keys stay with people."""
_NOTE_USE_AFTER = timedelta(minutes=1)
TRUSTED_FOR = timedelta(seconds=3)
"""How long a key that was found is not looked up again: so long may a key still be heard that expired, or was
revoked in another process."""
_KEPT = 1000


@dataclass(frozen=True, slots=True)
class ApiKeyRow:
    """A key as it is listed; `prefix` is its beginning and end."""

    id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    creator: str


class ApiKeys:
    """Making, listing and revoking keys, and who holds one."""

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        self._database = database
        self._clock = clock
        self._seen: dict[bytes, tuple[datetime, Principal]] = {}

    async def create(
        self, principal: Principal, name: str, scopes: list[str], *, days: int | None = None
    ) -> tuple[ApiKeyRow, str]:
        """The key and its secret, which is shown now and never again.

        Raises: AccessDenied, InputInvalid
        """
        principal.require("api_key.manage")
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown or not scopes:
            raise InputInvalid(f"Choose from these rights: {', '.join(SCOPES)}.", field="scopes", unknown=unknown)
        principal.require(*(permission for scope in scopes for permission in SCOPES[scope]))
        name = " ".join(name.split())
        if not 1 <= len(name) <= 200:
            raise InputInvalid(
                "Give the key a name of 1 to 200 characters, such as the program that uses it.", field="name"
            )
        if days is not None and not 1 <= days <= 3650:
            raise InputInvalid("A key lasts 1 to 3650 days.", field="days")
        secret = PREFIX + secrets.token_urlsafe(32)
        now = self._clock()
        row = {
            "workspace_id": principal.workspace_id,
            "name": name,
            "shown": f"{secret[:8]}…{secret[-4:]}",
            "secret_hash": _hash(secret),
            "scopes": sorted(set(scopes)),
            "created_by": principal.member_id,
            "now": now,
            "expires_at": None if days is None else now + timedelta(days=days),
        }
        async with self._database.workspace(principal.workspace_id) as connection:
            made = await rows.add_api_key(connection, row)
            me = await rows.member(connection, principal.member_id) if principal.member_id else None
            await audit.append(connection, principal.actor, "api_key.created", {"api_key_id": made["id"]}, now)
        return _key(made | {"creator": me["name"] if me else ""}), secret

    async def list(self, principal: Principal) -> list[ApiKeyRow]:
        """Keys that were not revoked, newest first. Raises: AccessDenied."""
        principal.require("api_key.manage")
        async with self._database.workspace(principal.workspace_id) as connection:
            return [_key(row) for row in await rows.api_keys(connection)]

    async def revoke(self, principal: Principal, api_key_id: str) -> None:
        """From now on the key opens nothing. Raises: AccessDenied, NotFound."""
        principal.require("api_key.manage")
        async with self._database.workspace(principal.workspace_id) as connection:
            if not await rows.revoke_api_key(connection, api_key_id, self._clock()):
                raise NotFound("There is no such key, or it was revoked already. Reload the list.")
            self._seen.clear()
            await audit.append(
                connection, principal.actor, "api_key.revoked", {"api_key_id": api_key_id}, self._clock()
            )

    async def principal(self, secret: str) -> Principal:
        """Who holds this key; what ends it elsewhere is noticed within `TRUSTED_FOR`. Raises: NotSignedIn."""
        now, name = self._clock(), _hash(secret)
        seen = self._seen.get(name)
        if seen is not None and now < seen[0]:
            return seen[1]
        principal = await self._look_up(secret, name, now)
        if len(self._seen) >= _KEPT:
            self._seen.clear()
        self._seen[name] = (now + TRUSTED_FOR, principal)
        return principal

    async def _look_up(self, secret: str, name: bytes, now: datetime) -> Principal:
        # Asked for every request: one statement that commits itself, not a transaction around it.
        async with self._database.direct() as connection:
            found = await rows.find_api_key(connection, name, now) if secret.startswith(PREFIX) else None
        if found is None or found["creator_role"] is None:
            raise NotSignedIn(
                "This API key is unknown, expired or revoked. Send “Authorization: Bearer pck_…” with a key from "
                "Settings → API keys."
            )
        if found["used_at"] is None or now - found["used_at"] > _NOTE_USE_AFTER:
            async with self._database.workspace(found["workspace_id"]) as connection:
                await rows.use_api_key(connection, found["api_key_id"], now)
        return Principal(
            found["workspace_id"],
            found["created_by"],
            "api",
            _allowed(found["scopes"], PERMISSIONS[found["creator_role"]]),
            found["api_key_id"],
        )


def _allowed(scopes: Iterable[str], creator: frozenset[str]) -> frozenset[str]:
    """The scopes the creator may still give, with their permissions."""
    kept = [scope for scope in scopes if SCOPES.get(scope, frozenset({""})) <= creator]
    return frozenset(kept).union(*(SCOPES[scope] for scope in kept))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _key(row: dict[str, Any]) -> ApiKeyRow:
    return ApiKeyRow(
        id=row["id"],
        name=row["name"],
        prefix=row["shown"],
        scopes=tuple(row["scopes"]),
        created_at=row["created_at"],
        last_used_at=row["used_at"],
        expires_at=row["expires_at"],
        creator=row["creator"] or "",
    )
