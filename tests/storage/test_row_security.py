"""The walls between workspaces: in every table, for every statement, whatever the program asks."""

from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from graph_runtime.services.principal import Principal
from graph_runtime.storage.database import Database
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres

Admin = psycopg.Connection[tuple[object, ...]]

DENIED = -1

EXEMPT = {
    "alembic_version": "which migrations ran; no data of anybody, and the program may not even read it",
    "restore_guard": "one row about the installation, read and written by functions of patchcord_system only",
    "daily_job": "when the installation's daily work was done; as above",
    "sign_in_limit": "counts attempts by hash before any workspace is known; forced, with no policy for the program",
}

ROWS_OF_A_WORKSPACE = """
WITH w AS (SELECT %(w)s::uuid AS id),
agents AS (INSERT INTO agent (workspace_id, name, public_id) SELECT id, 'A', %(r)s FROM w RETURNING id),
flows AS (INSERT INTO flow (workspace_id, agent_id, kind, name, document)
    SELECT %(w)s, id, 'main', 'F', '{}' FROM agents RETURNING id),
edits AS (INSERT INTO flow_edit (workspace_id, flow_id, revision, client, seq, edits, paths)
    SELECT %(w)s, id, 1, 'c', 1, '[]', '{}' FROM flows),
versions AS (INSERT INTO version (workspace_id, flow_id, number, document, content_hash)
    SELECT %(w)s, id, 1, '{}', 'h' FROM flows RETURNING id),
channels AS (INSERT INTO channel (workspace_id, agent_id, connector, public_id)
    SELECT %(w)s, id, 'web_chat', %(r)s FROM agents RETURNING id),
keys AS (INSERT INTO data_key (workspace_id, number, wrapped, wrapped_by) VALUES (%(w)s, 1, 'x', 'k')),
credentials AS (INSERT INTO credential (workspace_id, connector, label, data_key_number)
    VALUES (%(w)s, 'openai', 'L', 1) RETURNING id),
accesses AS (INSERT INTO oauth_access (id, workspace_id, credential_id, redirect_uri)
    SELECT gen_random_uuid(), %(w)s, id, '' FROM credentials),
visits AS (INSERT INTO oauth_attempt (state_hash, workspace_id, credential_id, member_id, secrets, redirect_uri, expires_at)
    SELECT sha256(%(r)s::bytea), %(w)s, id, %(m)s, '{}', '', now() FROM credentials),
crm_links AS (INSERT INTO crm_link (workspace_id, credential_id, connector, public_id, state)
    SELECT %(w)s, id, 'kommo', repeat('x', 32) || %(r)s, 'told' FROM credentials),
crm_records AS (INSERT INTO crm_record (workspace_id, credential_id, entity, record_id) SELECT %(w)s, id, 'lead', '1' FROM credentials),
crm_own_writes AS (INSERT INTO crm_own_write (workspace_id, credential_id, entity, ref) SELECT %(w)s, id, 'lead', '1' FROM credentials),
connections AS (INSERT INTO agent_connection (workspace_id, agent_id, slot, credential_id, connector)
    SELECT %(w)s, a.id, 'llm', c.id, 'openai' FROM agents a, credentials c),
sessions AS (INSERT INTO session (workspace_id, member_id, token_hash, created_at, used_at, expires_at)
    VALUES (%(w)s, %(m)s, sha256(%(r)s::bytea), now(), now(), now())),
api_keys AS (INSERT INTO api_key (workspace_id, name, shown, secret_hash, scopes)
    VALUES (%(w)s, 'K', 'k', sha256(%(r)s::bytea), '{}') RETURNING id),
settings AS (INSERT INTO setting VALUES (%(w)s, 'language', '"en"')),
files AS (INSERT INTO file (workspace_id, name, mime, size, content) VALUES (%(w)s, 'f', 'text/plain', 1, 'x')),
lines AS (INSERT INTO audit (workspace_id, seq, at, actor, action, hash)
    VALUES (%(w)s, 1, now(), 'system', 'x', sha256('x'))),
contacts AS (INSERT INTO contact (workspace_id) VALUES (%(w)s) RETURNING id),
identities AS (INSERT INTO contact_identity (source_id, external_user_id, workspace_id, contact_id)
    SELECT a.id, 'u', %(w)s, c.id FROM agents a, contacts c),
fields AS (INSERT INTO contact_field (workspace_id, key, label, type) VALUES (%(w)s, 'f', 'F', 'text')),
segments AS (INSERT INTO segment (workspace_id, name, condition) VALUES (%(w)s, 'S', '{"all": []}')),
changes AS (INSERT INTO contact_change (workspace_id, contact_id, kind, actor)
    SELECT %(w)s, id, 'edited', 'system' FROM contacts),
erasures AS (INSERT INTO contact_erasure (workspace_id, actor, salt, hashes) VALUES (%(w)s, 'system', 's', '{}')),
imports AS (INSERT INTO contact_import (workspace_id, file_name, mapping) VALUES (%(w)s, 'f', '{}') RETURNING id),
triggers AS (INSERT INTO agent_trigger (workspace_id, agent_id, name, kind, document)
    SELECT %(w)s, id, 'T', 'manual', '{}' FROM agents RETURNING id),
ticks AS (INSERT INTO trigger_tick (workspace_id, trigger_id, due_at) SELECT %(w)s, id, now() FROM triggers),
runs AS (INSERT INTO trigger_run (workspace_id, trigger_id, key, source, contact_id)
    SELECT %(w)s, t.id, 'k', 'manual', c.id FROM triggers t, contacts c),
notes AS (INSERT INTO trigger_note (workspace_id, trigger_id, contact_id, text)
    SELECT %(w)s, t.id, c.id, 'n' FROM triggers t, contacts c),
problems AS (INSERT INTO contact_import_problem (workspace_id, import_id, row, problem)
    SELECT %(w)s, id, 1, '{}' FROM imports),
conversations AS (INSERT INTO conversation (workspace_id, agent_id, channel_id, contact_id, version_id, channel_kind,
        language)
    SELECT %(w)s, a.id, h.id, c.id, v.id, 'web_chat', 'en' FROM agents a, channels h, contacts c, versions v
    RETURNING id),
inboxes AS (INSERT INTO inbox (workspace_id, source_id, dedupe_key, conversation_id, kind)
    SELECT %(w)s, a.id, %(r)s, c.id, 'start' FROM agents a, conversations c RETURNING id),
turns AS (INSERT INTO turn (workspace_id, conversation_id, seq, inbox_id, trigger, started_at, ms, attempts, steps)
    SELECT %(w)s, c.id, 1, i.id, 'start', now(), 1, 1, '[]' FROM conversations c, inboxes i),
effects AS (INSERT INTO effect (workspace_id, effect_key, conversation_id, turn_seq, kind, node_id)
    SELECT %(w)s, %(r)s, id, 1, 'model', 'n' FROM conversations),
messages AS (INSERT INTO message (workspace_id, conversation_id, seq, role, parts)
    SELECT %(w)s, id, 1, 'agent', '[]' FROM conversations),
outboxes AS (INSERT INTO outbox (workspace_id, effect_key, conversation_id, channel_id, recipient, ordinal, parts)
    SELECT %(w)s, %(r)s, c.id, h.id, 'r', 1, '[]' FROM conversations c, channels h),
letters AS (INSERT INTO dead_letter (workspace_id, source, ref, conversation_id, agent_id, channel_kind, reason, attempts,
        first_at, last_at)
    SELECT %(w)s, 'inbox', i.id, c.id, a.id, 'web_chat', 'refused', 1, now(), now()
    FROM inboxes i, conversations c, agents a),
calls AS (INSERT INTO phone_call (id, workspace_id, agent_id, channel_id, conversation_id)
    SELECT uuidv7(), %(w)s, a.id, h.id, c.id FROM agents a, channels h, conversations c RETURNING id),
recordings AS (INSERT INTO call_recording (id, workspace_id, secrets) SELECT id, %(w)s, '{}' FROM calls RETURNING id),
sounds AS (INSERT INTO call_recording_part (recording_id, epoch, part, workspace_id, samples, sealed)
    SELECT id, 1, 0, %(w)s, 1, '' FROM recordings),
links AS (INSERT INTO channel_link (channel_id, workspace_id, connector, account)
    SELECT id, %(w)s, 'telegram', %(r)s FROM channels),
fetches AS (INSERT INTO file_fetch (id, workspace_id, channel_id, conversation_id, seq, about, name)
    SELECT uuidv7(), %(w)s, h.id, c.id, 1, '{}', 'f' FROM channels h, conversations c),
queues AS (INSERT INTO queue (workspace_id, name) VALUES (%(w)s, 'Q') RETURNING id),
answering AS (INSERT INTO queue_member (workspace_id, queue_id, member_id) SELECT %(w)s, id, %(m)s FROM queues),
hand_offs AS (INSERT INTO hand_off (workspace_id, conversation_id, state) SELECT %(w)s, id, 'waiting' FROM conversations),
talk_notes AS (INSERT INTO conversation_note (workspace_id, conversation_id, text) SELECT %(w)s, id, 'n' FROM conversations),
ready AS (INSERT INTO canned_reply (workspace_id, shortcut, texts) VALUES (%(w)s, 'hi', '{"en": "Hi"}')),
present AS (INSERT INTO presence (workspace_id, member_id, is_online) VALUES (%(w)s, %(m)s, true)),
marks AS (INSERT INTO read_mark (workspace_id, conversation_id, member_id, seq) SELECT %(w)s, id, %(m)s, 1 FROM conversations),
held AS (INSERT INTO held_message (workspace_id, conversation_id, place, key, parts, needs_approval)
    SELECT %(w)s, id, 1, 'k', '[]', true FROM conversations),
timers AS (INSERT INTO timer (workspace_id, conversation_id, due_at, turn_seq)
    SELECT %(w)s, id, now(), 1 FROM conversations),
events AS (INSERT INTO event (workspace_id, conversation_id, turn_id, at, kind)
    SELECT %(w)s, c.id, i.id, now(), 'turn_ended' FROM conversations c, inboxes i),
subscriptions AS (INSERT INTO event_subscription (workspace_id, url, types)
    VALUES (%(w)s, 'https://example.com', '{}') RETURNING id),
told AS (INSERT INTO event_delivery (workspace_id, subscription_id, event_id, type, line, payload)
    SELECT %(w)s, id, id, 'test', id, '{}' FROM subscriptions),
bases AS (INSERT INTO knowledge_base (workspace_id, name) VALUES (%(w)s, 'B') RETURNING id),
categories AS (INSERT INTO knowledge_category (workspace_id, knowledge_base_id, name) SELECT %(w)s, id, 'C' FROM bases),
documents AS (INSERT INTO knowledge_document (workspace_id, knowledge_base_id, kind, title, public_id)
    SELECT %(w)s, id, 'article', 'D', %(r)s FROM bases RETURNING id),
other_documents AS (INSERT INTO knowledge_document (workspace_id, knowledge_base_id, kind, title, public_id)
    SELECT %(w)s, id, 'article', 'O', %(r)s || 'o' FROM bases RETURNING id),
sources AS (INSERT INTO knowledge_source (document_id, workspace_id, content) SELECT id, %(w)s, 'x' FROM documents),
passages AS (INSERT INTO knowledge_passage (workspace_id, knowledge_base_id, document_id, place, text, text_hash)
    SELECT %(w)s, b.id, d.id, 0, 'x', 'h' FROM bases b, documents d),
looked_up AS (INSERT INTO knowledge_lookup (passage_id, workspace_id, knowledge_base_id, document_id, word_count, words)
    SELECT uuidv7(), %(w)s, b.id, d.id, 1, 'x' FROM bases b, documents d),
known_words AS (INSERT INTO knowledge_word (knowledge_base_id, word, workspace_id) SELECT id, 'x', %(w)s FROM bases),
said_before AS (INSERT INTO knowledge_version (document_id, number, workspace_id, title, body)
    SELECT id, 1, %(w)s, 'D', 'b' FROM documents),
related AS (INSERT INTO knowledge_relation (workspace_id, knowledge_base_id, document_id, other_id)
    SELECT %(w)s, b.id, least(d.id, o.id), greatest(d.id, o.id) FROM bases b, documents d, other_documents o),
brought_in AS (INSERT INTO knowledge_import (workspace_id, knowledge_base_id, file_name, member_id)
    SELECT %(w)s, id, 'f', %(m)s FROM bases RETURNING id),
import_problems AS (INSERT INTO knowledge_import_problem (import_id, entry, workspace_id, about, message)
    SELECT id, 1, %(w)s, 'a', 'm' FROM brought_in),
later AS (INSERT INTO crm_write (workspace_id, agent_id, conversation_id, turn_id, node_id, slot, key, write)
    SELECT %(w)s, a.id, c.id, i.id, 'n', 'crm', %(r)s, '{}' FROM agents a, conversations c, inboxes i),
lying AS (INSERT INTO stored_object (place, workspace_id, remove_at) VALUES ('folder:' || %(r)s, %(w)s, now())),
copies AS (INSERT INTO knowledge_copy (workspace_id, knowledge_base_id, credential_id, place)
    SELECT %(w)s, b.id, c.id, 'p' FROM bases b, credentials c RETURNING id),
copying AS (INSERT INTO knowledge_copy_change (copy_id, passage_id, workspace_id) SELECT id, uuidv7(), %(w)s FROM copies),
copied AS (INSERT INTO knowledge_copied (workspace_id, minute, changes) VALUES (%(w)s, now(), 1)),
asked AS (INSERT INTO knowledge_question (workspace_id) VALUES (%(w)s) RETURNING id),
askings AS (INSERT INTO knowledge_asking (workspace_id, question_id, conversation_id, turn_id, node_id, agent_id, reason, bases,
        text, terms, asked_at)
    SELECT %(w)s, q.id, c.id, i.id, 'n', a.id, 'not_found', '{}', 't', '{}', now()
    FROM asked q, conversations c, inboxes i, agents a),
helped AS (INSERT INTO knowledge_feedback (workspace_id, conversation_id, seq, turn_id, is_helpful, documents)
    SELECT %(w)s, c.id, 1, i.id, true, '{}' FROM conversations c, inboxes i),
chains AS (INSERT INTO chain (workspace_id, name, document) VALUES (%(w)s, 'C', '{}') RETURNING id),
chain_drafts AS (INSERT INTO chain_revision (chain_id, revision, workspace_id, document)
    SELECT id, 1, %(w)s, '{}' FROM chains),
chain_versions AS (INSERT INTO chain_version (workspace_id, chain_id, number, document, content_hash)
    SELECT %(w)s, id, 1, '{}', 'h' FROM chains RETURNING id, chain_id),
enrollments AS (INSERT INTO enrollment (workspace_id, chain_id, version_id, contact_id, due_at)
    SELECT %(w)s, v.chain_id, v.id, c.id, now() FROM chain_versions v, contacts c RETURNING *),
chain_lines AS (INSERT INTO chain_log (workspace_id, chain_id, enrollment_id, version_id, contact_id, what)
    SELECT %(w)s, chain_id, id, version_id, contact_id, 'enrolled' FROM enrollments),
chain_signals AS (INSERT INTO chain_signal (workspace_id, contact_id, kind) SELECT %(w)s, id, 'look' FROM contacts),
chain_notes AS (INSERT INTO chain_note (workspace_id, enrollment_id, contact_id, text)
    SELECT %(w)s, id, contact_id, 'n' FROM enrollments),
rules AS (INSERT INTO update_rule (workspace_id, agent_id, document) SELECT %(w)s, id, '{}' FROM agents RETURNING id),
checks AS (INSERT INTO update_check (workspace_id, conversation_id, first_seq, last_seq, turn_seq, inbox_id)
    SELECT %(w)s, c.id, 1, 1, 1, i.id FROM conversations c, inboxes i RETURNING id),
updates AS (INSERT INTO update_change (workspace_id, agent_id, contact_id, rule_id, check_id, message_seq, rule, field, label,
        after, sentence, confidence, state)
    SELECT %(w)s, a.id, c.id, r.id, k.id, 1, '{}', 'name', 'Name', '"A"', 's', 1, 'applied'
    FROM agents a, contacts c, rules r, checks k),
pauses AS (INSERT INTO work_pause (workspace_id, line) VALUES (%(w)s, 'bulk')),
answers AS (INSERT INTO idempotency (workspace_id, api_key_id, key, request_hash)
    SELECT %(w)s, id, 'k', 'h' FROM api_keys)
SELECT 1
"""


