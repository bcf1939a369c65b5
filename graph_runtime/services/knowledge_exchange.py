"""Knowledge bases in and out as files: exported whole, taken in by a worker batch by batch, whatever dies in between."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import secrets
import zipfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final

from graph_runtime.contract.errors import BuilderError, FileHarmful, InputInvalid, NotFound
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.contact_tables import protected
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.knowledge_bases import DEEPEST_CATEGORY, MOST_CATEGORIES, found_base
from graph_runtime.services.knowledge_bundle import FORMAT, INSIDE, PATH_SIGN, Bundle, Entry, read_bundle
from graph_runtime.services.knowledge_values import file_values, published
from graph_runtime.services.principal import Principal
from graph_runtime.storage import audit
from graph_runtime.storage import knowledge as documents
from graph_runtime.storage import knowledge_exchange as rows
from graph_runtime.storage.database import Connection, Database, Row
from graph_runtime.storage.objects import Kept

BATCH: Final = 50
EXPORTED_AT_ONCE: Final = 200
IN_MEMORY: Final = 4_000_000
MOST_ATTEMPTS: Final = 3
MOST_PROBLEMS_SHOWN: Final = 500
_DOCUMENTS: Final = ("article", "pair", "page", "file")


@dataclass(frozen=True, slots=True)
class KnowledgeImport:
    """`state`: waiting (entries are being taken in), done, failed or canceled; `position` of `total` entries are done."""

    id: str
    knowledge_base_id: str
    file_name: str
    state: str
    total: int
    position: int
    created: int
    updated: int
    unchanged: int
    broken: int
    error: str


@dataclass(frozen=True, slots=True)
class ImportProblem:
    """`entry`: as the file counts (of a CSV, its line); `about`: its title."""

    entry: int
    about: str
    message: str


@dataclass(slots=True)
class _Work:
    """One file that is taken in. `paths`: categories that are there, by their names from the top, in small letters."""

    import_id: str
    base_id: str
    member_id: str | None
    bundle: Bundle
    paths: dict[tuple[str, ...], str]


class KnowledgeExchange:
    """Whoever may read knowledge may save it; editors bring it. `run_next` is the worker's."""

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        self._database = database
        self._clock = clock

    async def export_pairs(self, principal: Principal, base_id: str) -> AsyncIterator[str]:
        """Questions and answers as CSV, piece by piece. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read")
        paths = await self._begin_export(principal, base_id)
        yield "\ufeff" + _csv_line(["question", "answer", "category", "language"])
        async for row in self._documents(principal, base_id):
            if row["kind"] == "pair":
                where = PATH_SIGN.join(paths.get(row["category_id"], []))
                yield _csv_line(
                    [protected(row["title"]), protected(row["body"]), protected(where), row["told_language"]]
                )

    async def export(self, principal: Principal, base_id: str, *, with_files: bool) -> IO[bytes]:
        """The whole base: as a ZIP with its files, or as JSON without them. The caller closes it.

        Raises: AccessDenied, NotFound, ConnectorError (the place of files cannot be reached).
        """
        principal.require("knowledge.read")
        paths = await self._begin_export(principal, base_id)
        out: IO[bytes] = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (the caller closes it)
        try:
            if not with_files:
                await self._write_json(principal, base_id, paths, out, with_files=False)
            else:
                with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
                    with archive.open(INSIDE, "w", force_zip64=True) as inside:
                        files = await self._write_json(principal, base_id, paths, inside, with_files=True)
                    for document_id, path in files:
                        async with self._database.workspace(principal.workspace_id) as connection:
                            where = await documents.source(connection, document_id)
                        content = await self._database.files.read(where)
                        if content is not None:
                            await asyncio.to_thread(archive.writestr, path, content)
            out.seek(0)
        except BaseException:
            out.close()
            raise
        return out

    async def _begin_export(self, principal: Principal, base_id: str) -> dict[str, list[str]]:
        """Notes it; category → names from the top."""
        async with self._database.workspace(principal.workspace_id) as connection:
            base = await found_base(connection, base_id)
            ids = {"knowledge_base": base["id"]}
            await audit.append(connection, principal.actor, "knowledge_base.exported", ids, self._clock())
            return _paths(await documents.categories(connection, base_id))

    async def _documents(self, principal: Principal, base_id: str) -> AsyncIterator[Row]:
        after: str | None = None
        while True:
            async with self._database.workspace(principal.workspace_id) as connection:
                batch = await rows.documents(connection, base_id, after, EXPORTED_AT_ONCE)
            for row in batch:
                yield row
            if len(batch) < EXPORTED_AT_ONCE:
                return
            after = batch[-1]["id"]

    async def _write_json(
        self, principal: Principal, base_id: str, paths: dict[str, list[str]], out: IO[bytes], *, with_files: bool
    ) -> list[tuple[str, str]]:
        """One document a line; (document, path) of files to put beside it."""
        async with self._database.workspace(principal.workspace_id) as connection:
            base = await found_base(connection, base_id)
        head = {
            "format": FORMAT, "name": base["name"], "description": base["description"], "categories": list(paths.values()),
        }  # fmt: skip
        out.write(json.dumps(head, ensure_ascii=False)[:-1].encode() + b', "documents": [\n')
        files: list[tuple[str, str]] = []
        is_first = True
        async for row in self._documents(principal, base_id):
            told = _told(row, paths)
            if row["kind"] == "file":
                if not with_files:
                    continue
                told["file"] = f"files/{row['id']}"
                files.append((row["id"], told["file"]))
            out.write((b"" if is_first else b",\n") + json.dumps(told, ensure_ascii=False).encode("utf-8", "replace"))
            is_first = False
        out.write(b"\n]}\n")
        return files

    async def keep(self, principal: Principal, base_id: str, file_name: str, content: bytes) -> KnowledgeImport:
        """Let a worker take a file in: CSV of pairs, JSON or ZIP.

        Raises: AccessDenied, NotFound, InputInvalid, TooLarge when nothing of it can be used.
        """
        principal.require("knowledge.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_base(connection, base_id)
        bundle = await asyncio.to_thread(read_bundle, content)
        values = {
            "file_name": file_name.replace("\0", "")[-200:] or "knowledge", "content": content,
            "total": len(bundle.entries), "member_id": principal.member_id,
        }  # fmt: skip
        async with self._database.workspace(principal.workspace_id) as connection:
            import_id = await rows.add(connection, base_id, values)
            ids = {"knowledge_base": base_id}
            await audit.append(connection, principal.actor, "knowledge_base.imported", ids, self._clock())
        return await self.progress(principal, import_id)

    async def progress(self, principal: Principal, import_id: str) -> KnowledgeImport:
        """How far it is. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await rows.get(connection, import_id) if is_uuid(import_id) else None
        if row is None:
            raise NotFound("There is no such import.")
        return KnowledgeImport(**{k: row[k] for k in KnowledgeImport.__slots__})

    async def newest(self, principal: Principal, base_id: str) -> KnowledgeImport | None:
        """The newest of a base. Raises: AccessDenied."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await rows.newest(connection, base_id) if is_uuid(base_id) else None
        return None if row is None else KnowledgeImport(**{k: row[k] for k in KnowledgeImport.__slots__})

    async def problems(self, principal: Principal, import_id: str) -> Sequence[ImportProblem]:
        """The first five hundred entries that were not taken in. Raises: AccessDenied."""
        principal.require("knowledge.read")
        if not is_uuid(import_id):
            return []
        async with self._database.workspace(principal.workspace_id) as connection:
            return [ImportProblem(**row) for row in await rows.problems(connection, import_id, MOST_PROBLEMS_SHOWN)]

    async def cancel(self, principal: Principal, import_id: str) -> bool:
        """Take in no more; what is in stays. False: it was over. Raises: AccessDenied."""
        principal.require("knowledge.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            return is_uuid(import_id) and await rows.cancel(connection, import_id)

    async def run_next(self) -> bool:
        """Take in one waiting file, if there is one. A file that killed its worker three times is given up."""
        claimed = await rows.claim(self._database)
        if claimed is None:
            return False
        workspace_id, import_id, attempts = claimed
        async with self._database.workspace(workspace_id) as connection:
            if attempts > MOST_ATTEMPTS:
                why = "The file could not be taken in. Try it in smaller pieces."
                await rows.finish(connection, import_id, "failed", why)
                return True
            row = await rows.content(connection, import_id)
        if row is None:
            return True
        try:
            bundle = await asyncio.to_thread(read_bundle, bytes(row["content"]))
        except BuilderError as error:
            async with self._database.workspace(workspace_id) as connection:
                await rows.finish(connection, import_id, "failed", error.message)
            return True
        work = _Work(import_id, row["knowledge_base_id"], row["member_id"], bundle, {})
        await self._take_in(workspace_id, work, row["position"])
        return True

    async def _take_in(self, workspace_id: str, work: _Work, position: int) -> None:
        entries = work.bundle.entries
        while position < len(entries):
            batch = _next(entries, position)
            kept = await self._kept(workspace_id, work, batch[0])
            async with self._database.workspace(workspace_id) as connection:
                if not await rows.go_on(connection, work.import_id, position):
                    return
                tree = await documents.categories(connection, work.base_id)
                work.paths = {tuple(n.lower() for n in path): c for c, path in _paths(tree).items()}
                counts = await self._batch(connection, work, batch, kept)
                position += len(batch)
                await rows.advance(connection, work.import_id, position, counts)
                await documents.wake(connection)
        async with self._database.workspace(workspace_id) as connection:
            await rows.finish(connection, work.import_id, "done")

    async def _kept(self, workspace_id: str, work: _Work, entry: Entry) -> tuple[Row, Kept] | str | None:
        """Of a file that is not here yet: its columns and its bytes; a sentence when it cannot be; None: nothing to keep."""
        if entry.kind != "file" or entry.problem:
            return None
        try:
            content = await asyncio.to_thread(work.bundle.content, entry)
            values = file_values(entry.title, content)
        except BuilderError as error:
            return error.message
        async with self._database.workspace(workspace_id) as connection:
            if await rows.twin(connection, work.base_id, values) is not None:
                return values, Kept(0, b"")
        try:
            return values, await self._database.files.keep(workspace_id, content)
        except FileHarmful as error:
            return error.message

    async def _batch(
        self, connection: Connection, work: _Work, batch: Sequence[Entry], kept: tuple[Row, Kept] | str | None
    ) -> dict[str, int]:
        counts = {"created": 0, "updated": 0, "unchanged": 0, "broken": 0}
        broken = []
        for entry in batch:
            problem = entry.problem or (kept if isinstance(kept, str) else "")
            if not problem:
                try:
                    done = await self._one(connection, work, entry, kept if isinstance(kept, tuple) else None)
                    counts[done] += entry.kind in _DOCUMENTS
                except BuilderError as error:
                    problem = error.message
            if problem:
                counts["broken"] += 1
                broken.append((entry.number, entry.about, problem))
        if broken:
            await rows.note_problems(connection, work.import_id, broken)
        return counts

    async def _one(self, connection: Connection, work: _Work, entry: Entry, kept: tuple[Row, Kept] | None) -> str:
        """created, updated or unchanged. Raises: InputInvalid before anything was written."""
        if entry.kind == "relation":
            return await _relate(connection, work, entry)
        category_id = await _category(connection, work, entry.category)
        if entry.kind == "category":
            return "unchanged"
        values: Row = {"category_id": category_id, "origin": entry.origin}
        if kept is not None:
            values |= kept[0]
            if entry.other:
                article = await rows.known(connection, work.base_id, entry.other)
                if article is None:
                    raise InputInvalid("The article that this file belongs to is not here.", field="attached_to")
                values["attached_to"] = article
        elif entry.kind == "page":
            values |= {
                "kind": "page",
                "title": entry.title,
                "url": entry.url,
                "read_every_days": entry.every_days or None,
            }
        else:
            values |= {"kind": entry.kind, "title": entry.title, "told_language": entry.language}
        found = await rows.known(connection, work.base_id, entry.origin)
        found = found or await rows.twin(connection, work.base_id, values)
        if found is None:
            return await self._create(connection, work, entry, values, kept[1] if kept else None)
        return await self._change(connection, work, entry, values, await rows.whole(connection, found))

    async def _create(
        self, connection: Connection, work: _Work, entry: Entry, values: Row, kept: Kept | None
    ) -> str:  # fmt: skip
        number = max((v.number for v in entry.versions), default=0) + 1
        if entry.text:
            values |= published(entry.title, entry.text) | {"version": number}
        if entry.draft is not None:
            values |= {"draft": entry.draft} | ({} if entry.text else {"state": "draft"})
        place = {"knowledge_base_id": work.base_id, "public_id": secrets.token_urlsafe(12)}
        document_id = await documents.add_document(connection, place | values)
        if document_id is None:
            return "unchanged"  # somebody brought it this very moment
        if kept is not None:
            if not kept.size:
                raise InputInvalid("This file was deleted while it was taken in. Import it once more.", field="file")
            await documents.keep_source(connection, document_id, kept)
        if entry.text:
            await rows.add_versions(
                connection, document_id, [(v.number, v.title, v.text, v.at) for v in entry.versions]
            )
            await documents.keep_version(connection, document_id, work.member_id)
        return "created"

    async def _change(self, connection: Connection, work: _Work, entry: Entry, values: Row, row: Row) -> str:
        """What is different becomes as the file says; what the file does not say stays."""
        wanted = {k: v for k, v in values.items() if k in ("title", "told_language", "read_every_days", "attached_to")}
        if entry.category:
            wanted["category_id"] = values["category_id"]
        if entry.origin and entry.origin != row["id"] and not row["origin"]:
            wanted["origin"] = entry.origin
        if row["kind"] in ("page", "file"):
            wanted.pop("title", None)
        if not entry.language:
            wanted.pop("told_language", None)
        changed = {k: v for k, v in wanted.items() if v != row[k]}
        is_rewritten = bool(entry.text) and (entry.title, entry.text) != (row["title"], row["body"])
        if entry.draft is not None and entry.draft != row["draft"]:
            changed["draft"] = entry.draft
        is_read_again = is_rewritten or "told_language" in changed
        if is_rewritten:
            changed |= published(entry.title, entry.text) | {"version": row["version"] + 1}
            changed["draft"] = entry.draft
        if not changed:
            return "unchanged"
        await documents.change(connection, "knowledge_document", row["id"], changed)
        if "category_id" in changed:
            await documents.move_passages(connection, row["id"], changed["category_id"])
        if is_rewritten:
            await documents.keep_version(connection, row["id"], work.member_id)
        if is_read_again and (is_rewritten or row["version"]):
            await documents.read_again(connection, row["id"], is_forced=True)
        return "unchanged" if changed.keys() == {"origin"} else "updated"


def _next(entries: Sequence[Entry], position: int) -> Sequence[Entry]:
    """What is taken in together; a file alone, since it may have 25 MB."""
    end = position + 1
    while end < min(position + BATCH, len(entries)) and "file" not in (entries[position].kind, entries[end].kind):
        end += 1
    return entries[position:end]


async def _relate(connection: Connection, work: _Work, entry: Entry) -> str:
    one = await rows.known(connection, work.base_id, entry.origin)
    other = await rows.known(connection, work.base_id, entry.other)
    if one is None or other is None or one == other:
        raise InputInvalid("A document to “see also” is not here.", field="see_also")
    await documents.relate(connection, work.base_id, one, other)
    return "unchanged"


async def _category(connection: Connection, work: _Work, path: Sequence[str]) -> str | None:
    """The category of a path, made where it is missing. Raises: InputInvalid."""
    parent: str | None = None
    for depth in range(len(path)):
        key = tuple(n.lower() for n in path[: depth + 1])
        if key not in work.paths:
            if len(work.paths) >= MOST_CATEGORIES or depth >= DEEPEST_CATEGORY:
                raise InputInvalid("There is no room for another category here.", field="category")
            work.paths[key] = await documents.add_category(connection, work.base_id, path[depth], parent)
        parent = work.paths[key]
    return parent


def _paths(tree: Sequence[Row]) -> dict[str, list[str]]:
    """Category → names from the top; a tree tells each before its children."""
    paths: dict[str, list[str]] = {}
    for row in tree:
        paths[row["id"]] = [*paths.get(row["parent_id"] or "", []), row["name"]]
    return paths


def _told(row: Row, paths: dict[str, list[str]]) -> dict[str, Any]:
    """A document as the file says it; what is empty is left out."""
    kind = row["kind"]
    told: dict[str, Any] = {
        "id": row["origin"] or row["id"], "kind": kind, "category": paths.get(row["category_id"] or "", []),
        "language": row["told_language"], "see_also": row["see_also"],
    }  # fmt: skip
    if kind == "article":
        told |= {"title": row["title"], "text": row["body"] if row["version"] else "", "draft": row["draft"]}
        told["versions"] = row["versions"]
    elif kind == "pair":
        told |= {"question": row["title"], "answer": row["body"]}
    elif kind == "page":
        told |= {"url": row["url"], "every_days": row["read_every_days"]}
    else:
        told |= {"name": row["file_name"], "attached_to": row["attached_to"]}
    return {k: v for k, v in told.items() if v not in ("", [], None)}


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
