"""Drawing up chains: drafts that can be taken back, publishing, switching on and off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from graph_runtime.contract.chains import Chain, ChainProblem, problems, read_chain
from graph_runtime.contract.errors import Conflict, FlowDamaged, FlowInvalid, InputInvalid, NotFound
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.principal import Principal
from graph_runtime.storage import audit
from graph_runtime.storage import chains as rows
from graph_runtime.storage.database import Connection, Database, Row

MOST_CHAINS: Final = 500


@dataclass(frozen=True, slots=True)
class ChainRow:
    """A chain as it is listed. `live_number` 0: never published. `sent`: messages, flows and calls so far."""

    id: str
    name: str
    is_on: bool
    live_number: int
    has_changes: bool
    steps: int
    active: int
    paused: int
    enrolled: int
    sent: int
    replied: int
    next_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ChainDraft:
    """A chain with its draft. `problems`: what keeps it from being published."""

    row: ChainRow
    chain: Chain
    revision: int
    can_undo: bool
    problems: list[ChainProblem]


@dataclass(frozen=True, slots=True)
class ChainVersion:
    """A published version; `inside`: how many people are in it now."""

    id: str
    number: int
    created_by: str
    created_at: datetime
    inside: int


ChainVersions: TypeAlias = list[ChainVersion]
Choices: TypeAlias = dict[str, list[tuple[str, str]]]
"""(id, name) by kind: channel, line, agent, member, subscription."""


class ChainDrafts:
    """Whoever may edit flows draws up chains; whoever may publish them lets chains go live."""

    def __init__(
        self, database: Database, clock: Clock = system_clock, *, phone_lines: frozenset[str] = frozenset(),
        crms: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        """`phone_lines`, `crms`: connectors whose channels ring, and those of customer systems."""
        self._database = database
        self._phone_lines, self._crms = sorted(phone_lines), sorted(crms)
        self._clock = clock

    async def list(self, principal: Principal) -> list[ChainRow]:
        """All of the workspace, the last changed first. Raises: AccessDenied."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            figures = await rows.figures(connection)
            return [_row(row, figures.get(row["id"], {})) for row in await rows.listed(connection)]

    async def get(self, principal: Principal, chain_id: str) -> ChainDraft:
        """Raises: AccessDenied, NotFound."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return await self._draft(connection, chain_id)

    async def create(self, principal: Principal, name: str, document: dict[str, Any] | None = None) -> ChainDraft:
        """A new chain, which is off. Raises: AccessDenied, InputInvalid, FlowDamaged."""
        principal.require("flow.edit")
        chain = read_chain(document or {})
        async with self._database.workspace(principal.workspace_id) as connection:
            if len(await rows.listed(connection)) >= MOST_CHAINS:
                raise InputInvalid(f"A workspace has at most {MOST_CHAINS} chains. Delete one first.", field="name")
            chain_id = await rows.insert(connection, _name(name), chain.to_json())
            await self._note(connection, principal, "created", chain_id)
            return await self._draft(connection, chain_id)

    async def rename(self, principal: Principal, chain_id: str, name: str) -> ChainDraft:
        """Raises: AccessDenied, NotFound, InputInvalid."""
        principal.require("flow.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, chain_id)
            await rows.change(connection, row["id"], name=_name(name))
            return await self._draft(connection, chain_id)

    async def save(self, principal: Principal, chain_id: str, document: dict[str, Any], *, revision: int) -> ChainDraft:
        """Replace the draft that was read as `revision`.

        Raises: AccessDenied, NotFound, FlowDamaged, Conflict when somebody else has changed it since.
        """
        principal.require("flow.edit")
        chain = read_chain(document)
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, chain_id)
            if row["revision"] != revision:
                raise Conflict("Somebody else has just changed this chain. Here is how it is now.", reason="revision")
            if chain.to_json() != row["document"]:
                await rows.save(connection, row, chain.to_json())
            return await self._draft(connection, chain_id)

    async def undo(self, principal: Principal, chain_id: str) -> ChainDraft:
        """Take the last change of the draft back. Raises: AccessDenied, NotFound, Conflict when there is none."""
        principal.require("flow.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, chain_id)
            earlier = await rows.take_back(connection, row["id"])
            if earlier is None:
                raise Conflict("There is nothing left to take back.", reason="nothing")
            await rows.save(connection, row, earlier["document"], keep=False)
            return await self._draft(connection, chain_id)

    async def publish(self, principal: Principal, chain_id: str, *, switch_on: bool = True) -> ChainDraft:
        """Freeze the draft as the version that people enter from now on; those inside keep theirs.

        Raises: AccessDenied, NotFound, FlowInvalid with the problems.
        """
        principal.require("flow.publish")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, chain_id)
            chain = read_chain(row["document"])
            found = problems(chain)
            if found:
                raise FlowInvalid("This chain cannot go live yet. Mend what is marked.", problems=tuple(found))
            if row["live_hash"] != chain.content_hash():
                await rows.add_version(connection, row["id"], row["document"], chain.content_hash(), principal.actor)
                await self._note(connection, principal, "published", chain_id)
            if switch_on and not row["is_on"]:
                await self._switch(connection, principal, row["id"], is_on=True)
            return await self._draft(connection, chain_id)

    async def set_on(self, principal: Principal, chain_id: str, is_on: bool) -> ChainDraft:
        """While it is off nobody enters and everybody inside waits; what fell due meanwhile happens when it is on again.

        Raises: AccessDenied, NotFound, Conflict when nothing is published.
        """
        principal.require("flow.publish")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, chain_id)
            if is_on and row["live_version_id"] is None:
                raise Conflict("Publish the chain first.", reason="not_published")
            if row["is_on"] != is_on:
                await self._switch(connection, principal, row["id"], is_on=is_on)
            return await self._draft(connection, chain_id)

    async def versions(self, principal: Principal, chain_id: str) -> ChainVersions:
        """The newest first. Raises: AccessDenied."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            found = await rows.versions(connection, chain_id)
            return [ChainVersion(**{k: v for k, v in row.items() if k != "document"}) for row in found]

    async def choices(self, principal: Principal) -> Choices:
        """What steps may name, (id, name) by kind: channel, line, agent, flow (“agent/flow”), crm (“agent/slot”), member, subscription.

        Raises: AccessDenied.
        """
        principal.require("conversation.read")
        found: Choices = {}
        async with self._database.workspace(principal.workspace_id) as connection:
            for row in await rows.choices(connection, self._phone_lines, self._crms):
                found.setdefault(row["kind"], []).append((row["id"], row["name"]))
        return found

    async def delete(self, principal: Principal, chain_id: str) -> None:
        """Delete it with its log; everybody inside is out. Raises: AccessDenied, NotFound."""
        principal.require("flow.publish")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, chain_id)
            await rows.delete(connection, row["id"])
            await self._note(connection, principal, "deleted", chain_id)

    async def _switch(self, connection: Connection, principal: Principal, chain_id: str, *, is_on: bool) -> None:
        await rows.change(connection, chain_id, is_on=is_on)
        await rows.hold(connection, chain_id, is_on=is_on)
        await self._note(connection, principal, "switched_on" if is_on else "switched_off", chain_id)

    async def _draft(self, connection: Connection, chain_id: str) -> ChainDraft:
        row = await rows.get(connection, chain_id)
        if row is None:
            raise NotFound("There is no such chain in this workspace.")
        try:
            chain = read_chain(row["document"])
        except FlowDamaged:
            chain = Chain()
        figures = (await rows.figures(connection, row["id"])).get(row["id"], {})
        return ChainDraft(
            _row(row, figures), chain, row["revision"], await rows.can_undo(connection, row["id"]), problems(chain)
        )

    async def _note(self, connection: Connection, principal: Principal, what: str, chain_id: str) -> None:
        await audit.append(connection, principal.actor, f"chain.{what}", {"chain": chain_id}, self._clock())


async def _found(connection: Connection, chain_id: str) -> Row:
    row = await rows.get(connection, chain_id, for_update=True)
    if row is None:
        raise NotFound("There is no such chain in this workspace.")
    return row


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= 200:
        raise InputInvalid("Give the chain a name of at most 200 characters.", field="name")
    return name


def _row(row: Row, figures: dict[str, Any]) -> ChainRow:
    steps = row["document"].get("steps", [])
    live_hash = row["live_hash"] or ""
    return ChainRow(
        id=row["id"], name=row["name"], is_on=row["is_on"], live_number=row["live_number"] or 0,
        has_changes=_hash(row["document"]) != live_hash, steps=len(steps),
        active=figures.get("active", 0), paused=figures.get("paused", 0), enrolled=figures.get("enrolled", 0),
        sent=figures.get("sent", 0), replied=figures.get("replied", 0), next_at=figures.get("next_at"),
        updated_at=row["updated_at"],
    )  # fmt: skip


def _hash(document: dict[str, Any]) -> str:
    try:
        return read_chain(document).content_hash()
    except FlowDamaged:
        return "damaged"
