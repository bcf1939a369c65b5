"""Credentials: entering, checking and deleting them; secrets go in and never come out."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.connectors import CheckResult, Connector, CredentialSettings
from graph_runtime.contract.errors import BuilderError, Conflict, InputInvalid, NotFound, StillUsed
from graph_runtime.contract.http import host_of
from graph_runtime.contract.outside_words import sentence
from graph_runtime.services.bound_connections import BoundConnections
from graph_runtime.services.bound_models import saved_settings
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.principal import Principal
from graph_runtime.services.vault import Vault
from graph_runtime.storage import audit, knowledge_copies
from graph_runtime.storage import credentials as rows
from graph_runtime.storage import oauth as access_rows
from graph_runtime.storage.database import Connection, Database, Row

CHECK_SECONDS = 25.0
_HINT_FROM = 12
"""Secrets shorter than this show none of their characters."""


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """A credential as it is shown: `settings` without secrets, `hints` with the last characters of each secret."""

    id: str
    connector: str
    label: str
    settings: dict[str, Any]
    hints: dict[str, str]
    check_ok: bool | None
    check_message: str
    checked_at: datetime | None
    models: tuple[str, ...]
    used_by: int
    agents: tuple[str, ...]
    created_at: datetime
    only_agents: tuple[str, ...] | None = None
    """Ids of the agents that it serves; None: all. `only_names`: those that there still are."""
    only_names: tuple[str, ...] = ()
    access: str = ""
    """Of OAuth: "none", "ready" or "needs_reconnect"; "" when nothing is granted in a browser."""
    last_used_at: datetime | None = None
    hears: str = ""
    """Whether changes in a customer system are heard: "off", "told", "by_hand" or "failed"; "" where it cannot tell of any."""
    hook_id: str = ""
    hook_problem: str = ""
    heard_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """One connection slot of an agent that a credential serves."""

    agent_id: str
    agent: str
    is_on: bool
    slot: str
    model: str


@dataclass(frozen=True, slots=True)
class _Entered:
    """What a person entered, sorted by where it goes."""

    public: dict[str, Any]
    secrets: dict[str, str]


CredentialRows = list[CredentialRow]


class Credentials:
    """The workspace's keys to outside systems."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        vault: Vault,
        clock: Clock = system_clock,
        connections: BoundConnections | None = None,
    ) -> None:
        self._connections = connections
        self._database = database
        self._catalog = catalog
        self._vault = vault
        self._clock = clock

    def connectors(self) -> list[Connector]:
        """What can be connected, those that need no credential last."""
        return sorted(self._catalog.connectors.values(), key=lambda c: (not c.needs_credential, c.label))

    async def list(self, principal: Principal, *, for_agent: str = "") -> CredentialRows:
        """Newest first, never with a secret; `for_agent`: those that serve this agent. Raises: AccessDenied."""
        principal.require("credential.use")
        async with self._database.workspace(principal.workspace_id) as connection:
            found = [self._shown(row) for row in await rows.list_credentials(connection)]
        return [row for row in found if not for_agent or row.only_agents is None or for_agent in row.only_agents]

    async def get(self, principal: Principal, credential_id: str) -> CredentialRow:
        """Raises: AccessDenied, NotFound."""
        principal.require("credential.use")
        async with self._database.workspace(principal.workspace_id) as connection:
            return self._shown(await _found(connection, credential_id))

    async def create(
        self, principal: Principal, connector: str, label: str, values: Mapping[str, Any]
    ) -> CredentialRow:
        """Raises: AccessDenied, InputInvalid with the field."""
        principal.require("credential.manage")
        kind = self._connector(connector)
        entered = _sort(kind, values)
        credential_id = str(uuid.uuid4())
        async with self._database.workspace(principal.workspace_id) as connection:
            sealed, number = await self._vault.seal(
                connection, principal.workspace_id, (credential_id, 1), entered.secrets
            )
            row = {
                "id": credential_id,
                "connector": kind.id,
                "label": _label(label or kind.label),
                "public": entered.public,
                "hints": _hints(entered.secrets),
                "secrets": sealed,
                "data_key_number": number,
            }
            await rows.add_credential(connection, row)
            await self._note(connection, principal, "credential.created", credential_id)
            return self._shown(await _found(connection, credential_id))

    async def replace_secret(
        self, principal: Principal, credential_id: str, values: Mapping[str, Any], *, label: str | None = None
    ) -> CredentialRow:
        """New values for a credential; a field left out keeps its value.

        Where the secret is sent cannot change without entering the secret again: otherwise a saved key could be
        led to another address.

        Raises: AccessDenied, NotFound, InputInvalid, VaultLocked
        """
        principal.require("credential.manage")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, credential_id, for_update=True)
            kind = self._connector(row["connector"])
            secret_fields = kind.settings.secret_fields()
            given = {k: v for k, v in values.items() if k not in secret_fields or v}
            missing = sorted(set(row["secrets"]) - set(given))
            kept = (
                await self._vault.open(
                    connection,
                    principal.workspace_id,
                    (row["id"], row["version"]),
                    {k: row["secrets"][k] for k in missing},
                )
                if missing
                else {}
            )
            entered = _sort(kind, {**row["public"], **kept, **given})
            if missing and entered.public != row["public"]:
                raise InputInvalid(
                    "The settings of the connection changed, so enter the key again. A saved key is never sent to a "
                    "new address.",
                    field=missing[0],
                )
            version = row["version"] + 1
            sealed, number = await self._vault.seal(
                connection, principal.workspace_id, (row["id"], version), entered.secrets
            )
            changed = {
                "label": _label(label or row["label"]),
                "public": entered.public,
                "hints": _hints(entered.secrets),
                "secrets": sealed,
                "data_key_number": number,
                "version": version,
            }
            await rows.replace_values(connection, row["id"], changed)
            if entered.public != row["public"] or not missing:
                await access_rows.drop(connection, row["id"])  # granted to what it was, not to what it is now
            await self._note(connection, principal, "credential.replaced", credential_id)
            return self._shown(await _found(connection, credential_id))

    async def check(self, principal: Principal, credential_id: str) -> CheckResult:
        """Try the credential with its vendor, and remember the answer.

        Raises: AccessDenied, NotFound, VaultLocked
        """
        principal.require("credential.use")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, credential_id)
            kind = self._connector(row["connector"])
            settings = await saved_settings(self._vault, connection, principal.workspace_id, kind, row)
        result = await self._try(principal, kind, settings, row)
        noted = {
            "is_ok": result.ok,
            "message": result.message,
            "models": list(result.models),
            "now": self._clock(),
            "version": row["version"],
        }
        async with self._database.workspace(principal.workspace_id) as connection:
            await rows.note_check(connection, credential_id, noted)
        return result

    async def serve(
        self, principal: Principal, credential_id: str, agents: Sequence[str] | None
    ) -> CredentialRow:  # fmt: skip
        """Let these agents use it and no others; None: all of the workspace.

        Raises: AccessDenied, NotFound, InputInvalid, Conflict while others use it
        """
        principal.require("credential.manage")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, credential_id, for_update=True)
            if agents is not None:
                agents = sorted(set(agents))
                if not all(map(is_uuid, agents)) or await rows.count_agents(connection, agents) < len(agents):
                    raise InputInvalid("One of these agents does not exist any more. Reload the page.", field="agents")
                if others := await rows.used_elsewhere(connection, row["id"], agents):
                    names = ", ".join(name or "the workspace's default" for name in others)
                    raise StillUsed(
                        f"This is still used by: {names}. Choose something else there first, or let them use it.",
                        names=", ".join(filter(None, others)) or "–",
                    )
            await rows.set_only_agents(connection, row["id"], agents)
            await self._note(connection, principal, "credential.served", credential_id)
            return self._shown(await _found(connection, credential_id))

    async def uses(self, principal: Principal, credential_id: str) -> tuple[Use, ...]:
        """The agents that would lose their model. Raises: AccessDenied, NotFound."""
        principal.require("credential.use")
        async with self._database.workspace(principal.workspace_id) as connection:
            await _found(connection, credential_id)
            return tuple(Use(**row) for row in await rows.uses(connection, credential_id))

    async def holds_vectors_of(self, principal: Principal, credential_id: str) -> tuple[str, ...]:
        """Names of the knowledge bases that have vectors in this store. Raises: AccessDenied, NotFound."""
        principal.require("credential.use")
        async with self._database.workspace(principal.workspace_id) as connection:
            await _found(connection, credential_id)
            return tuple(filter(None, await knowledge_copies.bases_in(connection, credential_id)))

    async def delete(self, principal: Principal, credential_id: str, *, even_if_used: bool = False) -> tuple[Use, ...]:
        """Destroy the secret; the slots it served, which the demo model answers from now on.

        What knowledge bases have in a store of vectors stays there: nobody can empty it any more.

        Raises: AccessDenied, NotFound, Conflict when agents or knowledge bases use it and `even_if_used` is not set
        """
        principal.require("credential.manage")
        async with self._database.workspace(principal.workspace_id) as connection:
            await _found(connection, credential_id, for_update=True)
            used = tuple(Use(**row) for row in await rows.uses(connection, credential_id))
            if used and not even_if_used:
                agents = ", ".join(dict.fromkeys(use.agent for use in used))
                raise Conflict(
                    f"These agents use this key: {agents}. Give them another model first, or delete it all the same: "
                    "then the demo model (not an AI) answers there.",
                    agents=agents,
                )
            held = await knowledge_copies.bases_in(connection, credential_id)
            if held and not even_if_used:
                raise Conflict(
                    f"Vectors of these knowledge bases lie in this store: {', '.join(n or '–' for n in held)}. Let PostgreSQL "
                    "search them and wait until the store is empty, or delete the key all the same: they then stay there.",
                    bases=", ".join(filter(None, held)),
                )
            await rows.delete_credential(connection, credential_id)
            await self._note(connection, principal, "credential.deleted", credential_id)
        return used

    async def _try(self, principal: Principal, kind: Connector, settings: CredentialSettings, row: Row) -> CheckResult:
        if kind.check is None and (kind.try_out is None or self._connections is None):
            return CheckResult(ok=True, message=sentence("cannot_be_tried"))
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                if kind.try_out is not None and self._connections is not None:
                    opened = await self._connections.open_credential(principal, str(row["id"]), "")
                    return await kind.try_out(settings, self._connections.way_out(opened))
                assert kind.check is not None
                return await kind.check(settings)
        except TimeoutError:
            said = sentence("check_too_slow", label=kind.label, seconds=f"{CHECK_SECONDS:.0f}")
            return CheckResult(ok=False, message=said)
        except BuilderError as error:
            return CheckResult(ok=False, message=error.message)

    def _shown(self, row: Row) -> CredentialRow:
        kind = self._catalog.connectors.get(row["connector"])
        return CredentialRow(
            id=row["id"],
            connector=row["connector"],
            label=row["label"],
            settings=row["public"],
            hints=row["hints"],
            check_ok=row["is_ok"],
            check_message=row["access_problem"] or row["check_message"],
            checked_at=row["checked_at"],
            models=tuple(row["models"]),
            used_by=len(row["used_by"]),
            agents=tuple(row["used_by"]),
            created_at=row["created_at"],
            only_names=tuple(row["only_names"] or ()),
            only_agents=None if row["only_agents"] is None else tuple(str(one) for one in row["only_agents"]),
            access=(row["access_state"] or "none") if kind is not None and _signs_in(kind, row["public"]) else "",
            last_used_at=row["last_used_at"],
            hears=(row["hook_state"] or "off") if kind is not None and kind.crm_hooks is not None else "",
            hook_id=row["hook_id"] or "",
            hook_problem=row["hook_problem"] or "",
            heard_at=row["heard_at"],
        )

    def _connector(self, connector: str) -> Connector:
        kind = self._catalog.connectors.get(connector)
        if kind is None:
            raise InputInvalid(f"There is no connector “{connector}”.", field="connector", connector=connector)
        return kind

    async def _note(self, connection: Connection, principal: Principal, action: str, credential_id: str) -> None:
        await audit.append(connection, principal.actor, action, {"credential_id": credential_id}, self._clock())


