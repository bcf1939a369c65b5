"""Retention: each kind of data leaves when its workspace says so, a redelivery still meets its key, no table is read whole."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import AccessDenied
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.principal import PERMISSIONS, Principal, system_principal
from graph_runtime.services.retention import Retention
from graph_runtime.storage import retention as statements
from graph_runtime.storage.database import Database
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.conversation_world import process, publish
from tests.integration.test_turns import ECHO

Admin = psycopg.Connection[tuple[Any, ...]]
OF_CONVERSATION = ("message", "turn", "inbox", "effect", "event", "outbox", "event_delivery", "held_message")


@pytest.fixture
def retention(database: Database) -> Retention:
    return Retention(database, pause=0)


@pytest.fixture
async def access(database: Database, postgres: EmbeddedPostgres) -> ChannelAccess:
    return publish(postgres.admin_url, ECHO)


async def talk(postgres: EmbeddedPostgres, access: ChannelAccess, *texts: str) -> str:
    """A conversation with one row of everything."""
    async with process(postgres.app_url) as p:
        conversation = await p.begin(access)
        for text in texts:
            await p.say(access, conversation, text)
    with psycopg.connect(postgres.admin_url) as admin:
        values = (access.workspace_id, uuid4().hex, conversation)
        admin.execute(
            "INSERT INTO effect (workspace_id, effect_key, conversation_id, turn_seq, kind, node_id)"
            " VALUES (%s, %s, %s, 1, 'model', 'n')",
            values,
        )
        admin.execute(
            "INSERT INTO outbox (workspace_id, effect_key, conversation_id, channel_id, recipient, ordinal, parts, state)"
            " VALUES (%s, %s, %s, %s, 'r', 1, '[]', 'sent')",
            (*values, access.channel_id),
        )
        admin.execute(
            "INSERT INTO held_message (workspace_id, key, conversation_id, parts, needs_approval, state)"
            " VALUES (%s, %s, %s, '[]', true, 'rejected')",
            values,
        )
        admin.execute(
            "INSERT INTO event_delivery (workspace_id, subscription_id, event_id, conversation_id, line, type, payload, state)"
            " SELECT %s, e, e, %s, e, 'turn.ended', '{}', 'sent' FROM uuidv7() e",
            (access.workspace_id, conversation),
        )
        admin.execute(
            "INSERT INTO file (workspace_id, name, conversation_id, mime, size, content) VALUES (%s, %s, %s, 'a/b', 1, 'x')",
            values,
        )
        admin.execute(
            "INSERT INTO event (workspace_id, conversation_id, turn_id, at, kind) VALUES (%s, %s, %s, now(), 'node_failed')",
            (access.workspace_id, conversation, uuid4()),
        )
    return conversation


def age(admin: Admin, conversation: str, days: int, *, only: tuple[str, ...] = ()) -> None:
    """Everything of a conversation happened that much earlier."""
    columns = {
        "message": ("created_at",), "turn": ("started_at", "ended_at"), "effect": ("begun_at",), "event": ("at",),
        "event_delivery": ("created_at",), "held_message": ("created_at",),
        "outbox": ("created_at",), "file": ("created_at",), "inbox": ("received_at",),
        "conversation": ("created_at", "updated_at"),
    }  # fmt: skip
    for table, names in columns.items():
        if only and table not in only:
            continue
        key = "id" if table == "conversation" else "conversation_id"
        for name in names:
            admin.execute(
                f"UPDATE {table} SET {name} = {name} - make_interval(days => %s) WHERE {key} = %s", (days, conversation)
            )
    if not only or "inbox" in only:
        # The time of a trigger is in its id.
        for (old,) in admin.execute("SELECT id FROM inbox WHERE conversation_id = %s", (conversation,)).fetchall():
            admin.execute(
                "UPDATE inbox SET id = (left(first_id_of(received_at)::text, 14) || right(id::text, 22))::uuid WHERE id = %s",
                (old,),
            )


def counts(admin: Admin, conversation: str) -> dict[str, int]:
    found = {}
    for table in (*OF_CONVERSATION, "file"):
        row = admin.execute(f"SELECT count(*) FROM {table} WHERE conversation_id = %s", (conversation,)).fetchone()
        assert row is not None
        found[table] = row[0]
    row = admin.execute("SELECT count(*) FROM conversation WHERE id = %s", (conversation,)).fetchone()
    assert row is not None
    return found | {"conversation": row[0]}


def choose(admin: Admin, workspace_id: str, **days: int) -> None:
    for key, value in days.items():
        admin.execute("INSERT INTO setting VALUES (%s, %s, %s)", (workspace_id, key, json.dumps(value)))


async def run(retention: Retention, access: ChannelAccess) -> None:
    await retention.run(system_principal(access.workspace_id))


async def test_by_default_ninety_days_of_transcripts_and_thirty_of_events(
    retention: Retention, admin: Admin, postgres: EmbeddedPostgres, access: ChannelAccess
) -> None:
    fresh, month, old = [await talk(postgres, access, "hi") for _ in range(3)]
    age(admin, month, 31)
    age(admin, old, 91)
    before = counts(admin, fresh)
    await run(retention, access)
    assert counts(admin, fresh) == before
    assert counts(admin, month) == before | {"event": 0, "effect": 0, "event_delivery": 0}
    assert set(counts(admin, old).values()) == {0}


async def test_other_workspaces_decide_for_themselves_and_zero_is_for_ever(
    retention: Retention, admin: Admin, postgres: EmbeddedPostgres, access: ChannelAccess
) -> None:
    other = publish(postgres.admin_url, ECHO)
    mine, theirs = await talk(postgres, access, "hi"), await talk(postgres, other, "hi")
    choose(admin, other.workspace_id, keep_transcripts_days=0, keep_files_days=0)
    for conversation in (mine, theirs):
        age(admin, conversation, 3000)
    before = counts(admin, theirs)
    await run(retention, access)
    assert set(counts(admin, mine).values()) == {0}
    assert counts(admin, theirs) == before
    await run(retention, other)
    assert counts(admin, theirs) == before | {"event": 0, "effect": 0, "event_delivery": 0}


async def test_a_redelivery_within_two_weeks_meets_its_key(
    retention: Retention, admin: Admin, postgres: EmbeddedPostgres, access: ChannelAccess
) -> None:
    choose(admin, access.workspace_id, keep_transcripts_days=1)
    conversation = await talk(postgres, access, "hi")
    age(admin, conversation, 13)
    await run(retention, access)
    found = counts(admin, conversation)
    assert (found["message"], found["turn"], found["inbox"], found["conversation"]) == (0, 0, 2, 1)
    age(admin, conversation, 2)
    await run(retention, access)
    assert counts(admin, conversation)["conversation"] == 0


async def test_a_conversation_that_goes_on_loses_its_old_part_only(
    retention: Retention, admin: Admin, postgres: EmbeddedPostgres, access: ChannelAccess
) -> None:
    conversation = await talk(postgres, access, "long ago")
    age(admin, conversation, 100)
    async with process(postgres.app_url) as p:
        await p.say(access, conversation, "now")
        await run(retention, access)
        await retention.run_if_due()
        assert await p.texts(access, conversation) == ["> now", "You said now", "Say something"]
        await p.say(access, conversation, "and on")
        assert (await p.texts(access, conversation))[-2:] == ["You said and on", "Say something"]
    assert counts(admin, conversation)["inbox"] == 2, "triggers of long ago went with the daily work"


async def test_what_still_has_to_be_done_stays(
    retention: Retention, admin: Admin, postgres: EmbeddedPostgres, access: ChannelAccess
) -> None:
    timed, waiting = await talk(postgres, access, "a"), await talk(postgres, access, "b")
    admin.execute(
        "INSERT INTO timer (workspace_id, conversation_id, due_at, turn_seq) VALUES (%s, %s, now() + interval '1 day', 2)",
        (access.workspace_id, timed),
    )
    admin.execute("UPDATE inbox SET state = 'pending' WHERE conversation_id = %s", (waiting,))
    admin.execute("UPDATE conversation SET pending_since = now() WHERE id = %s", (waiting,))
    admin.execute("UPDATE outbox SET state = 'pending' WHERE conversation_id IN (%s, %s)", (timed, waiting))
    for conversation in (timed, waiting):
        age(admin, conversation, 1000)
    await run(retention, access)
    await retention.run_if_due()
    for conversation in (timed, waiting):
        found = counts(admin, conversation)
        assert (found["conversation"], found["outbox"]) == (1, 1)
    assert counts(admin, waiting)["inbox"] == 2


async def test_nothing_that_has_an_age_is_forgotten_by_the_daily_work(
    retention: Retention, access: ChannelAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = set()

    async def by_age(_: statements.RetentionRows, workspace_id: str, kind: str, before: datetime) -> int:
        asked.add(kind)
        return 0

    monkeypatch.setattr(statements.RetentionRows, "by_age", by_age)
    await run(retention, access)
    assert asked == set(statements.BY_AGE)


async def test_a_record_of_a_customer_system_that_nobody_names_any_more_goes(
    retention: Retention, admin: Admin, access: ChannelAccess
) -> None:
    admin.execute(
        "WITH k AS (INSERT INTO data_key (workspace_id, number, wrapped, wrapped_by) VALUES (%(w)s, 1, 'x', 'k')),"
        " c AS (INSERT INTO credential (workspace_id, connector, label, data_key_number) VALUES (%(w)s, 'kommo', 'L', 1)"
        "  RETURNING id)"
        " INSERT INTO crm_record (workspace_id, credential_id, entity, record_id, heard_at, due_at)"
        " SELECT %(w)s, c.id, 'lead', v.id, now() - v.age * interval '1 day', v.due FROM c, (VALUES ('old', 91, NULL),"
        "  ('fresh', 89, NULL), ('waits', 91, now())) v (id, age, due)",
        {"w": access.workspace_id},
    )
    await run(retention, access)
    left = admin.execute("SELECT record_id FROM crm_record ORDER BY record_id").fetchall()
    assert left == [("fresh",), ("waits",)]


async def test_one_process_a_day_does_it(retention: Retention, admin: Admin) -> None:
    admin.execute("DELETE FROM daily_job")
    done = await asyncio.gather(*(retention.run_if_due() for _ in range(4)))
    assert sorted(done) == [False, False, False, True]
    admin.execute("UPDATE daily_job SET done_at = done_at - interval '22 hours'")
    assert not await retention.run_if_due()
    admin.execute("UPDATE daily_job SET done_at = done_at - interval '2 hours'")
    assert await retention.run_if_due()
    # A process that died in the middle holds the claim for an hour.
    admin.execute("UPDATE daily_job SET done_at = NULL, claimed_at = now() - interval '50 minutes'")
    assert not await retention.run_if_due()
    admin.execute("UPDATE daily_job SET claimed_at = now() - interval '61 minutes'")
    assert await retention.run_if_due()


async def test_what_no_workspace_decides_about_goes_with_the_daily_work(
    retention: Retention, admin: Admin, services: Services, owner: Principal
) -> None:
    key = (await services.api_keys.create(owner, "A", ["flows:read"]))[0].id
    for name, hours in (("old", 49), ("new", 47)):
        admin.execute(
            "INSERT INTO idempotency (workspace_id, api_key_id, key, request_hash, created_at)"
            " VALUES (%s, %s, %s, 'h', now() - make_interval(hours => %s))",
            (owner.workspace_id, key, name, hours),
        )
        admin.execute(
            "INSERT INTO sign_in_limit VALUES (sha256(%s::bytea), 1, now() - make_interval(hours => %s), now() - interval '1 h')",
            (name, hours - 46),
        )
    admin.execute("DELETE FROM daily_job")
    assert await retention.run_if_due()
    assert admin.execute("SELECT key FROM idempotency").fetchall() == [("new",)]
    assert admin.execute("SELECT count(*) FROM sign_in_limit").fetchone() == (1,)


async def test_calls_go_with_their_conversation_or_with_old_transcripts(
    retention: Retention, admin: Admin, postgres: EmbeddedPostgres, access: ChannelAccess
) -> None:
    choose(admin, access.workspace_id, keep_transcripts_days=30)
    old, young = [await talk(postgres, access, "hi"), await talk(postgres, access, "hi")]
    age(admin, old, 40)
    for conversation, days in ((old, 1), (young, 40), (None, 40), (None, 1)):
        admin.execute(
            "INSERT INTO phone_call (id, workspace_id, agent_id, channel_id, conversation_id, started_at)"
            " VALUES (uuidv7(), %s, %s, %s, %s, now() - make_interval(days => %s))",
            (access.workspace_id, access.agent_id, access.channel_id, conversation, days),
        )
    await run(retention, access)
    left = admin.execute(
        "SELECT conversation_id::text, round(extract(epoch FROM now() - started_at) / 86400)::integer FROM phone_call"
        " WHERE workspace_id = %s ORDER BY started_at", (access.workspace_id,),
    ).fetchall()  # fmt: skip
    assert left == [(young, 40), (None, 1)]


async def test_only_those_who_manage_settings_may_start_it(retention: Retention, owner: Principal) -> None:
    editor = Principal(owner.workspace_id, owner.member_id, "editor", PERMISSIONS["editor"])
    with pytest.raises(AccessDenied):
        await retention.run(editor)


def scans(plan: dict[str, Any]) -> list[str]:
    """Tables that a plan reads from end to end."""
    found = [plan["Relation Name"]] if plan["Node Type"] == "Seq Scan" else []
    return found + [name for part in plan.get("Plans", ()) for name in scans(part)]


async def test_no_big_table_is_read_whole(admin: Admin, postgres: EmbeddedPostgres, access: ChannelAccess) -> None:
    conversation = await talk(postgres, access, "hi")
    big = f"""
        INSERT INTO conversation (workspace_id, agent_id, channel_id, contact_id, version_id, channel_kind, language, created_at, updated_at)
            SELECT workspace_id, agent_id, channel_id, contact_id, version_id, channel_kind, language,
                   now() - n * interval '5 minutes', now() - n * interval '5 minutes'
            FROM conversation, generate_series(1, 20000) n WHERE id = '{conversation}';
        INSERT INTO message (workspace_id, conversation_id, seq, role, parts, created_at)
            SELECT workspace_id, id, 1, 'agent', '[]', updated_at FROM conversation WHERE id <> '{conversation}';
        INSERT INTO turn (workspace_id, conversation_id, seq, inbox_id, trigger, started_at, ended_at, ms, attempts, steps)
            SELECT workspace_id, id, 1, id, 'start', updated_at, updated_at, 1, 1, '[]' FROM conversation WHERE id <> '{conversation}';
        INSERT INTO inbox (id, workspace_id, source_id, dedupe_key, conversation_id, kind, state)
            SELECT (left(first_id_of(updated_at)::text, 14) || right(id::text, 22))::uuid, workspace_id, agent_id, id::text, id, 'start', 'done'
            FROM conversation WHERE id <> '{conversation}';
        INSERT INTO event (workspace_id, conversation_id, turn_id, at, kind)
            SELECT workspace_id, id, id, updated_at, 'k' FROM conversation;
        INSERT INTO effect (workspace_id, effect_key, conversation_id, turn_seq, kind, node_id, begun_at)
            SELECT workspace_id, id::text, id, 1, 'k', 'n', updated_at FROM conversation;
        INSERT INTO outbox (workspace_id, effect_key, conversation_id, channel_id, recipient, ordinal, parts, state)
            SELECT workspace_id, id::text, id, channel_id, 'r', 1, '[]', 'sent' FROM conversation;
        INSERT INTO held_message (workspace_id, conversation_id, key, parts, needs_approval, state, created_at)
            SELECT workspace_id, id, 'k', '[]', true, 'rejected', updated_at FROM conversation;
        INSERT INTO file (workspace_id, conversation_id, name, mime, size, content, created_at)
            SELECT workspace_id, id, 'n', 'a/b', 1, 'x', updated_at FROM conversation;
        INSERT INTO event_delivery (workspace_id, subscription_id, event_id, conversation_id, line, type, payload, state, created_at)
            SELECT workspace_id, id, id, id, id, 'turn.ended', '{{}}', 'sent', updated_at FROM conversation;
        INSERT INTO phone_call (id, workspace_id, agent_id, channel_id, conversation_id, state, started_at)
            SELECT id, workspace_id, agent_id, channel_id, CASE WHEN random() < 0.9 THEN id END, 'ended', updated_at
            FROM conversation;
        INSERT INTO call_recording (id, workspace_id, secrets, started_at)
            SELECT id, workspace_id, '{{}}', started_at FROM phone_call;
        INSERT INTO call_recording_part (recording_id, epoch, part, workspace_id, samples, sealed)
            SELECT id, 1, 0, workspace_id, 1, 'x' FROM phone_call;
        INSERT INTO agent_trigger (workspace_id, agent_id, name, kind, document)
            SELECT workspace_id, id, 'T', 'event', '{{}}' FROM agent;
        INSERT INTO trigger_run (workspace_id, trigger_id, key, source, state, at)
            SELECT c.workspace_id, t.id, c.id::text, 'event', 'fired', c.updated_at
            FROM conversation c JOIN agent_trigger t ON t.agent_id = c.agent_id;
        INSERT INTO update_check (workspace_id, conversation_id, first_seq, last_seq, turn_seq, inbox_id, state, at)
            SELECT workspace_id, id, 1, 1, 1, id, 'done', updated_at FROM conversation;
        INSERT INTO update_change (workspace_id, agent_id, contact_id, rule_id, check_id, conversation_id, message_seq, rule, field,
                                   label, after, sentence, confidence, state, created_at)
            SELECT workspace_id, agent_id, contact_id, agent_id, id, id, 1, '{{}}', 'name', 'Name', '1', 's', 1, 'applied',
                updated_at FROM conversation;
        INSERT INTO crm_write (workspace_id, agent_id, conversation_id, turn_id, node_id, slot, key, write, state, at)
            SELECT workspace_id, agent_id, id, id, 'n', 'crm', id::text, '{{}}', 'done', updated_at FROM conversation;
        INSERT INTO data_key (workspace_id, number, wrapped, wrapped_by) SELECT id, 1, 'x', 'k' FROM workspace ON CONFLICT DO NOTHING;
        INSERT INTO credential (workspace_id, connector, label, data_key_number) SELECT id, 'kommo', 'L', 1 FROM workspace;
        INSERT INTO crm_record (workspace_id, credential_id, entity, record_id, heard_at)
            SELECT c.workspace_id, k.id, 'lead', c.id::text, c.updated_at
            FROM conversation c JOIN credential k ON k.workspace_id = c.workspace_id;
        ANALYZE update_check, update_change, crm_write, crm_record;
        INSERT INTO chain (workspace_id, name, document) SELECT id, 'C', '{{}}' FROM workspace;
        INSERT INTO chain_version (workspace_id, chain_id, number, document, content_hash)
            SELECT workspace_id, id, 1, '{{}}', '' FROM chain;
        INSERT INTO enrollment (workspace_id, chain_id, version_id, contact_id, state, ended_at)
            SELECT c.workspace_id, v.chain_id, v.id, c.contact_id, 'done', c.updated_at
            FROM conversation c JOIN chain_version v ON v.workspace_id = c.workspace_id;
        ANALYZE enrollment, trigger_run, event_delivery, held_message, conversation, message, turn, inbox, event, effect, outbox, file,
            phone_call, call_recording, call_recording_part;
    """
    for statement in big.split(";\n"):
        admin.execute(statement)
    row = admin.execute("SELECT now() - interval '60 days'").fetchone()
    assert row is not None
    values: dict[str, Any] = {
        "workspace": access.workspace_id, "is_test": False, "before": row[0], "limit": 50, "files": 20, "id": conversation,
        "after_at": row[0], "after_id": conversation, "ids": [conversation],
    }  # fmt: skip
    ours = [
        statements.OLD_CONVERSATIONS, statements.LIVING_CONVERSATIONS, statements.FILES_OF, *statements.BY_AGE.values(),
        *statements.OF_ONE_CONVERSATION.values(),
        # What the references do when a conversation goes.
        *(f"DELETE FROM {table} WHERE conversation_id = %(id)s" for table in (*OF_CONVERSATION, "crm_write", "timer", "phone_call")),
        "DELETE FROM call_recording_part WHERE recording_id = %(id)s",
    ]  # fmt: skip
    for statement in ours:
        plan = admin.execute("EXPLAIN (FORMAT JSON) " + statement, values).fetchone()
        assert plan is not None
        read = [name for name in scans(plan[0][0]["Plan"]) if name != "timer"]
        assert read == [], f"{statement}\n{json.dumps(plan[0], indent=1)}"
    seen = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'inbox'"
    admin.execute("SELECT pg_stat_force_next_flush()")
    before = admin.execute(seen).fetchone()
    done = admin.execute("SELECT rows FROM forget_old_rows(1000) WHERE kind = 'inbox'").fetchone()
    admin.execute("SELECT pg_stat_force_next_flush()")
    assert (done, admin.execute(seen).fetchone()) == ((1000,), before)


async def test_settings_say_how_long(services: Services, owner: Principal) -> None:
    found = await services.workspace_settings.get(owner)
    assert (found.keep_transcripts_days, found.keep_events_days, found.keep_files_days) == (90, 30, 90)
    changed = await services.workspace_settings.update(owner, keep_transcripts_days=0, keep_events_days=1)
    assert (changed.keep_transcripts_days, changed.keep_events_days) == (0, 1)