@pytest.fixture
def tables(admin: Admin) -> list[str]:
    rows = admin.execute(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " ORDER BY relname"
    )
    return [str(row[0]) for row in rows]


@pytest.fixture
def two_workspaces(admin: Admin, owner: Principal, other_workspace: Principal) -> list[Principal]:
    """Each with rows in the tables above."""
    both = [owner, other_workspace]
    for who in both:
        admin.execute(ROWS_OF_A_WORKSPACE, {"w": who.workspace_id, "m": who.member_id, "r": uuid4().hex})
    return both


def test_every_table_belongs_to_a_workspace_behind_forced_security(admin: Admin, tables: list[str]) -> None:
    bad = {}
    for table in set(tables) - EXEMPT.keys():
        row = admin.execute(
            "SELECT relrowsecurity, relforcerowsecurity,"
            " EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND attname = 'workspace_id'"
            "         AND atttypid = 'uuid'::regtype AND (attnotnull OR attgenerated <> '')),"
            " EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid"
            "         AND pg_get_expr(polqual, polrelid) LIKE '%%app.workspace_id%%')"
            " FROM pg_class c WHERE relname = %s AND relnamespace = 'public'::regnamespace",
            (table,),
        ).fetchone()
        if row != (True, True, True, True):
            bad[table] = row
    assert not bad


