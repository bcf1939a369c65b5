"""Publishing: a draft becomes an immutable version; what would change, who is affected, and the way back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.changes import Change, describe
from graph_runtime.contract.errors import Conflict, FlowInvalid, NotFound
from graph_runtime.contract.flow import Flow, load_flow
from graph_runtime.contract.problems import Problem
from graph_runtime.engine.compile import compile_flow
from graph_runtime.engine.upgrade import upgrade
from graph_runtime.engine.validate import FlowCheck, Surroundings
from graph_runtime.services.crm_field_check import CrmFieldCheck
from graph_runtime.services.drafts import Drafts, approves, phones, reachable, readable, with_exits
from graph_runtime.services.phrase_warming import PhraseWarming
from graph_runtime.services.principal import Principal
from graph_runtime.storage import agents as agent_rows
from graph_runtime.storage import flows as rows
from graph_runtime.storage.database import Connection, Database, Row


@dataclass(frozen=True, slots=True)
class FlowProblems:
    """What the check found in one flow of the agent."""

    flow_id: str
    name: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class FlowChanges:
    """What changed in one flow since the live version."""

    flow_id: str
    name: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class PublishPreview:
    """What the publish panel shows; `number` is the version it would become."""

    number: int
    live_version: int | None
    revision: int
    checks: tuple[FlowProblems, ...]
    changes: tuple[FlowChanges, ...]
    open_conversations: int

    @property
    def errors(self) -> int:
        """Problems that block publishing."""
        return sum(p.level == "error" for c in self.checks for p in c.problems)


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A published version in the history."""

    id: str
    number: int
    comment: str
    author: str
    created_at: datetime
    is_live: bool = False


