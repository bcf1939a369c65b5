"""Rows of what knowledge did not answer: askings, the questions they are grouped into, feedback, and how documents are used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from graph_runtime.storage.database import Connection, Row

# A question is answered by what was written about it, until somebody asks it again after that was read.
_QUESTIONS: Final = """
    SELECT x.* FROM (
        SELECT q.id, d.id AS document_id, d.title AS document, n.text, n.language, n.reason, n.conversation_id, n.asked_at,
            coalesce(a.name, '') AS agent, s.asked, s.people,
            CASE WHEN q.dismissed_at IS NOT NULL THEN 'dismissed'
                 WHEN d.version > 0 AND n.asked_at <= coalesce(d.read_at, now()) THEN 'answered' ELSE 'open' END AS state
        FROM knowledge_question q
        JOIN LATERAL (SELECT * FROM knowledge_asking k WHERE k.question_id = q.id ORDER BY k.asked_at DESC LIMIT 1) n ON true
        JOIN LATERAL (
            SELECT count(*)::integer AS asked, count(DISTINCT k.conversation_id)::integer AS people FROM knowledge_asking k
            WHERE k.question_id = q.id) s ON true
        LEFT JOIN knowledge_document d ON d.id = q.document_id
        LEFT JOIN agent a ON a.id = n.agent_id
        WHERE (%(id)s::uuid IS NULL OR q.id = %(id)s::uuid)
          AND (%(base)s::uuid IS NULL OR EXISTS (
                SELECT FROM knowledge_asking k WHERE k.question_id = q.id AND %(base)s::uuid = ANY (k.bases)))
          AND (%(agent)s::uuid IS NULL OR EXISTS (
                SELECT FROM knowledge_asking k WHERE k.question_id = q.id AND k.agent_id = %(agent)s::uuid))) x
    WHERE %(state)s::text IS NULL OR x.state = %(state)s
    ORDER BY x.people DESC, x.asked_at DESC LIMIT %(limit)s
"""


async def lock_grouping(connection: Connection) -> None:
    """One at a time groups askings of a workspace, until the end of the transaction."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtext('knowledge_asking'), hashtext(current_setting('app.workspace_id')))"
    )


async def ungrouped(connection: Connection, limit: int) -> list[Row]:
    """Askings that belong to no question yet, oldest first."""
    cursor = await connection.execute(
        "SELECT id, text, terms FROM knowledge_asking WHERE question_id IS NULL ORDER BY asked_at, id LIMIT %s",
        (limit,),
    )
    return await cursor.fetchall()


async def known_terms(connection: Connection, limit: int) -> list[Row]:
    """What was asked last, in different terms: question_id, terms; the newest first."""
    cursor = await connection.execute(
        "SELECT k.question_id, k.terms FROM knowledge_asking k WHERE k.question_id IS NOT NULL"
        " GROUP BY 1, 2 ORDER BY max(k.asked_at) DESC LIMIT %s",
        (limit,),
    )
    return await cursor.fetchall()


async def add_question(connection: Connection) -> str:
    """A new question without askings; its id."""
    cursor = await connection.execute(
        "INSERT INTO knowledge_question (workspace_id) VALUES (current_setting('app.workspace_id')::uuid) RETURNING id"
    )
    row = await cursor.fetchone()
    assert row is not None
    return str(row["id"])


async def group(connection: Connection, pairs: Sequence[tuple[str, str]]) -> None:
    """Askings into questions: (asking, question)."""
    await connection.execute(
        "UPDATE knowledge_asking k SET question_id = p.question FROM unnest(%s::uuid[], %s::uuid[]) p (asking, question)"
        " WHERE k.id = p.asking",
        ([a for a, _ in pairs], [q for _, q in pairs]),
    )


async def questions(
    connection: Connection,
    *,
    base_id: str | None = None,
    state: str | None = None,
    agent_id: str | None = None,
    limit: int,
) -> list[Row]:
    """Those of most people first. None does not filter."""
    about = {"id": None, "base": base_id, "state": state, "agent": agent_id, "limit": limit}
    return await (await connection.execute(_QUESTIONS, about)).fetchall()


async def question(connection: Connection, question_id: str) -> Row | None:
    """One of them."""
    about = {"id": question_id, "base": None, "state": None, "agent": None, "limit": 1}
    return await (await connection.execute(_QUESTIONS, about)).fetchone()


