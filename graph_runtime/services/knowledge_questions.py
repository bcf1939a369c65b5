"""Questions that knowledge did not answer: listed by likeness, answered by an article, dismissed; and whether answers helped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from graph_runtime.contract.errors import NotFound
from graph_runtime.knowledge.words import TermIndex
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_gate import Access, ConversationGate, is_uuid
from graph_runtime.services.knowledge_bases import found_base
from graph_runtime.services.principal import Principal
from graph_runtime.storage import knowledge as documents
from graph_runtime.storage import knowledge_questions as rows
from graph_runtime.storage.database import Connection, Database, Row

QuestionState = Literal["open", "answered", "dismissed"]
SHOWN: Final = 100
ASKINGS_SHOWN: Final = 20
GROUPED_AT_ONCE: Final = 1000
COMPARED_WITH: Final = 5000
"""Newest askings that a new one is compared with."""
USED_WITHIN: Final = timedelta(days=30)
STALE_AFTER: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """A question in the words of its newest asking. `asked`: how often; `people`: in how many conversations.

    `reason` of the newest: not_found, uncited or unhelpful. `document`: title of what was written about it, or "".
    """

    id: str
    text: str
    language: str
    state: QuestionState
    reason: str
    asked: int
    people: int
    asked_at: datetime
    agent: str
    conversation_id: str
    document_id: str
    document: str


@dataclass(frozen=True, slots=True)
class AskingRow:
    """One time it was asked. `best` 0…1: how sure the best passage was."""

    text: str
    language: str
    reason: str
    best: float
    agent: str
    conversation_id: str
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What a document did within 30 days: answers it was a source of, and what contacts thought of them."""

    answers: int
    helpful: int
    unhelpful: int


@dataclass(frozen=True, slots=True)
class Health:
    """What to clean up in a base. `stale`: (document, title, last change) that answered nobody for 90 days; `twins`: (document,
    title, other document, its title, how many passages are the same)."""

    stale: Sequence[tuple[str, str, datetime]]
    twins: Sequence[tuple[str, str, str, str, int]]


