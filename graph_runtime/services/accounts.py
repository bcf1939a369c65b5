"""Members and their sessions: the first owner, signing in and out, one's own profile."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from graph_runtime.contract.errors import BuilderError, Conflict, InputInvalid, NotSignedIn, TooMany
from graph_runtime.contract.flow import LANGUAGES
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.passwords import Passwords, check_new_password
from graph_runtime.services.principal import PERMISSIONS, Principal, Role
from graph_runtime.storage import accounts as rows
from graph_runtime.storage import audit
from graph_runtime.storage.database import Database
from graph_runtime.telemetry.metrics import RATE_LIMITED

SESSION_LASTS = timedelta(days=30)
_REFRESH_AFTER = timedelta(hours=1)
_PER_ACCOUNT = 30
_PER_ADDRESS = 150
_FREE_ATTEMPTS = 5
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s]+|[^@\s]{1,64}@localhost")


class SignInRefused(BuilderError):
    """The e-mail address or the password is wrong; which one stays unsaid."""

    code = "sign_in_refused"
    status = 401


@dataclass(frozen=True, slots=True)
class SessionToken:
    """What the browser keeps. The token is shown here and nowhere else."""

    token: str
    expires_at: datetime
    principal: Principal

    @property
    def seconds(self) -> int:
        """How long it lasts when it is not used."""
        return int(SESSION_LASTS.total_seconds())

    def __repr__(self) -> str:
        return f"SessionToken(expires_at={self.expires_at})"


@dataclass(frozen=True, slots=True)
class Member:
    """A person who builds here."""

    id: str
    name: str
    email: str
    role: Role
    language: str
    theme: str
    workspace_id: str
    workspace: str
    """Its name."""


class Accounts:
    """Who may come in."""

    def __init__(self, database: Database, passwords: Passwords, clock: Clock = system_clock) -> None:
        self._database = database
        self._passwords = passwords
        self._clock = clock

    async def needs_owner(self) -> bool:
        """Whether this installation is new and its owner still has to be made."""
        async with self._database.system() as system:
            return not await rows.has_owner(system)

    async def create_owner(
        self, *, workspace: str, name: str, email: str, password: str, language: str
    ) -> SessionToken:
        """The first member, with a workspace; only while there is none.

        Raises: InputInvalid, Conflict
        """
        email = _email(email)
        check_new_password(password, email=email, name=name)
        member = {"name": _name(name, "name"), "email": email, "language": _language(language)}
        workspace = _name(workspace, "workspace")
        if not await self.needs_owner():
            raise _has_owner()
        member["password_hash"] = await self._passwords.hash(password)
        async with self._database.system() as system:
            made = await rows.create_first_owner(system, workspace=workspace, member=member)
        if made is None:
            raise _has_owner()
        return await self._new_session(made["workspace_id"], made["member_id"], "owner", "workspace.created")

    async def sign_in(self, email: str, password: str, *, address: str) -> SessionToken:
        """Raises: SignInRefused (the same for an unknown address), TooMany with when to try again."""
        email = email.strip().lower()[:320]
        now = self._clock()
        account = await self._take_attempt(email, {_limit_key("address", address): _PER_ADDRESS})
        async with self._database.system() as system:
            found = await rows.find_member(system, email)
        stored = found["password_hash"] if found else None
        if not await self._passwords.fits(password[:2000], stored) or found is None or stored is None:
            raise SignInRefused("The e-mail address or the password is wrong. Check both and try again.")
        async with self._database.system() as system:
            await rows.forget_sign_ins(system, account)
        async with self._database.workspace(found["workspace_id"]) as connection:
            member = await rows.member(connection, found["member_id"])
            await rows.drop_expired_sessions(connection, now)
        if self._passwords.is_outdated(stored):
            newer = await self._passwords.hash(password)
            async with self._database.workspace(found["workspace_id"]) as connection:
                await rows.update_member(connection, found["member_id"], {"password_hash": newer})
        role: Role = member["role"] if member else "viewer"
        return await self._new_session(found["workspace_id"], found["member_id"], role, "member.signed_in")

    async def principal(self, token: str) -> Principal:
        """Who holds this session token. Raises: NotSignedIn."""
        now = self._clock()
        async with self._database.system() as system:
            found = await rows.find_session(system, _token_hash(token), now) if token else None
        if found is None:
            raise NotSignedIn("Your session has ended. Sign in again; what you typed is kept.")
        principal = Principal(
            found["workspace_id"], found["member_id"], found["role"], PERMISSIONS[found["role"]], found["session_id"]
        )
        if now - found["used_at"] > _REFRESH_AFTER:
            async with self._database.workspace(principal.workspace_id) as connection:
                await rows.use_session(connection, found["session_id"], now, now + SESSION_LASTS)
        return principal

    async def sign_out(self, principal: Principal) -> None:
        """End this session; harmless when it has ended."""
        if principal.session_id is not None and principal.role != "api":
            async with self._database.workspace(principal.workspace_id) as connection:
                await rows.drop_session(connection, principal.session_id)

    async def me(self, principal: Principal) -> Member:
        """Raises: NotSignedIn."""
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await rows.member(connection, principal.member_id or "") if principal.member_id else None
        if row is None:
            raise NotSignedIn("Your session has ended. Sign in again.")
        return Member(**{name: row[name] for name in Member.__slots__})

    async def update_me(
        self, principal: Principal, *, name: str | None = None, language: str | None = None, theme: str | None = None
    ) -> Member:
        """Raises: InputInvalid, NotSignedIn."""
        if theme not in (None, "system", "light", "dark"):
            raise InputInvalid("The theme is system, light or dark.", field="theme")
        changes = {
            "name": None if name is None else _name(name, "name"),
            "language": None if language is None else _language(language),
            "theme": theme,
        }
        if principal.member_id is not None:
            async with self._database.workspace(principal.workspace_id) as connection:
                await rows.update_member(connection, principal.member_id, changes)
        return await self.me(principal)

    async def change_password(self, principal: Principal, *, old: str, new: str) -> None:
        """Every other session of the member ends.

        Raises: InputInvalid, NotSignedIn, TooMany
        """
        member = await self.me(principal)
        check_new_password(new, email=member.email, name=member.name)
        account = await self._take_attempt(member.email, {})
        async with self._database.system() as system:
            found = await rows.find_member(system, member.email)
        if not await self._passwords.fits(old, found["password_hash"] if found else None):
            raise InputInvalid("The present password is wrong. Check it and try again.", field="old")
        async with self._database.system() as system:
            await rows.forget_sign_ins(system, account)
        password_hash = await self._passwords.hash(new)
        async with self._database.workspace(principal.workspace_id) as connection:
            await rows.update_member(connection, member.id, {"password_hash": password_hash})
            await rows.drop_sessions(connection, member.id, but=principal.session_id)
            await audit.append(connection, principal.actor, "member.password_changed", {}, self._clock())

    async def _take_attempt(self, email: str, others: dict[bytes, int]) -> bytes:
        """Count one attempt at a password; the account's key, for forgetting them. Raises: TooMany."""
        now = self._clock()
        account = _limit_key("account", email)
        async with self._database.system() as system:
            limits = {account: _PER_ACCOUNT, **others}
            wait_until = await rows.take_sign_in(system, limits, now, free=_FREE_ATTEMPTS, pause_seconds=1)
        if wait_until is not None:
            RATE_LIMITED.labels("sign_in").inc()
            seconds = max(1, round((wait_until - now).total_seconds()))
            raise TooMany(
                f"There were too many attempts to sign in. Try again in {_span(seconds)}.",
                retry_after=float(seconds),
                seconds=seconds,
            )
        return account

    async def _new_session(self, workspace_id: str, member_id: str, role: Role, action: str) -> SessionToken:
        token = secrets.token_urlsafe(32)
        now = self._clock()
        row = {"workspace_id": workspace_id, "member_id": member_id, "token_hash": _token_hash(token), "now": now}
        async with self._database.workspace(workspace_id) as connection:
            session_id = await rows.add_session(connection, row | {"expires_at": now + SESSION_LASTS})
            principal = Principal(workspace_id, member_id, role, PERMISSIONS[role], session_id)
            await audit.append(connection, principal.actor, action, {"session_id": session_id}, now)
        return SessionToken(token, now + SESSION_LASTS, principal)


def _has_owner() -> Conflict:
    return Conflict("This installation already has an owner. Sign in instead.")


def _email(text: str) -> str:
    email = text.strip().lower()
    if len(email) > 320 or not _EMAIL.fullmatch(email):
        raise InputInvalid("This is not an e-mail address. It looks like name@example.org.", field="email")
    return email


def _name(text: str, field: str) -> str:
    name = " ".join(text.split())
    if not 1 <= len(name) <= 200:
        raise InputInvalid("A name has 1 to 200 characters.", field=field)
    return name


def _language(code: str) -> str:
    if code not in LANGUAGES:
        raise InputInvalid(f"The language is one of {', '.join(LANGUAGES)}.", field="language")
    return code


def _token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _limit_key(kind: str, value: str) -> bytes:
    return hashlib.sha256(f"{kind}|{value}".encode()).digest()


def _span(seconds: int) -> str:
    return f"{seconds} seconds" if seconds < 90 else f"{-(-seconds // 60)} minutes"