async def _found(connection: Connection, credential_id: str, *, for_update: bool = False) -> Row:
    row = await rows.get_credential(connection, credential_id, for_update=for_update)
    if row is None:
        raise NotFound("There is no such credential. It may have been deleted; reload the list.")
    return row


def _sort(kind: Connector, values: Mapping[str, Any]) -> _Entered:
    try:
        settings = kind.settings.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputInvalid(f"“{field}”: {first['msg']}. Correct it and save again.", field=field) from None
    public, secrets = {}, {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            if text := value.get_secret_value().strip():
                secrets[name] = text
        elif name not in kind.settings.secret_fields():
            public[name] = value
    _check_protected(kind, settings)
    return _Entered({k: v for k, v in settings.model_dump(mode="json").items() if k in public}, secrets)


def _check_protected(kind: Connector, settings: CredentialSettings) -> None:
    """A key travels over https, or to an address inside the network that an administrator allowed. Raises: InputInvalid."""
    if kind.http is None:
        return
    auth = kind.http.auth(settings, "")
    own = host_of(auth.base_url)
    if own and urlsplit(auth.base_url).scheme == "http" and own != auth.private_host:
        reason = "https_or_inside" if "allow_private_host" in kind.settings.model_fields else "https_only"
        raise InputInvalid(sentence(reason), field="base_url", reason=reason, host=own)


def _hints(secrets: Mapping[str, str]) -> dict[str, str]:
    return {field: f"…{text[-4:]}" if len(text) >= _HINT_FROM else "…" for field, text in secrets.items()}


def _label(text: str) -> str:
    label = " ".join(text.split())
    if not 1 <= len(label) <= 200:
        raise InputInvalid("A name has 1 to 200 characters.", field="label")
    return label


def _signs_in(kind: Connector, public: Mapping[str, Any]) -> bool:
    """Whether a credential with these settings is granted access in a browser."""
    if kind.oauth is None:
        return False
    try:
        return kind.oauth.addresses(kind.settings.model_validate(dict(public))) is not None
    except ValidationError:
        return False
