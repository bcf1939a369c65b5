"""Access by OAuth 2: granted in a browser with state and PKCE, kept in the vault, renewed once however many ask."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import random
import secrets
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import structlog

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.connectors import Connector, CredentialSettings, OAuthAddresses, OAuthOffer
from graph_runtime.contract.errors import (
    BadAnswer,
    ConnectorError,
    CredentialRejected,
    InputInvalid,
    NotFound,
    RateLimited,
    Unreachable,
)
from graph_runtime.contract.outside_words import failure, sentence
from graph_runtime.services.bound_models import saved_settings
from graph_runtime.services.channel_doors import ChannelDoors
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.principal import Principal
from graph_runtime.services.vault import Vault
from graph_runtime.storage import audit
from graph_runtime.storage import credentials as credential_rows
from graph_runtime.storage import oauth as rows
from graph_runtime.storage.database import Connection, Database, Row

log = structlog.get_logger(__name__)
VISIT_SECONDS: Final = 900
TOKEN_SECONDS: Final = 15.0
FRESH: Final = (0.72, 0.8)
"""Tokens are renewed between these parts of their life, so that not all are renewed at once."""
DUE_AT_ONCE: Final = 50
ACCESS, REFRESH, PREVIOUS = "access_token", "refresh_token", "previous_refresh_token"
NOT_CONNECTED = sentence("not_connected")
LOST = sentence("access_lost")
STALE_VISIT = (
    "This sign-in is over: it was used already, took too long, or was begun by somebody else. Press “Connect” again."
)


class _GrantInvalid(CredentialRejected):
    """The vendor does not know this grant (any more)."""


@dataclass(frozen=True, slots=True)
class Access:
    """A token to use now; `refreshes` counts how often it was renewed, so that a newer one can be told from it."""

    token: str
    refreshes: int


@dataclass(frozen=True, slots=True)
class _Tokens:
    access: str
    refresh: str
    life: float | None

    @property
    def fresh(self) -> float | None:
        return None if self.life is None else self.life * random.uniform(*FRESH)  # noqa: S311  # spreads load


class OAuth:
    """One for a process. `redirect_uri`: where vendors send people back to."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        vault: Vault,
        redirect_uri: str,
        doors: ChannelDoors | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._vault = vault
        self._doors = doors or ChannelDoors()
        self._clock = clock
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.redirect_uri = redirect_uri

    async def close(self) -> None:
        """Close idle connections."""
        await self._doors.close()

    async def begin(self, principal: Principal, credential_id: str) -> str:
        """The vendor's address that asks the member for access. Raises: AccessDenied, NotFound, InputInvalid."""
        principal.require("credential.manage")
        if principal.member_id is None:
            raise InputInvalid("Only a person can grant access: open the address in a browser where you are signed in.")
        state, verifier, visit = secrets.token_urlsafe(32), secrets.token_urlsafe(48), str(uuid.uuid4())
        async with self._database.workspace(principal.workspace_id) as connection:
            _, _, to = await self._open(connection, principal.workspace_id, credential_id)
            place = (visit, 1)
            sealed, _ = await self._vault.seal(connection, principal.workspace_id, place, {"verifier": verifier})
            values = {
                "state_hash": _hash(state), "credential_id": credential_id, "member_id": principal.member_id,
                "id": visit, "secrets": sealed, "redirect_uri": self.redirect_uri,
            }  # fmt: skip
            await rows.begin(connection, values, seconds=VISIT_SECONDS)
        asked = {
            "response_type": "code", "client_id": to.client_id, "redirect_uri": self.redirect_uri, "state": state,
            "code_challenge": _challenge(verifier), "code_challenge_method": "S256",
        } | ({"scope": to.scope} if to.scope else {})  # fmt: skip
        return f"{to.authorize_url}{'&' if urlsplit(to.authorize_url).query else '?'}{urlencode(asked)}"

    async def finish(self, principal: Principal, *, state: str, code: str, error: str = "") -> str:
        """Take what the vendor sent back with the member; the credential that has access now.

        Raises: AccessDenied, InputInvalid (this visit is over), CredentialRejected, Unreachable …
        """
        principal.require("credential.manage")
        workspace_id = principal.workspace_id
        async with self._database.workspace(workspace_id) as connection:
            visit = await rows.take(connection, _hash(state), principal.member_id or "")
        if visit is None:
            raise InputInvalid(STALE_VISIT, field="state")
        if error or not code:
            raise InputInvalid("The access was not granted. Press “Connect” again when you want to.", field="code")
        async with self._database.workspace(workspace_id) as connection:
            kind, settings, to = await self._open(connection, workspace_id, visit["credential_id"])
            place = (visit["id"], visit["secrets_version"])
            verifier = (await self._vault.open(connection, workspace_id, place, visit["secrets"]))["verifier"]
        asked = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        tokens = await self._ask(kind, settings, to, asked | {"redirect_uri": visit["redirect_uri"]})
        async with self._database.workspace(workspace_id) as connection:
            if await credential_rows.get_credential(connection, visit["credential_id"], for_update=True) is None:
                raise NotFound("This connection was deleted meanwhile.")
            access_id = str(uuid.uuid4())
            sealed, _ = await self._vault.seal(connection, workspace_id, (access_id, 1), _kept(tokens))
            values = {
                "id": access_id, "credential_id": visit["credential_id"], "secrets": sealed, "life": tokens.life,
                "fresh": tokens.fresh, "redirect_uri": visit["redirect_uri"],
            }  # fmt: skip
            await rows.grant(connection, values)
            noted = {"credential_id": visit["credential_id"]}
            await audit.append(connection, principal.actor, "credential.connected", noted, self._clock())
        return str(visit["credential_id"])

    async def access(self, workspace_id: str, credential_id: str) -> Access:
        """A token that is good for a while. For the program itself, a published flow asks.

        Raises: CredentialRejected when somebody has to connect again, Unreachable … while the old token is over.
        """
        async with self._database.workspace(workspace_id) as connection:
            row = await rows.get(connection, credential_id)
            access = await self._opened(connection, workspace_id, row)
        assert row is not None
        if row["refresh_after"] is None or row["at"] < row["refresh_after"]:
            return access
        try:
            return await self.renew(workspace_id, credential_id, access)
        except CredentialRejected:
            raise
        except ConnectorError:
            if row["expires_at"] > row["at"]:
                return access  # the vendor's sign-in rests; the token still works
            raise

    async def renew(self, workspace_id: str, credential_id: str, old: Access) -> Access:
        """A token newer than `old`: whoever comes first asks the vendor, the others find what came.

        Raises: CredentialRejected, Unreachable, RateLimited, BadAnswer.
        """
        lost: CredentialRejected | None = None
        token = ""
        async with self._locks[credential_id], self._database.workspace(workspace_id) as connection:
            row = await rows.get(connection, credential_id, for_update=True)
            present = await self._opened(connection, workspace_id, row)
            if row is None or present.refreshes != old.refreshes:
                return present
            kind, settings, to = await self._open(connection, workspace_id, credential_id)
            place = (row["id"], row["secrets_version"])
            known = await self._vault.open(connection, workspace_id, place, row["secrets"])
            try:
                tokens, used = await self._renewed(kind, settings, to, row, known)
            except CredentialRejected as error:
                # Committed, unlike the block that a raised error would roll back.
                await rows.lose(connection, row["id"], error.message)
                await audit.append(
                    connection, "system", "credential.lost_access", {"credential_id": credential_id}, self._clock()
                )
                lost = error
            else:
                version = row["secrets_version"] + 1
                kept = _kept(tokens, otherwise=used) | {PREVIOUS: used}
                sealed, _ = await self._vault.seal(connection, workspace_id, (row["id"], version), kept)
                values = {"secrets": sealed, "version": version, "life": tokens.life, "fresh": tokens.fresh}
                await rows.renew(connection, row["id"], values)
                token = tokens.access
        if lost is not None:
            log.error("credential_needs_reconnect", credential_id=credential_id, workspace_id=workspace_id)
            raise lost
        return Access(token, old.refreshes + 1)

    async def renew_due(self) -> int:
        """Renew what grows old unused, for every workspace; how many."""
        async with self._database.system() as system:
            due = await rows.due(system, DUE_AT_ONCE)
        done = 0
        for workspace_id, credential_id in due:
            try:
                await self.access(workspace_id, credential_id)
                done += 1
            except ConnectorError as error:
                log.warning("access_not_renewed", credential_id=credential_id, code=error.code)
        return done

    async def _renewed(
        self, kind: Connector, settings: CredentialSettings, to: OAuthAddresses, row: Row, known: Mapping[str, str]
    ) -> tuple[_Tokens, str]:
        """New tokens and the refresh token they were got with. Raises: CredentialRejected, Unreachable …"""
        offer = _offer(kind)
        last: CredentialRejected = CredentialRejected(LOST)
        for token in dict.fromkeys(t for t in (known.get(REFRESH), known.get(PREVIOUS)) if t):
            asked = {"grant_type": "refresh_token", "refresh_token": token}
            if offer.redirect_in_token_call:
                asked["redirect_uri"] = row["redirect_uri"]
            try:
                return await self._ask(kind, settings, to, asked), token
            except _GrantInvalid as error:
                last = error
        raise CredentialRejected(LOST) from last

    async def _ask(
        self, kind: Connector, settings: CredentialSettings, to: OAuthAddresses, asked: Mapping[str, str]
    ) -> _Tokens:
        """Raises: _GrantInvalid, CredentialRejected, RateLimited, Unreachable, BadAnswer."""
        offer = _offer(kind)
        body: dict[str, str] = {"client_id": to.client_id, "client_secret": to.client_secret, **asked}
        headers = {"Accept": "application/json"}
        sent: Any = body
        if not offer.sends_json:
            headers["Content-Type"], sent = "application/x-www-form-urlencoded", urlencode(body)
        private = kind.http.auth(settings, "").private_host if kind.http else ""
        door = self._doors.guarded(private)
        answer = await door.exchange("POST", to.token_url, headers=headers, body=sent, seconds=TOKEN_SECONDS)
        return _tokens(answer.status, answer.body)

    async def _open(
        self, connection: Connection, workspace_id: str, credential_id: str
    ) -> tuple[Connector, CredentialSettings, OAuthAddresses]:
        row = await credential_rows.get_credential(connection, credential_id)
        if row is None:
            raise NotFound("There is no such connection. It may have been deleted; reload the list.")
        kind = self._catalog.connectors.get(row["connector"])
        if kind is None or kind.oauth is None:
            raise InputInvalid("This connection does not sign in through a browser.", field="connector")
        settings = await saved_settings(self._vault, connection, workspace_id, kind, row)
        to = kind.oauth.addresses(settings)
        if to is None:
            raise InputInvalid("This connection uses a token of its own and needs no sign-in.", field="connector")
        return kind, settings, to

    async def _opened(self, connection: Connection, workspace_id: str, row: Row | None) -> Access:
        if row is None:
            raise CredentialRejected(NOT_CONNECTED)
        if row["state"] != "ready":
            raise CredentialRejected(row["problem"] or LOST)
        sealed = {ACCESS: row["secrets"][ACCESS]}
        opened = await self._vault.open(connection, workspace_id, (row["id"], row["secrets_version"]), sealed)
        return Access(opened[ACCESS], row["refreshes"])