def test_no_policy_lets_the_program_past_its_workspace(admin: Admin) -> None:
    for_everyone = admin.execute(
        "SELECT tablename, policyname FROM pg_policies WHERE schemaname = 'public'"
        " AND roles && ARRAY['public', 'patchcord_app']::name[]"
        " AND (coalesce(qual, with_check) NOT LIKE '%app.workspace_id%'"
        "      OR coalesce(with_check, qual) NOT LIKE '%app.workspace_id%')"
    ).fetchall()
    assert for_everyone == []


def test_the_exemptions_still_exist_and_stay_closed(
    admin: Admin, tables: list[str], postgres: EmbeddedPostgres
) -> None:
    assert set(tables) >= EXEMPT.keys()
    with psycopg.connect(postgres.app_url, autocommit=True) as app:
        for table in EXEMPT:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(sql.SQL("SELECT FROM {}").format(sql.Identifier(table)))


async def test_no_statement_reaches_rows_of_another_workspace(
    database: Database, two_workspaces: list[Principal], admin: Admin, tables: list[str]
) -> None:
    owner, other = two_workspaces
    filled = 0
    for table in set(tables) - EXEMPT.keys():
        name = sql.Identifier(table)
        count = sql.SQL("SELECT count(*) FROM {} WHERE workspace_id = %s").format(name)
        before = admin.execute(count, (other.workspace_id,)).fetchone()
        filled += before != (0,)
        assert await _rows(database, owner, count, other.workspace_id) == [{"count": 0}]
        mine = sql.SQL("SELECT count(*) FROM {} WHERE workspace_id <> %s").format(name)
        assert await _rows(database, owner, mine, owner.workspace_id) == [{"count": 0}]
        same = sql.Identifier("name" if table == "workspace" else "workspace_id")
        for statement in (
            sql.SQL("UPDATE {} SET {} = {} WHERE workspace_id = %s").format(name, same, same),
            sql.SQL("DELETE FROM {} WHERE workspace_id = %s").format(name),
        ):
            assert await _affected(database, owner, statement, other.workspace_id) in (0, DENIED)
        assert admin.execute(count, (other.workspace_id,)).fetchone() == before
    assert filled == len(set(tables) - EXEMPT.keys())  # an empty table proves nothing: give it a row above