async def bases_of(connection: Connection, question_ids: Sequence[str]) -> list[Row]:
    """Where they were asked: question_id, base_id, each pair once."""
    cursor = await connection.execute(
        "SELECT DISTINCT k.question_id, b.id AS base_id FROM knowledge_asking k JOIN knowledge_base b ON b.id = ANY (k.bases)"
        " WHERE k.question_id = ANY (%s::uuid[])",
        (list(question_ids),),
    )
    return await cursor.fetchall()


async def askings(connection: Connection, question_id: str, limit: int) -> list[Row]:
    """When and where it was asked, newest first."""
    cursor = await connection.execute(
        "SELECT k.text, k.language, k.reason, k.best, k.conversation_id, k.asked_at, coalesce(a.name, '') AS agent"
        " FROM knowledge_asking k LEFT JOIN agent a ON a.id = k.agent_id WHERE k.question_id = %s"
        " ORDER BY k.asked_at DESC LIMIT %s",
        (question_id, limit),
    )
    return await cursor.fetchall()


async def agents_asked(connection: Connection, base_id: str) -> list[Row]:
    """Agents whose contacts asked something of this base in vain: id, name."""
    cursor = await connection.execute(
        "SELECT DISTINCT a.id, a.name FROM knowledge_asking k JOIN agent a ON a.id = k.agent_id"
        " WHERE %s = ANY (k.bases) ORDER BY a.name, a.id",
        (base_id,),
    )
    return await cursor.fetchall()


async def set_dismissed(connection: Connection, question_id: str, *, is_dismissed: bool) -> None:
    """It needs no answer; or it does after all."""
    await connection.execute(
        "UPDATE knowledge_question SET dismissed_at = CASE WHEN %s THEN clock_timestamp() END WHERE id = %s",
        (is_dismissed, question_id),
    )


async def set_document(connection: Connection, question_id: str, document_id: str) -> None:
    """What was written about it."""
    await connection.execute(
        "UPDATE knowledge_question SET document_id = %s, dismissed_at = NULL WHERE id = %s", (document_id, question_id)
    )


async def answer_with_sources(connection: Connection, conversation_id: str, seq: int) -> Row | None:
    """The turn of a message of the agent that shows sources."""
    cursor = await connection.execute(
        "SELECT m.turn_id FROM message m WHERE m.conversation_id = %s AND m.seq = %s AND m.role = 'agent'"
        " AND m.parts @? '$[*].sources[0]'",
        (conversation_id, seq),
    )
    return await cursor.fetchone()


async def rate(connection: Connection, conversation_id: str, seq: int, turn_id: str, is_helpful: bool | None) -> None:
    """Keep what the contact thinks of an answer (None: nothing any more), and show it with the message."""
    about = {"conversation": conversation_id, "seq": seq, "turn": turn_id, "helpful": is_helpful}
    if is_helpful is None:
        await connection.execute(
            "DELETE FROM knowledge_feedback WHERE conversation_id = %(conversation)s AND seq = %(seq)s", about
        )
    else:
        await connection.execute(_FEEDBACK, about)
    if is_helpful is False:
        await connection.execute(_UNHELPFUL, about)
    else:
        await connection.execute(
            "DELETE FROM knowledge_asking WHERE conversation_id = %(conversation)s AND turn_id = %(turn)s AND reason = 'unhelpful'",
            about,
        )
    await connection.execute(
        "UPDATE message SET flags = (flags - 'rated') || CASE %(helpful)s::boolean WHEN true THEN '{\"rated\": \"yes\"}'::jsonb"
        " WHEN false THEN '{\"rated\": \"no\"}' ELSE '{}' END WHERE conversation_id = %(conversation)s AND seq = %(seq)s",
        about,
    )


_FEEDBACK: Final = """
    INSERT INTO knowledge_feedback (conversation_id, seq, workspace_id, turn_id, is_helpful, documents)
        SELECT %(conversation)s, %(seq)s, current_setting('app.workspace_id')::uuid, %(turn)s, %(helpful)s, coalesce((
            SELECT ARRAY(SELECT jsonb_array_elements_text(e.data -> 'documents')::uuid) FROM event e
            WHERE e.conversation_id = %(conversation)s AND e.turn_id = %(turn)s AND e.kind = 'sources_cited'
            ORDER BY e.id DESC LIMIT 1), '{}')
        ON CONFLICT (conversation_id, seq) DO UPDATE SET is_helpful = excluded.is_helpful, at = now()
"""
_UNHELPFUL: Final = """
    INSERT INTO knowledge_asking (workspace_id, conversation_id, turn_id, node_id, agent_id, reason, bases, text, language, terms,
                                  best, asked_at)
        SELECT e.workspace_id, c.id, e.turn_id, e.node_id, c.agent_id, 'unhelpful',
            ARRAY(SELECT jsonb_array_elements_text(e.data -> 'bases')::uuid), left(e.data ->> 'query', 500), c.language,
            ARRAY(SELECT jsonb_array_elements_text(e.data -> 'terms')), (e.data ->> 'best')::real, now()
        FROM event e JOIN conversation c ON c.id = e.conversation_id
        WHERE e.conversation_id = %(conversation)s AND e.turn_id = %(turn)s AND e.kind = 'knowledge_searched' AND NOT c.is_test
        ORDER BY e.id DESC LIMIT 1
        ON CONFLICT (conversation_id, turn_id, node_id) DO NOTHING
"""