class KnowledgeQuestions:
    """Questions are words of contacts, so whoever reads them must be allowed to read conversations."""

    def __init__(self, database: Database, gate: ConversationGate, clock: Clock = system_clock) -> None:
        self._database = database
        self._gate = gate
        self._clock = clock

    async def list(
        self, principal: Principal, base_id: str, *, state: QuestionState = "open", agent_id: str = ""
    ) -> list[QuestionRow]:
        """Of a base, those of most people first. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read", "conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_base(connection, base_id)
            await _group(connection)
            agent = agent_id if is_uuid(agent_id) else None
            found = await rows.questions(connection, base_id=base_id, state=state, agent_id=agent, limit=SHOWN)
        return [_shown(row) for row in found]

    async def agents(self, principal: Principal, base_id: str) -> Sequence[tuple[str, str]]:
        """Agents that could not answer from this base: (id, name). Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read", "conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_base(connection, base_id)
            return [(row["id"], row["name"]) for row in await rows.agents_asked(connection, base_id)]

    async def open_counts(self, principal: Principal) -> dict[str, int]:
        """Base → how many questions are open there. Raises: AccessDenied."""
        principal.require("knowledge.read", "conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await _group(connection)
            is_open = [row["id"] for row in await rows.questions(connection, state="open", limit=COMPARED_WITH)]
            return Counter(row["base_id"] for row in await rows.bases_of(connection, is_open))

    async def get(self, principal: Principal, question_id: str) -> tuple[QuestionRow, Sequence[AskingRow]]:
        """With the newest times it was asked. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read", "conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, question_id)
            asked = await rows.askings(connection, question_id, ASKINGS_SHOWN)
        return _shown(row), [AskingRow(**r) for r in asked]

    async def dismiss(self, principal: Principal, question_id: str) -> QuestionRow:
        """It needs no answer; when it is asked again it stays away. Raises: AccessDenied, NotFound."""
        return await self._decide(principal, question_id, is_dismissed=True)

    async def reopen(self, principal: Principal, question_id: str) -> QuestionRow:
        """It needs an answer after all. Raises: AccessDenied, NotFound."""
        return await self._decide(principal, question_id, is_dismissed=False)

    async def settle(self, principal: Principal, question_id: str, document_id: str) -> QuestionRow:
        """A document was written about it; it is answered once that is published. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.edit", "conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await _found(connection, question_id)
            if not is_uuid(document_id) or await documents.document(connection, document_id) is None:
                raise NotFound("There is no such document. It may have been deleted; reload the page.")
            await rows.set_document(connection, question_id, document_id)
            return _shown(await _found(connection, question_id))

    async def rate(self, access: Access, conversation_id: str, seq: int, is_helpful: bool | None) -> None:
        """Whether an answer with sources helped its contact; None takes it back. A no makes its question an unanswered one.

        Raises: NotFound (no such conversation of theirs, or no answer with sources there).
        """
        await self._gate.authorise(access, conversation_id, "conversation.write")
        async with self._database.workspace(access.workspace_id) as connection:
            message = await rows.answer_with_sources(connection, conversation_id, seq)
            if message is None or message["turn_id"] is None:
                raise NotFound("There is no answer with sources here.")
            await rows.rate(connection, conversation_id, seq, message["turn_id"], is_helpful)

    async def usage(self, principal: Principal, base_id: str) -> dict[str, UsageRow]:
        """Document → what it did within 30 days; those that did nothing are left out. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_base(connection, base_id)
            found = await rows.usage(connection, base_id, self._clock() - USED_WITHIN)
        return {r["document_id"]: UsageRow(r["answers"], r["helpful"], r["unhelpful"]) for r in found}

    async def health(self, principal: Principal, base_id: str) -> Health:
        """What nobody needs, and what is there twice. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_base(connection, base_id)
            stale = await rows.stale(connection, base_id, self._clock() - STALE_AFTER, SHOWN)
            twins = await rows.twins(connection, base_id, SHOWN)
        return Health(
            [(r["id"], r["title"], r["updated_at"]) for r in stale],
            [(r["one"], r["one_title"], r["other"], r["other_title"], r["passages"]) for r in twins],
        )

    async def _decide(self, principal: Principal, question_id: str, *, is_dismissed: bool) -> QuestionRow:
        principal.require("knowledge.edit", "conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await _found(connection, question_id)
            await rows.set_dismissed(connection, question_id, is_dismissed=is_dismissed)
            return _shown(await _found(connection, question_id))


async def _group(connection: Connection) -> None:
    """Put new askings to the questions they are like; those like none begin one."""
    if not await rows.ungrouped(connection, 1):
        return
    await rows.lock_grouping(connection)
    known = TermIndex()
    for row in reversed(await rows.known_terms(connection, COMPARED_WITH)):
        known.add(row["question_id"], row["terms"])
    while asked := await rows.ungrouped(connection, GROUPED_AT_ONCE):
        pairs = []
        for asking in asked:
            question = known.nearest(asking["terms"]) or await rows.add_question(connection)
            known.add(question, asking["terms"])
            pairs.append((asking["id"], question))
        await rows.group(connection, pairs)


async def _found(connection: Connection, question_id: str) -> Row:
    row = await rows.question(connection, question_id) if is_uuid(question_id) else None
    if row is None:
        raise NotFound("There is no such question. Its conversation may have been deleted; reload the page.")
    return row


def _shown(row: Row) -> QuestionRow:
    return QuestionRow(
        id=row["id"], text=row["text"], language=row["language"], state=row["state"], reason=row["reason"],
        asked=row["asked"], people=row["people"], asked_at=row["asked_at"], agent=row["agent"],
        conversation_id=row["conversation_id"], document_id=row["document_id"] or "", document=row["document"] or "",
    )  # fmt: skip