@dataclass(frozen=True, slots=True)
class _Bundle:
    """The main flow of an agent and the sub-flows it reaches, as they are now."""

    opened: Row
    main: Row
    flow: Flow
    bundle: dict[str, Flow]
    siblings: dict[str, Flow]
    bound: frozenset[str]
    takes_calls: bool
    approves: bool

    def content_hash(self) -> str:
        """Equal content has an equal hash, sub-flows included."""
        parts = {self.flow.id: self.flow.content_hash()} | {k: v.content_hash() for k, v in self.bundle.items()}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Publishing:
    """Versions of an agent's flows. Publishing from a sub-flow publishes the agent's main flow with it."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        check: FlowCheck,
        drafts: Drafts,
        phrases: PhraseWarming | None = None,
        crm_fields: CrmFieldCheck | None = None,
    ) -> None:
        self._phrases = phrases
        self._crm_fields = crm_fields
        self._database = database
        self._catalog = catalog
        self._check = check
        self._drafts = drafts

    async def preview(self, principal: Principal, flow_id: str) -> PublishPreview:
        """What publishing now would do; nothing is written.

        Raises: AccessDenied, NotFound, FlowDamaged.
        """
        principal.require("agent.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            now = await self._gather(connection, flow_id)
            live = await self._live(connection, now.main)
            number = await rows.next_number(connection, now.main["id"])
            waiting = await rows.open_conversations(connection, now.main["agent_id"])
        checks = self._problems(now)
        if self._crm_fields is not None:
            flows = (now.flow, *now.bundle.values())
            more = await self._crm_fields.of(principal, now.main["agent_id"], flows)
            checks = tuple(replace(c, problems=c.problems + more.get(c.flow_id, ())) for c in checks)
        return PublishPreview(
            number=number,
            live_version=now.main["live_version"],
            revision=now.opened["revision"],
            checks=checks,
            changes=self._changes(live, now),
            open_conversations=waiting,
        )

    async def publish(self, principal: Principal, flow_id: str, *, revision: int, comment: str = "") -> VersionRow:
        """Freeze the drafts as a new version and make it live; publishing what is already live returns that version.

        Raises: AccessDenied, NotFound, FlowDamaged, Conflict (the draft moved on), FlowInvalid (with the problems).
        """
        principal.require("flow.publish")
        async with self._database.workspace(principal.workspace_id) as connection:
            now = await self._gather(connection, flow_id, lock=True)
            live = await self._live(connection, now.main)
            content_hash = now.content_hash()
            if live is not None and live["content_hash"] == content_hash:
                return _version(live, is_live=True)
            if now.opened["revision"] != revision:
                raise Conflict("The flow changed after this panel was opened. Look at the changes again, then publish.")
            self._refuse_errors(now)
            compile_flow(now.flow, now.bundle, self._catalog)
            row = await self._insert(connection, now, principal, content_hash, comment)
            await rows.make_live(connection, now.main["id"], row["id"])
        if self._phrases is not None:
            flows = [now.flow, *now.bundle.values()]
            self._phrases.begin(principal.workspace_id, now.main["agent_id"], now.flow.locale, flows)
        return _version({**row, "author": ""}, is_live=True)

    async def versions(self, principal: Principal, flow_id: str, *, limit: int = 50) -> list[VersionRow]:
        """The history, newest first.

        Raises: AccessDenied, NotFound.
        """
        principal.require("agent.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            main = await self._main(connection, _found(await rows.get_flow(connection, flow_id)), lock=False)
            found = await rows.list_versions(connection, main["id"], limit)
        return [_version(row, is_live=row["id"] == main["live_version_id"]) for row in found]

    async def restore_draft(self, principal: Principal, flow_id: str, number: int) -> None:
        """Put the drafts back to a published version; a sub-flow made since then stays.

        Raises: AccessDenied, NotFound.
        """
        principal.require("flow.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            main = await self._main(connection, _found(await rows.get_flow(connection, flow_id)), lock=True)
            version = await rows.numbered_version(connection, main["id"], number)
            if version is None:
                raise NotFound(f"There is no version {number} of this flow.", number=number)
            documents = {main["id"]: version["document"]} | version["bundle"]
            for target, document in documents.items():
                row = await rows.get_flow(connection, target, lock=True)
                if row is not None:
                    await self._drafts.overwrite(connection, principal, row, load_flow(document))

    async def snapshot(self, principal: Principal, flow_id: str) -> str:
        """The id of a version with the flow as it is drawn now, for a test conversation. Problems do not stop a test.

        Raises: AccessDenied, NotFound, FlowDamaged, FlowInvalid when the flow has nowhere to begin.
        """
        principal.require("flow.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            now = await self._gather(connection, flow_id, lock=True, from_opened=True)
            content_hash = now.content_hash()
            known = await rows.snapshot(connection, now.main["id"], content_hash)
            if known is not None:
                return known
            compile_flow(now.flow, now.bundle, self._catalog)
            row = await self._insert(connection, now, principal, content_hash, "", numbered=False)
        return str(row["id"])

    async def _gather(
        self, connection: Connection, flow_id: str, *, lock: bool = False, from_opened: bool = False
    ) -> _Bundle:
        opened = _found(await rows.get_flow(connection, flow_id, lock=lock))
        main = opened if from_opened else await self._main(connection, opened, lock=lock)
        load_flow(main["document"])  # a damaged main flow says so here; a damaged sub-flow counts as missing
        found = readable(await rows.flows_of_agent(connection, main["agent_id"]))
        upgraded = {i: upgrade(f, self._catalog)[0] for i, f in found.items()}
        flows = {i: with_exits(f, upgraded, self._catalog)[0] for i, f in upgraded.items()}
        flow = flows.pop(main["id"])
        bound = await agent_rows.bound_slots(connection, main["agent_id"])
        calls = await agent_rows.takes_calls(connection, main["agent_id"], phones(self._catalog))
        approved = calls and await approves(connection, main["agent_id"])
        return _Bundle(opened, main, flow, reachable(flow, flows, self._catalog), flows, bound, calls, approved)

    async def _main(self, connection: Connection, opened: Row, *, lock: bool) -> Row:
        if opened["kind"] == "main":
            return opened
        found = next(f for f in await rows.flows_of_agent(connection, opened["agent_id"]) if f["kind"] == "main")
        return _found(await rows.get_flow(connection, found["id"], lock=lock))

    async def _live(self, connection: Connection, main: Row) -> Row | None:
        return await rows.get_version(connection, main["live_version_id"]) if main["live_version_id"] else None

    def _problems(self, now: _Bundle) -> tuple[FlowProblems, ...]:
        everything = {now.flow.id: now.flow} | now.siblings
        around = Surroundings(everything, now.bound, now.takes_calls, now.approves)
        return tuple(
            FlowProblems(flow.id, flow.name, self._check.check(flow, around))
            for flow in (now.flow, *now.bundle.values())
        )

    def _refuse_errors(self, now: _Bundle) -> None:
        checks = self._problems(now)
        errors = tuple(p for c in checks for p in c.problems if p.level == "error")
        if errors:
            raise FlowInvalid(
                f"{len(errors)} problems have to be solved before publishing. Open the list of problems to see them.",
                problems=tuple(p for c in checks for p in c.problems),
                count=len(errors),
            )

    def _changes(self, live: Row | None, now: _Bundle) -> tuple[FlowChanges, ...]:
        old = {} if live is None else {k: load_flow(v) for k, v in live["bundle"].items()}
        main_before = None if live is None else load_flow(live["document"])
        found = [FlowChanges(now.flow.id, now.flow.name, describe(main_before, now.flow, self._catalog))]
        for flow_id, flow in now.bundle.items():
            found.append(FlowChanges(flow_id, flow.name, describe(old.get(flow_id), flow, self._catalog)))
        return tuple(f for f in found if f.changes)

    async def _insert(
        self,
        connection: Connection,
        now: _Bundle,
        principal: Principal,
        content_hash: str,
        comment: str,
        *,
        numbered: bool = True,
    ) -> Row:
        values = {
            "flow_id": now.main["id"],
            "number": await rows.next_number(connection, now.main["id"]) if numbered else None,
            "document": now.flow.to_json(),
            "bundle": {k: v.to_json() for k, v in now.bundle.items()},
            "content_hash": content_hash,
            "comment": comment[:2000],
            "author_id": principal.member_id,
        }
        return await rows.insert_version(connection, values)


def _version(row: Row, *, is_live: bool) -> VersionRow:
    return VersionRow(row["id"], row["number"], row["comment"], row["author"], row["created_at"], is_live)


def _found(row: Row | None) -> Row:
    if row is None:
        raise NotFound("This flow does not exist any more. Go back to the agent and choose another one.")
    return row
