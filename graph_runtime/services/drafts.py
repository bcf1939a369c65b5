"""Drafts: opening, saving edits so that nothing is lost or done twice, and bringing a published state back."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graph_runtime.contract.answering import Answering
from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.edits import EDITS, ChangeSettings, Edit, MoveNode, apply_edits, conflicting
from graph_runtime.contract.errors import Conflict, EditInvalid, FlowDamaged, InputInvalid, NotFound, TooLarge
from graph_runtime.contract.flow import Flow, load_flow
from graph_runtime.contract.problems import Problem
from graph_runtime.engine.upgrade import UpgradeNote, upgrade
from graph_runtime.engine.validate import FlowCheck, Surroundings, subflow_ids
from graph_runtime.services.principal import Principal
from graph_runtime.storage import agents as agent_rows
from graph_runtime.storage import flows as rows
from graph_runtime.storage.database import Connection, Database, Row

EVERYTHING = "*"
"""Path of an edit that replaced the whole draft."""


@dataclass(frozen=True, slots=True)
class OpenDraft:
    """A draft as the editor opens it; `flow` is the upgraded copy."""

    flow: Flow
    revision: int
    agent_id: str
    kind: str
    live_version: int | None
    notes: tuple[UpgradeNote, ...]
    problems: tuple[Problem, ...]
    siblings: Mapping[str, Flow]


@dataclass(frozen=True, slots=True)
class Applied:
    """A saved batch. `others`: other editors' edits since the sender's base; `added`: what the save itself added."""

    seq: int
    revision: int
    flow: Flow
    problems: tuple[Problem, ...]
    others: tuple[Edit, ...]
    added: tuple[Edit, ...] = ()
    repeated: bool = False


class DraftConflict(Conflict):
    """Somebody else changed the same places; carries the draft as it is now."""

    def __init__(self, message: str, *, paths: frozenset[str], revision: int, flow: Flow) -> None:
        super().__init__(message, paths=sorted(paths), revision=revision, flow=flow)
        self.paths = paths
        self.revision = revision
        self.flow = flow


class Drafts:
    """The editable state of flows."""

    def __init__(self, database: Database, catalog: Catalog, check: FlowCheck) -> None:
        self._database = database
        self._catalog = catalog
        self._check = check

    async def open(self, principal: Principal, flow_id: str) -> OpenDraft:
        """The draft, brought up to date in memory; nothing is written.

        Raises: AccessDenied, NotFound, FlowDamaged.
        """
        principal.require("agent.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = _found(await rows.get_flow(connection, flow_id))
            flow, notes = self._read(row)
            around = await self._around(connection, row)
        siblings = around.flows
        flow = with_exits(flow, siblings, self._catalog)[0]
        return OpenDraft(
            flow=flow,
            revision=row["revision"],
            agent_id=row["agent_id"],
            kind=row["kind"],
            live_version=row["live_version"],
            notes=notes,
            problems=self._check.check(flow, around),
            siblings=siblings,
        )

    async def apply(
        self, principal: Principal, flow_id: str, *, client: str, seq: int, base_revision: int, edits: list[Edit]
    ) -> Applied:
        """Save a batch of edits, all or nothing; a batch that was saved before is answered again, not applied again.

        Edits made on an older revision are taken when they touch other places than the edits in between.
        Raises: AccessDenied, NotFound, DraftConflict, EditInvalid, FlowDamaged.
        """
        principal.require("flow.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = _found(await rows.get_flow(connection, flow_id, lock=True))
            flow = self._read(row)[0]
            around = await self._around(connection, row)
            since = await rows.edits_since(connection, flow_id, base_revision)
            foreign = [e for e in since if e["client"] != client]
            others = tuple(EDITS.validate_python([x for e in foreign for x in e["edits"]]))
            if await rows.saved_batch(connection, flow_id, client, seq) is not None:
                return Applied(seq, row["revision"], flow, self._check.check(flow, around), others, repeated=True)
            self._refuse_clash(row, flow, base_revision, since, foreign, edits)
            flow, added = with_exits(self._changed(row, flow, edits, foreign), around.flows, self._catalog)
            revision = row["revision"] + 1
            await rows.save_draft(connection, flow_id, revision=revision, name=flow.name, document=flow.to_json())
            paths = sorted({p for e in (*edits, *added) for p in e.touches()})
            entry = {
                "revision": revision,
                "client": client,
                "seq": seq,
                "member_id": principal.member_id,
                "edits": EDITS.dump_python([*edits, *added], mode="json"),
                "paths": paths,
            }
            await rows.log_edit(connection, flow_id, entry)
        return Applied(seq, revision, flow, self._check.check(flow, around), others, tuple(added))

    async def replace(self, principal: Principal, flow_id: str, document: str | bytes | dict[str, Any]) -> OpenDraft:
        """Put a whole document in place of the draft (import, API). The old draft stays in the versions, if published.

        Raises: AccessDenied, NotFound, FlowDamaged, TooLarge.
        """
        principal.require("flow.edit")
        flow = load_flow(document)
        async with self._database.workspace(principal.workspace_id) as connection:
            row = _found(await rows.get_flow(connection, flow_id, lock=True))
            await self.overwrite(connection, principal, row, flow)
        return await self.open(principal, flow_id)

    async def overwrite(self, connection: Connection, principal: Principal, row: Row, flow: Flow) -> None:
        """Write a whole draft at a new revision; other editors have to load it again."""
        flow = flow.model_copy(update={"id": row["id"], "name": flow.name or row["name"]})
        revision = row["revision"] + 1
        await rows.save_draft(connection, row["id"], revision=revision, name=flow.name, document=flow.to_json())
        entry = {
            "revision": revision,
            "client": f"whole-{revision}",
            "seq": revision,
            "member_id": principal.member_id,
            "edits": [],
            "paths": [EVERYTHING],
        }
        await rows.log_edit(connection, row["id"], entry)

    async def export(self, principal: Principal, flow_id: str) -> str:
        """The draft as a file.

        Raises: AccessDenied, NotFound, FlowDamaged.
        """
        return (await self.open(principal, flow_id)).flow.dumps()

    def _changed(self, row: Row, flow: Flow, edits: list[Edit], foreign: list[Row]) -> Flow:
        """The flow after the edits, as it will be read again: what could not be opened must not be saved."""
        try:
            changed = apply_edits(flow, edits)
        except EditInvalid as error:
            if not foreign:
                raise
            raise _clash(row, flow, frozenset({p for e in edits for p in e.touches()})) from error
        if all(isinstance(edit, MoveNode) for edit in edits):
            return changed
        try:
            return load_flow(json.dumps(changed.to_json(), ensure_ascii=False))
        except FlowDamaged as error:
            raise InputInvalid(
                f"This change cannot be saved: {error.params['reason'].removeprefix('Value error, ')}. "
                "Shorten it or split it over several steps.",
                field=error.params["where"],
            ) from error

    def _refuse_clash(
        self, row: Row, flow: Flow, base: int, since: list[Row], foreign: list[Row], edits: list[Edit]
    ) -> None:
        theirs = frozenset(p for e in foreign for p in e["paths"])
        gap = base > row["revision"] or (base < row["revision"] and (not since or since[0]["revision"] != base + 1))
        clashes = conflicting(edits, theirs)
        if gap or EVERYTHING in theirs or clashes:
            raise _clash(row, flow, frozenset({EVERYTHING}) if gap or EVERYTHING in theirs else clashes)

    def _read(self, row: Row) -> tuple[Flow, tuple[UpgradeNote, ...]]:
        return upgrade(load_flow(row["document"]).model_copy(update={"id": row["id"]}), self._catalog)

    async def _around(self, connection: Connection, row: Row) -> Surroundings:
        others = [r for r in await rows.flows_of_agent(connection, row["agent_id"]) if r["id"] != row["id"]]
        bound = await agent_rows.bound_slots(connection, row["agent_id"])
        calls = await agent_rows.takes_calls(connection, row["agent_id"], phones(self._catalog))
        return Surroundings(readable(others), bound, calls, calls and await approves(connection, row["agent_id"]))


async def approves(connection: Connection, agent_id: str) -> bool:
    """Whether people approve what the agent says."""
    return Answering.of(await agent_rows.answering(connection, agent_id)).approval.approves != "nothing"


def _clash(row: Row, flow: Flow, paths: frozenset[str]) -> DraftConflict:
    return DraftConflict(
        "This flow was changed in another tab or by somebody else at the same place. "
        "The present state is loaded; your changes are kept, choose which ones to keep.",
        paths=paths,
        revision=row["revision"],
        flow=flow,
    )


def readable(found: list[Row]) -> dict[str, Flow]:
    """Drafts by id; a damaged one is left out, so that it does not lock the others."""
    flows = {}
    for row in found:
        with contextlib.suppress(FlowDamaged, TooLarge):
            flows[row["id"]] = load_flow(row["document"]).model_copy(update={"id": row["id"]})
    return flows


def phones(catalog: Catalog) -> list[str]:
    """Ids of the connectors that bring phone calls."""
    return [c.id for c in catalog.connectors.values() if c.channel is not None and c.channel.line]


def with_exits(flow: Flow, siblings: Mapping[str, Flow], catalog: Catalog) -> tuple[Flow, list[Edit]]:
    """Steps that call a sub-flow show its present exits; the edits that made it so."""
    added: list[Edit] = []
    for node_id, node in flow.nodes.items():
        kind = catalog.nodes.get(node.type)
        target = siblings.get(str(node.settings.get(kind.subflow, ""))) if kind and kind.subflow else None
        if target is not None:
            exits = flow_exits(target, catalog)
            if node.settings.get("exits") != exits:
                added.append(ChangeSettings(id=node_id, set={"exits": exits}))
    return apply_edits(flow, added), added


def flow_exits(flow: Flow, catalog: Catalog) -> list[dict[str, str]]:
    """The ways out of a flow: its steps that end it, by id, with the words a caller sees."""
    ends = [(i, n) for i, n in flow.nodes.items() if (kind := catalog.nodes.get(n.type)) is not None and kind.ends]
    return [
        {"id": i, "label": n.name or str(n.settings.get("result") or "") or catalog.nodes[n.type].label}
        for i, n in ends
    ]


def reachable(flow: Flow, siblings: dict[str, Flow], catalog: Catalog) -> dict[str, Flow]:
    """The sub-flows a flow calls, directly or through others; itself left out."""
    found: dict[str, Flow] = {}
    open_ids = subflow_ids(flow, catalog)
    while open_ids:
        flow_id = open_ids.pop()
        target = siblings.get(flow_id)
        if target is not None and flow_id not in found and flow_id != flow.id:
            found[flow_id] = target
            open_ids |= subflow_ids(target, catalog)
    return found


def _found(row: Row | None) -> Row:
    if row is None:
        raise NotFound("This flow does not exist any more. Go back to the agent and choose another one.")
    return row