async def test_no_row_can_be_put_into_another_workspace(
    database: Database, two_workspaces: list[Principal], tables: list[str]
) -> None:
    owner, other = two_workspaces
    outcomes = {}
    for table in set(tables) - EXEMPT.keys() - {"workspace"}:
        name = sql.Identifier(table)
        copy = sql.SQL(
            "INSERT INTO {} OVERRIDING SYSTEM VALUE SELECT"
            " (jsonb_populate_record(t, jsonb_build_object('workspace_id', %s::text))).* FROM {} t"
        )
        move = sql.SQL("UPDATE {} SET workspace_id = %s")
        for kind, statement in (("copy", copy.format(name, name)), ("move", move.format(name))):
            outcomes[table, kind] = await _affected(database, owner, statement, other.workspace_id)
    assert set(outcomes.values()) == {DENIED}


async def test_a_foreign_id_cannot_be_referred_to(
    database: Database, two_workspaces: list[Principal], admin: Admin
) -> None:
    owner, other = two_workspaces
    foreign = admin.execute("SELECT id::text FROM agent WHERE workspace_id = %s", (other.workspace_id,)).fetchone()
    assert foreign is not None
    statement = sql.SQL(
        "INSERT INTO flow (workspace_id, agent_id, kind, name, document)"
        " VALUES (current_setting('app.workspace_id')::uuid, %s, 'sub', 'F', '{{}}')"
    ).format()
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await _affected(database, owner, statement, str(foreign[0]))