async def usage(connection: Connection, base_id: str, since: datetime) -> list[Row]:
    """Documents of a base that answered somebody since then: document_id, answers, helpful, unhelpful, last_at."""
    cursor = await connection.execute(_USAGE, {"base": base_id, "since": since})
    return await cursor.fetchall()


# An answer counts for what it cited; where no step cites, for what was found.
_USAGE: Final = """
    WITH used AS (
        SELECT DISTINCT ON (e.conversation_id, e.turn_id, e.node_id) e.data -> 'documents' AS documents, e.at
        FROM event e JOIN conversation c ON c.id = e.conversation_id
        WHERE e.workspace_id = current_setting('app.workspace_id')::uuid AND e.kind IN ('knowledge_searched', 'sources_cited')
          AND e.at >= %(since)s AND NOT c.is_test
        ORDER BY e.conversation_id, e.turn_id, e.node_id, (e.kind = 'sources_cited') DESC, e.id DESC
    ), answers AS (
        SELECT u.id::uuid AS id, count(*)::integer AS answers, max(used.at) AS last_at
        FROM used, jsonb_array_elements_text(used.documents) u (id) GROUP BY 1
    ), rated AS (
        SELECT u.id, count(*) FILTER (WHERE f.is_helpful)::integer AS helpful,
            count(*) FILTER (WHERE NOT f.is_helpful)::integer AS unhelpful
        FROM knowledge_feedback f, unnest(f.documents) u (id) WHERE f.at >= %(since)s GROUP BY 1
    )
    SELECT d.id AS document_id, coalesce(a.answers, 0) AS answers, coalesce(r.helpful, 0) AS helpful,
        coalesce(r.unhelpful, 0) AS unhelpful, a.last_at
    FROM knowledge_document d LEFT JOIN answers a ON a.id = d.id LEFT JOIN rated r ON r.id = d.id
    WHERE d.knowledge_base_id = %(base)s AND (a.id IS NOT NULL OR r.id IS NOT NULL)
"""


async def stale(connection: Connection, base_id: str, since: datetime, limit: int) -> list[Row]:
    """Documents older than that which answered nobody since: id, title, updated_at. Oldest first."""
    cursor = await connection.execute(
        """
        SELECT d.id, d.title, d.updated_at FROM knowledge_document d
        WHERE d.knowledge_base_id = %(base)s AND d.passages > 0 AND d.created_at < %(since)s AND NOT EXISTS (
            SELECT FROM event e WHERE e.workspace_id = current_setting('app.workspace_id')::uuid AND e.kind = 'knowledge_searched'
              AND e.at >= %(since)s AND e.data -> 'documents' ? d.id::text)
        ORDER BY d.updated_at LIMIT %(limit)s
        """,
        {"base": base_id, "since": since, "limit": limit},
    )
    return await cursor.fetchall()


async def twins(connection: Connection, base_id: str, limit: int) -> list[Row]:
    """Pairs of documents that have the same passages: one, one_title, other, other_title, passages. Most alike first."""
    cursor = await connection.execute(
        """
        WITH shared AS (
            SELECT p.text_hash, array_agg(DISTINCT p.document_id ORDER BY p.document_id) AS documents
            FROM knowledge_passage p JOIN knowledge_lookup l ON l.passage_id = p.id AND l.word_count >= 5
            WHERE p.knowledge_base_id = %(base)s GROUP BY 1
            HAVING count(DISTINCT p.document_id) BETWEEN 2 AND 5)
        SELECT o.id AS one, o.title AS one_title, t.id AS other, t.title AS other_title, count(*)::integer AS passages
        FROM shared s, unnest(s.documents) a (id), unnest(s.documents) b (id), knowledge_document o, knowledge_document t
        WHERE a.id < b.id AND o.id = a.id AND t.id = b.id
        GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 3 LIMIT %(limit)s
        """,
        {"base": base_id, "limit": limit},
    )
    return await cursor.fetchall()
