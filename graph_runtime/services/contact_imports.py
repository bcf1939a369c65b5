"""Contacts in and out as CSV: a file is kept and taken in by a worker, batch by batch, whatever dies in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from graph_runtime.contract.errors import Conflict, InputInvalid, NotFound
from graph_runtime.services.chain_entry import SENTENCES, enroll_many, open_door
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.contact_tables import (
    CheckedRows,
    Table,
    check_mapping,
    check_rows,
    csv_head,
    csv_lines,
    guess_mapping,
    read_table,
)
from graph_runtime.services.contact_values import MOST_TAGS, ContactField
from graph_runtime.services.contacts import EVERYBODY, Wanted, condition_of, filters_of, meets
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.principal import Principal
from graph_runtime.storage import audit
from graph_runtime.storage import contact_imports as rows
from graph_runtime.storage import contacts as contact_rows
from graph_runtime.storage.database import Connection, Database

BATCH: Final = 500
SAMPLE: Final = 5
MOST_ATTEMPTS: Final = 3
MOST_PROBLEMS_SHOWN: Final = 1000


@dataclass(frozen=True, slots=True)
class FilePreview:
    """A file before it is taken in. `mapping`: what each column seems to be; `sample`: its first rows."""

    columns: tuple[str, ...]
    sample: list[list[str]]
    mapping: list[str]
    total: int


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """`state`: "waiting" (rows are being taken in), "done", "failed", "canceled"; `position` of `total` rows are done."""

    id: str
    file_name: str
    state: str
    total: int
    position: int
    created: int
    updated: int
    broken: int
    enrolled: int
    error: str


@dataclass(frozen=True, slots=True)
class _File:
    id: str
    actor: str
    mapping: list[str]
    fields: list[ContactField]
    chain_id: str | None = None


class ContactImports:
    """Of the principal's workspace; `run_next` is the worker's."""

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        self._database = database
        self._clock = clock

    async def keep(self, principal: Principal, file_name: str, content: bytes) -> str:
        """Keep a file until somebody says what its columns are; the import's id. Raises: AccessDenied, InputInvalid."""
        principal.require("agent.edit")
        table = await asyncio.to_thread(read_table, content)
        values = {
            "file_name": file_name[-200:] or "contacts.csv", "content": content,
            "total": sum(1 for _ in table.rows()), "actor": principal.actor,
        }  # fmt: skip
        async with self._database.workspace(principal.workspace_id) as connection:
            return await rows.add(connection, values)

    async def preview(self, principal: Principal, import_id: str) -> FilePreview:
        """How a kept file looks, and what its columns seem to be. Raises: AccessDenied, NotFound."""
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            content = await rows.draft(connection, import_id) if is_uuid(import_id) else None
            fields = await _fields(connection)
        if content is None:
            raise NotFound("This file is not kept any more. Choose it once more.")
        table = await asyncio.to_thread(read_table, content)
        sample = [[c[:200] for c in row] for _, row in islice(table.rows(), SAMPLE)]
        total = sum(1 for _ in table.rows())
        return FilePreview(table.columns, sample, guess_mapping(table.columns, fields), total)

    async def start(
        self, principal: Principal, import_id: str, mapping: Sequence[str], *, chain_id: str = ""
    ) -> None:  # fmt: skip
        """Let a worker take a kept file in, and put everybody in it into a chain if one is named.

        Raises: AccessDenied, NotFound, InputInvalid, Conflict when the chain takes nobody.
        """
        columns = (await self.preview(principal, import_id)).columns
        async with self._database.workspace(principal.workspace_id) as connection:
            checked = check_mapping(mapping, columns, await _fields(connection))
            if chain_id:
                door = await open_door(connection, chain_id) if is_uuid(chain_id) else None
                if door is None:
                    raise NotFound(SENTENCES["no_chain"])
                if door.chain is None:
                    raise Conflict(SENTENCES["off"], reason="chain_off")
            if not await rows.begin(connection, import_id, checked, chain_id or None):
                raise NotFound("This file is not kept any more. Choose it once more.")
            await audit.append(connection, principal.actor, "contact.imported", {"import_id": import_id}, self._clock())

    async def progress(self, principal: Principal, import_id: str) -> ImportProgress:
        """How far it is. Raises: AccessDenied, NotFound."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await rows.get(connection, import_id) if is_uuid(import_id) else None
        if row is None:
            raise NotFound("There is no such import.")
        return ImportProgress(**{k: row[k] for k in ImportProgress.__slots__})

    async def newest(self, principal: Principal) -> list[ImportProgress]:
        """The last ten. Raises: AccessDenied."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return [
                ImportProgress(**{k: r[k] for k in ImportProgress.__slots__}) for r in await rows.newest(connection)
            ]

    async def problems(self, principal: Principal, import_id: str) -> list[dict[str, Any]]:
        """The first thousand rows that were not taken in: {row, field, message}. Raises: AccessDenied."""
        principal.require("conversation.read")
        if not is_uuid(import_id):
            return []
        async with self._database.workspace(principal.workspace_id) as connection:
            found = await rows.problems(connection, import_id, MOST_PROBLEMS_SHOWN)
        return [{"row": r["row"], **r["problem"]} for r in found]

    async def cancel(self, principal: Principal, import_id: str) -> bool:
        """Take in no more; what is in stays. False: it was over. Raises: AccessDenied."""
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            return is_uuid(import_id) and await rows.cancel(connection, import_id)

    async def export(self, principal: Principal, wanted: Wanted = EVERYBODY) -> AsyncIterator[str]:
        """A CSV file, piece by piece, with what the filters leave. Raises: AccessDenied, NotFound (the segment)."""
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            fields = await _fields(connection)
            condition = await condition_of(connection, wanted.segment_id)
            await audit.append(connection, principal.actor, "contact.listed_out", {}, self._clock())
        yield csv_head(fields)
        after: str | None = None
        while True:
            async with self._database.workspace(principal.workspace_id) as connection:
                batch = await contact_rows.listed(connection, filters_of(wanted), before=after, limit=BATCH)
            yield csv_lines([r for r in batch if condition is None or meets(r, condition)], fields)
            if len(batch) < BATCH:
                return
            after = batch[-1]["id"]

    async def run_next(self) -> bool:
        """Take in one waiting file, if there is one. A file that killed its worker three times is given up."""
        claimed = await rows.claim(self._database)
        if claimed is None:
            return False
        workspace_id, import_id, attempts = claimed
        if attempts > MOST_ATTEMPTS:
            await self._give_up(workspace_id, import_id, "The file could not be taken in. Try it in smaller pieces.")
            return True
        async with self._database.workspace(workspace_id) as connection:
            row = await rows.content(connection, import_id)
            fields = await _fields(connection)
        if row is None:
            return True
        try:
            table = await asyncio.to_thread(read_table, bytes(row["content"]))
        except InputInvalid as error:
            await self._give_up(workspace_id, import_id, error.message)
            return True
        file = _File(import_id, row["actor"], list(row["mapping"]), fields, row["chain_id"])
        await self._take_in(workspace_id, file, table, int(row["position"]))
        return True

    async def _take_in(self, workspace_id: str, file: _File, table: Table, position: int) -> None:
        lines = islice(table.rows(), position, None)

        def check() -> CheckedRows:
            return check_rows(list(islice(lines, BATCH)), file.mapping, file.fields)

        # The next rows are checked, aside, while the database is busy with these.
        coming = asyncio.create_task(asyncio.to_thread(check))
        try:
            while (batch := await coming).count:
                coming = asyncio.create_task(asyncio.to_thread(check))
                async with self._database.workspace(workspace_id) as connection:
                    if not await rows.go_on(connection, file.id, position):
                        return
                    counts = await self._batch(connection, file, batch)
                    position += batch.count
                    await rows.advance(connection, file.id, position, counts)
        finally:
            coming.cancel()
        async with self._database.workspace(workspace_id) as connection:
            await rows.finish(connection, file.id, "done")

    async def _batch(self, connection: Connection, file: _File, batch: CheckedRows) -> dict[str, int]:
        good, broken = [values for _, values in batch.good], list(batch.broken)
        phones = [v["phone"] for v in good if v.get("phone")]
        emails = [v["email"].lower() for v in good if v.get("email")]
        known: dict[str, dict[str, Any]] = {}
        for twin in reversed(await rows.twins(connection, phones, emails)):
            known |= {key: {"id": twin["id"]} for key in (twin["phone"], twin["email"]) if key}
        ids = await rows.new_ids(connection, len(good))
        new: dict[str, dict[str, Any]] = {}
        changed: dict[str, dict[str, Any]] = {}
        people: dict[str, int] = {}
        for place, values in batch.good:
            keys = [k for k in (values.get("phone"), (values.get("email") or "").lower()) if k]
            twin_id = next((known[k]["id"] for k in keys if k in known), None)
            if twin_id in new or twin_id in changed:
                _join(new.get(twin_id) or changed[twin_id], values)  # the same person twice in one batch
            elif twin_id is not None:
                changed[twin_id] = values | {"id": twin_id}
            else:
                twin_id = ids.pop()
                new[twin_id] = values | {"id": twin_id}
            known |= {k: {"id": twin_id} for k in keys if k not in known}
            people.setdefault(twin_id, place)
        await rows.insert_many(connection, list(new.values()), file.actor, file.id)
        await rows.update_many(connection, list(changed.values()), file.actor, file.id)
        enrolled = 0
        if file.chain_id:
            door = await open_door(connection, file.chain_id)
            in_order = sorted(people)
            entered = await enroll_many(connection, door, in_order, source="csv")
            for contact_id, one in zip(in_order, entered, strict=True):
                enrolled += not one.problem
                if one.problem:
                    broken.append((people[contact_id], {"field": "chain", "message": one.sentence}))
        await rows.note_problems(connection, file.id, broken)
        return {
            "created": len(new), "updated": len(good) - len(new), "broken": batch.count - len(good), "enrolled": enrolled,
        }  # fmt: skip

    async def _give_up(self, workspace_id: str, import_id: str, why: str) -> None:
        async with self._database.workspace(workspace_id) as connection:
            await rows.finish(connection, import_id, "failed", why)


def _join(first: dict[str, Any], values: dict[str, Any]) -> None:
    tags = sorted({*first.get("tags", ()), *values.get("tags", ())})[:MOST_TAGS]
    fields = {**first.get("fields", {}), **values.get("fields", {})}
    first |= values | {"tags": tags, "fields": fields}


async def _fields(connection: Connection) -> list[ContactField]:
    return [ContactField(**{**r, "options": tuple(r["options"])}) for r in await contact_rows.fields(connection)]