async def test_without_a_workspace_there_is_nothing(
    database: Database, two_workspaces: list[Principal], tables: list[str]
) -> None:
    async with database.system() as connection:
        for table in set(tables) - EXEMPT.keys():
            cursor = await connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
            assert await cursor.fetchone() == {"count": 0}


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE member DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE member NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY of_workspace ON member",
        "CREATE POLICY mine ON member USING (true)",
        "ALTER ROLE patchcord_app BYPASSRLS",
        "SET ROLE patchcord_system",
        "SET ROLE patchcord_owner",
        "TRUNCATE member",
        "CREATE TABLE loot (x int)",
        "SET LOCAL row_security = off; SELECT * FROM member",
        "ALTER FUNCTION find_member(text) OWNER TO patchcord_app",
        "ALTER TABLE audit DISABLE TRIGGER audit_only_grows",
    ],
)
def test_the_program_cannot_open_the_walls(postgres: EmbeddedPostgres, statement: str) -> None:
    with psycopg.connect(postgres.app_url) as app, pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute(statement.encode())


def test_a_definer_function_trusts_no_search_path(admin: Admin) -> None:
    loose = admin.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
        " AND NOT coalesce(array_to_string(proconfig, ','), '') LIKE '%search_path=%pg_temp%'"
    ).fetchall()
    assert loose == []
    open_to_all = admin.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
        " AND has_function_privilege('public', oid, 'EXECUTE')"
    ).fetchall()
    assert open_to_all == []


async def test_a_version_never_changes(database: Database, two_workspaces: list[Principal], admin: Admin) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation):
        admin.execute("UPDATE version SET document = '{\"changed\": true}'")
    admin.execute("UPDATE version SET comment = 'a comment may'")


async def _rows(database: Database, who: Principal, statement: sql.Composed, value: str) -> list[dict[str, object]]:
    async with database.workspace(who.workspace_id) as connection:
        return await (await connection.execute(statement, (value,))).fetchall()


class _Undo(Exception):
    pass


async def _affected(database: Database, who: Principal, statement: sql.Composed, value: str) -> int:
    """Rows a statement touched, rolled back; DENIED when it may not be done."""
    count = 0
    try:
        async with database.workspace(who.workspace_id) as connection:
            count = (await connection.execute(statement, (value,))).rowcount
            raise _Undo
    except _Undo:
        return count
    except psycopg.errors.InsufficientPrivilege:
        return DENIED