def _offer(kind: Connector) -> OAuthOffer:
    assert kind.oauth is not None
    return kind.oauth


def _kept(tokens: _Tokens, otherwise: str = "") -> dict[str, str]:
    """A vendor that sends no new refresh token goes on with the old one."""
    kept = {ACCESS: tokens.access, REFRESH: tokens.refresh or otherwise}
    return {name: token for name, token in kept.items() if token}


def _tokens(status: int, body: bytes) -> _Tokens:
    try:
        data = json.loads(body)
    except ValueError:
        data = {}
    data = data if isinstance(data, dict) else {}
    if status == 200 and isinstance(data.get(ACCESS), str):
        life = data.get("expires_in")
        seconds = float(life) if isinstance(life, int | float) and life > 0 else None
        return _Tokens(data[ACCESS], str(data.get(REFRESH) or ""), seconds)
    error = str(data.get("error") or data.get("hint") or "")
    if status == 429:
        raise failure(RateLimited, "sign_in_pause")
    if status >= 500:
        raise failure(Unreachable, "sign_in_away")
    if error == "invalid_grant" or (status == 400 and not error):
        raise _GrantInvalid(LOST)
    if 400 <= status < 500:
        raise failure(CredentialRejected, "sign_in_refused", said=(error or str(status))[:80])
    raise failure(BadAnswer, "sign_in_unreadable")


def _hash(state: str) -> bytes:
    return hashlib.sha256(state.encode("utf-8", "replace")).digest()


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
