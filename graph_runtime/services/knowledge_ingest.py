"""Reads documents: claims a row, converts and splits, writes passages and vectors; may die at any moment.

The rows are the truth: a document whose reader died is claimed again when its lease ends, what was written under an older
claim is refused, and a document that has not changed is not read twice.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from graph_runtime.contract.embedding import Embedder
from graph_runtime.contract.errors import BuilderError, ConnectorError, NotFound, RateLimited, Refused
from graph_runtime.knowledge.reader import NotRead, Read, Reader
from graph_runtime.knowledge.splitting import Passage, split
from graph_runtime.knowledge.words import language_of, normal, plain, stem, tokens
from graph_runtime.services.knowledge_embedders import KnowledgeEmbedders
from graph_runtime.services.web_pages import RobotsForbid, WebPages
from graph_runtime.storage import knowledge as documents
from graph_runtime.storage import passages as rows
from graph_runtime.storage.database import Database, Row
from graph_runtime.storage.passages import Claimed, NewPassage

log = structlog.get_logger(__name__)
LEASE_SECONDS: Final = 60
BEAT_SECONDS: Final = 3.0
MOST_ATTEMPTS: Final = 4
"""A document whose readers died this often is given up; so is one whose embedder failed this often in a row."""
SHORTEST_WORD: Final = 4
WORDS_KEPT: Final = 40
PAUSE_SECONDS: Final = 30


class _ClaimLost(Exception):
    """Another reader has the document, or it was deleted."""


class _FilesAway(Exception):
    """The place where files lie does not answer; the document is read as soon as it does."""


@dataclass(slots=True)
class _Job:
    """`keeps_note`: what the row says about an error is about this reading: pages that are pictures."""

    claimed: Claimed
    progress: int = 0
    keeps_note: bool = False


class KnowledgeIngest:
    """One per worker; reads one document at a time. `owner`: number of this process."""

    def __init__(
        self,
        database: Database,
        embedders: KnowledgeEmbedders,
        pages: WebPages,
        owner: int,
        reader: Reader | None = None,
    ) -> None:
        self._database = database
        self._embedders = embedders
        self._pages = pages
        self._owner = owner
        self.reader = reader or Reader()
        self._lexemes = rows.Lexemes()
        self._known = _KnownWords()

    async def close(self) -> None:
        """End the reading process."""
        await self.reader.close()

    async def run_next(self) -> bool:
        """Read the next document; False when none waits."""
        claimed = await rows.claim(self._database, self._owner, LEASE_SECONDS)
        if claimed is None:
            return False
        job = _Job(claimed)
        work = asyncio.create_task(self._guarded(job), name=f"read {claimed.document_id}")
        try:
            await self._beat(job, work)
            await work
        except _ClaimLost:
            log.info("document_claim_lost", document_id=claimed.document_id)
        finally:
            if not work.done():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                await asyncio.shield(self._let_go(claimed))
        return True

    async def _beat(self, job: _Job, work: asyncio.Task[None]) -> None:
        """Keep the lease, and show how far it is."""
        while not work.done():
            await asyncio.wait({work}, timeout=BEAT_SECONDS)
            if work.done():
                return
            async with self._database.workspace(job.claimed.workspace_id) as connection:
                if not await rows.renew(connection, job.claimed, LEASE_SECONDS, job.progress):
                    work.cancel()
                    await asyncio.gather(work, return_exceptions=True)
                    raise _ClaimLost

    async def _let_go(self, claimed: Claimed) -> None:
        async with self._database.workspace(claimed.workspace_id) as connection:
            await rows.renew(connection, claimed, 0)

    async def _guarded(self, job: _Job) -> None:
        claimed = job.claimed
        try:
            if claimed.attempts > MOST_ATTEMPTS:
                raise NotRead("crashed")
            await self._read(job)
        except _FilesAway as error:
            log.warning("files_away", reason=str(error))
            async with self._database.workspace(claimed.workspace_id) as connection:
                if await rows.renew(connection, claimed, PAUSE_SECONDS):
                    await documents.change(connection, "knowledge_document", claimed.document_id, {"attempts": 0})
        except NotRead as error:
            await self._finish(claimed, {"state": "failed", "error": error.code, "error_about": error.about})
        except BuilderError as error:
            about = error.message[:300]
            await self._finish(claimed, {"state": "failed", "error": error.code[:50], "error_about": about})
        except (_ClaimLost, asyncio.CancelledError):
            raise
        except Exception:
            # The lease ends and the document is claimed again, until its attempts are used up.
            log.exception("document_failed", document_id=claimed.document_id)
            await self._let_go(claimed)

    async def _finish(self, claimed: Claimed, values: Row) -> None:
        async with self._database.workspace(claimed.workspace_id) as connection:
            if not await rows.finish(connection, claimed, values):
                raise _ClaimLost

    async def _read(self, job: _Job) -> None:
        claimed = job.claimed
        async with self._database.workspace(claimed.workspace_id) as connection:
            document = await rows.to_read(connection, claimed)
        if document is None:
            raise _ClaimLost
        if document["state"] != "embedding":
            job.progress = 5
            await self._write(job, document)
        if document["embedder"]:
            await self._embed(job, document)
        else:
            await self._ready(job)
        if document["former_embedder"]:
            async with self._database.workspace(claimed.workspace_id) as connection:
                await rows.forget_former(connection, document["knowledge_base_id"])

    async def _ready(self, job: _Job) -> None:
        no_error = {} if job.keeps_note else {"error": "", "error_about": ""}
        await self._finish(job.claimed, {"state": "ready", "progress": 100} | no_error)

    async def _write(self, job: _Job, document: Row) -> None:
        """From the source to passages, unless they are there already."""
        claimed = job.claimed
        content, digest = await self._content(claimed, document)
        if digest == document["read_hash"]:
            return
        read = await self._passages(document, content)
        job.progress = 40
        language = document["told_language"] or read.language
        made, stems = await asyncio.to_thread(_prepared, document, read)
        job.progress = 60
        values: dict[str, Any] = {
            "state": "embedding", "read_hash": digest, "content_hash": digest, "passages": len(made), "language": language,
            "error": "scanned_pages" if read.pictures else "", "error_about": ", ".join(map(str, read.pictures))[:300],
            "attempts": 0,
        }  # fmt: skip
        job.keeps_note = bool(read.pictures)
        if document["kind"] == "page":
            values["title"] = (read.title or document["url"])[:500]
        async with self._database.workspace(claimed.workspace_id) as connection:
            await rows.replace(connection, document, language, made, await self._lexemes.of(connection, stems))
            words = self._known.new(document["knowledge_base_id"], filter(_may_be_mistyped, stems))
            await rows.add_words(connection, document["knowledge_base_id"], words)
            locked = await rows.to_read(connection, claimed, for_update=True)
            if locked is None:
                raise _ClaimLost
            if locked["category_id"] != document["category_id"]:
                await documents.move_passages(connection, document["id"], locked["category_id"])
            await documents.change(
                connection, "knowledge_document", document["id"], values | {"read_at": await rows.moment(connection)}
            )
        self._known.keep(document["knowledge_base_id"], words)
        job.progress = 90

    async def _content(self, claimed: Claimed, document: Row) -> tuple[bytes, str]:
        """The bytes to read, and their hash."""
        kind = document["kind"]
        if kind == "page":
            content = await self._page(document["url"])
            return content, hashlib.sha256(content).hexdigest()
        if kind == "file":
            async with self._database.workspace(claimed.workspace_id) as connection:
                where = await documents.source(connection, document["id"])
            try:
                content = await self._database.files.read(where) or b""
            except NotFound as error:
                raise NotRead("file_gone") from error
            except ConnectorError as error:
                raise _FilesAway(error.message) from error
            return content, document["content_hash"]
        return b"", document["content_hash"]

    async def _page(self, url: str) -> bytes:
        try:
            return await self._pages.fetch(url)
        except RobotsForbid as error:
            raise NotRead("robots") from error
        except Refused as error:
            status = error.params.get("status")
            raise NotRead("page_missing", str(status)) if status else NotRead("page_refused", error.message) from error
        except ConnectorError as error:
            raise NotRead("page_unreachable", error.message) from error

    async def _passages(self, document: Row, content: bytes) -> Read:
        kind, body = document["kind"], document["body"]
        if kind == "pair":
            return Read("", language_of(f"{document['title']} {body}"), (Passage(body, document["title"]),))
        if kind == "article":
            found = await asyncio.to_thread(lambda: tuple(split(body.replace("\f", "\n"))))
            if not found:
                raise NotRead("empty")
            return Read("", language_of(body), found)
        name = document["file_name"] or "page.html"
        return await self.reader.read(content, name)

    async def _embed(self, job: _Job, document: Row) -> None:
        """Vectors for the passages that have none of this model; each batch is kept at once."""
        claimed = job.claimed
        try:
            embedder = await self._embedders.open(
                claimed.workspace_id, document["embedder"], document["embedder_model"]
            )
        except ConnectorError as error:
            raise NotRead("embedder", error.message) from error
        async with self._database.workspace(claimed.workspace_id) as connection:
            total = await rows.count_without_vector(connection, document["id"], embedder.name)
        left = total
        while left > 0:
            try:
                left -= await self._embed_some(claimed, document["id"], embedder)
            except ConnectorError as error:
                if not error.retryable or claimed.attempts >= MOST_ATTEMPTS:
                    raise NotRead("embedder", error.message) from error
                pause = error.retry_after if isinstance(error, RateLimited) and error.retry_after else PAUSE_SECONDS
                async with self._database.workspace(claimed.workspace_id) as connection:
                    await rows.renew(connection, claimed, int(min(pause, 600)) + 1, job.progress)
                return
            job.progress = 100 - 60 * left // max(1, total)
        await self._ready(job)

    async def _embed_some(self, claimed: Claimed, document_id: str, embedder: Embedder) -> int:
        async with self._database.workspace(claimed.workspace_id) as connection:
            some = await rows.without_vector(connection, document_id, embedder.name, embedder.at_once)
        if not some:
            return 1_000_000
        texts = [f"{row['heading']}\n{row['text']}".strip() for row in some]
        vectors = await embedder.embed(texts)
        async with self._database.workspace(claimed.workspace_id) as connection:
            if not await rows.renew(connection, claimed, LEASE_SECONDS):
                raise _ClaimLost
            pairs = [(row["id"], vector) for row, vector in zip(some, vectors, strict=True)]
            await rows.set_vectors(connection, embedder.name, len(vectors[0]), pairs)
            await documents.change(connection, "knowledge_document", document_id, {"attempts": 0})
        return len(some)


class _KnownWords:
    """Words that this process has written for a base, so that a further document writes only what is new."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, set[str]] = OrderedDict()

    def new(self, base_id: str, words: Iterable[str]) -> set[str]:
        """Those that may not be there yet."""
        return set(words) - self._of.get(base_id, set())

    def keep(self, base_id: str, words: set[str]) -> None:
        """They are written, and stay for as long as the base does."""
        known = self._of.setdefault(base_id, set())
        known |= words
        self._of.move_to_end(base_id)
        while len(self._of) > 1 and sum(map(len, self._of.values())) > rows.LEXEMES_KEPT:
            self._of.popitem(last=False)


def _may_be_mistyped(word: str) -> bool:
    return SHORTEST_WORD <= len(word) <= WORDS_KEPT and word.isalpha()


def _prepared(document: Row, read: Read) -> tuple[Sequence[NewPassage], Mapping[str, str]]:
    """Passages with the words they are found by, and the stem of each word."""
    title = read.title or document["title"]
    stems: dict[str, str] = {}
    made = []
    for passage in read.passages:
        heading = passage.heading or (title if document["kind"] != "pair" else document["title"])
        words = tokens(normal(plain(f"{title}\n{heading if heading != title else ''}\n{passage.text}")))
        distinct = dict.fromkeys(words)
        stems.update((w, stem(w)) for w in distinct if w not in stems)
        made.append(NewPassage(passage.text, heading, passage.page, distinct, len(words)))
    return made, stems
