-- Accepting without taking -------------------------------------------------------------------------------------------

-- As accept_trigger, but the conversation stays free for another process: nothing is leased, no attempt is counted.
CREATE FUNCTION accept_for_others(
    p_workspace uuid, p_conversation uuid, p_dedupe text, p_kind text, p_payload jsonb,
    p_parts jsonb, p_text text, p_client text, p_external text, p_source uuid, p_owner bigint, p_seconds integer
) RETURNS TABLE (
    inbox_id uuid, seq integer, is_new boolean, status text, at timestamptz, must_lease boolean, leased leased_turn
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    r record;
BEGIN
    FOR r IN SELECT * FROM accept_trigger(p_workspace, p_conversation, p_dedupe, p_kind, p_payload, p_parts, p_text,
                                          p_client, p_external, p_source, p_owner, p_seconds) LOOP
        IF (r.leased).epoch IS NOT NULL THEN
            UPDATE conversation SET lease_owner = NULL, lease_until = NULL WHERE id = p_conversation;
            UPDATE inbox SET attempts = 0, first_run_at = NULL WHERE id = r.inbox_id;
        END IF;
        RETURN QUERY SELECT r.inbox_id, r.seq, r.is_new, r.status, r.at, false, NULL::leased_turn;
    END LOOP;
END $$;

-- As receive_message, likewise.
CREATE FUNCTION receive_for_others(
    p_workspace uuid, p_channel uuid, p_revision integer, p_dedupe text, p_external text, p_contact jsonb,
    p_language text, p_payload jsonb, p_parts jsonb, p_text text, p_owner bigint, p_seconds integer
) RETURNS TABLE (
    problem text, conversation_id uuid, inbox_id uuid, seq integer, is_new boolean, at timestamptz,
    must_lease boolean, leased leased_turn
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    r record;
BEGIN
    FOR r IN SELECT * FROM receive_message(p_workspace, p_channel, p_revision, p_dedupe, p_external, p_contact,
                                           p_language, p_payload, p_parts, p_text, p_owner, p_seconds) LOOP
        IF (r.leased).epoch IS NOT NULL THEN
            UPDATE conversation SET lease_owner = NULL, lease_until = NULL WHERE id = r.conversation_id;
            UPDATE inbox SET attempts = 0, first_run_at = NULL WHERE id = r.inbox_id;
        END IF;
        RETURN QUERY SELECT r.problem, r.conversation_id, r.inbox_id, r.seq, r.is_new, r.at, false, NULL::leased_turn;
    END LOOP;
END $$;

-- As pending_conversations; `was_leased`: somebody holds it who does not live any more or did not renew.
CREATE FUNCTION pending_work(p_owner bigint, p_limit integer)
RETURNS TABLE (workspace_id uuid, conversation_id uuid, was_leased boolean)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT p.workspace_id, p.conversation_id, c.lease_owner IS NOT NULL
    FROM pending_conversations(p_owner, p_limit) p JOIN conversation c ON c.id = p.conversation_id
$$;

-- Indexes ------------------------------------------------------------------------------------------------------------

CREATE INDEX inbox_by_conversation ON inbox (conversation_id);
CREATE INDEX inbox_put_aside ON inbox (workspace_id, id) WHERE state IN ('dead', 'held');
CREATE INDEX IF NOT EXISTS outbox_by_conversation ON outbox (conversation_id);
CREATE INDEX outbox_held ON outbox (id) WHERE state = 'held';
CREATE INDEX effect_age ON effect (workspace_id, begun_at);
CREATE INDEX event_age ON event (workspace_id, at);
CREATE INDEX file_age ON file (workspace_id, created_at);

-- The restore guard --------------------------------------------------------------------------------------------------

-- One row after a restore: what was unfinished when the backup was made is held until a person decides.
CREATE TABLE restore_guard (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    state text NOT NULL CHECK (state IN ('held', 'released', 'discarded')),
    made_at timestamptz NOT NULL,
    restored_at timestamptz NOT NULL DEFAULT now(),
    decided_at timestamptz
);
ALTER TABLE restore_guard ENABLE ROW LEVEL SECURITY;
ALTER TABLE restore_guard FORCE ROW LEVEL SECURITY;

-- How many deliveries, triggers and timers are held now. They may have been done after the backup was made.
CREATE FUNCTION hold_pending(p_made_at timestamptz) RETURNS TABLE (deliveries integer, triggers integer, timers integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO restore_guard (state, made_at) VALUES ('held', p_made_at)
        ON CONFLICT (only_one) DO UPDATE SET state = 'held', made_at = p_made_at, restored_at = now(), decided_at = NULL;
    UPDATE outbox SET state = 'held' WHERE state IN ('pending', 'sending');
    GET DIAGNOSTICS deliveries = ROW_COUNT;
    UPDATE inbox SET state = 'held' WHERE state = 'pending';
    GET DIAGNOSTICS triggers = ROW_COUNT;
    UPDATE conversation SET lease_owner = NULL, lease_until = NULL, pending_since = NULL
        WHERE lease_owner IS NOT NULL OR pending_since IS NOT NULL;
    UPDATE timer SET payload = payload || jsonb_build_object('held_due_at', due_at), due_at = 'infinity'
        WHERE due_at <> 'infinity';
    GET DIAGNOSTICS timers = ROW_COUNT;
    RETURN NEXT;
END $$;

-- Go on with everything that is held.
CREATE FUNCTION release_held() RETURNS TABLE (deliveries integer, triggers integer, timers integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE restore_guard SET state = 'released', decided_at = now() WHERE state = 'held';
    UPDATE outbox SET state = 'pending', next_attempt_at = now() WHERE state = 'held';
    GET DIAGNOSTICS deliveries = ROW_COUNT;
    UPDATE conversation SET pending_since = now()
        WHERE id IN (SELECT conversation_id FROM inbox WHERE state = 'held');
    UPDATE inbox SET state = 'pending', attempts = 0 WHERE state = 'held';
    GET DIAGNOSTICS triggers = ROW_COUNT;
    UPDATE timer SET due_at = (payload ->> 'held_due_at')::timestamptz, payload = payload - 'held_due_at'
        WHERE due_at = 'infinity' AND payload ? 'held_due_at';
    GET DIAGNOSTICS timers = ROW_COUNT;
    PERFORM pg_notify('patchcord_timers', '');
    RETURN NEXT;
END $$;

-- Nothing of what is held is done. Conversations wait on for their contacts.
CREATE FUNCTION discard_held() RETURNS TABLE (deliveries integer, triggers integer, timers integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE restore_guard SET state = 'discarded', decided_at = now() WHERE state = 'held';
    UPDATE outbox SET state = 'failed', error_class = 'discarded_after_restore' WHERE state = 'held';
    GET DIAGNOSTICS deliveries = ROW_COUNT;
    UPDATE inbox SET state = 'done', done_at = now() WHERE state = 'held';
    GET DIAGNOSTICS triggers = ROW_COUNT;
    DELETE FROM timer WHERE due_at = 'infinity' AND payload ? 'held_due_at';
    GET DIAGNOSTICS timers = ROW_COUNT;
    RETURN NEXT;
END $$;

-- Figures ------------------------------------------------------------------------------------------------------------

-- Counts and ages over all workspaces, nothing else. `p_key`: the id of the secret key in use.
GRANT SELECT ON dead_letter TO patchcord_system;
CREATE FUNCTION figures(p_key text) RETURNS TABLE (name text, label text, value double precision)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT 'outbox_age_seconds', state, extract(epoch FROM clock_timestamp() - min(created_at))::float8
        FROM outbox WHERE state IN ('pending', 'sending') GROUP BY state
    UNION ALL SELECT 'dead_letters_open', '', count(*)::float8 FROM dead_letter WHERE resolved_at IS NULL
    UNION ALL SELECT 'vault_rows_old_key', '', count(*)::float8 FROM data_key WHERE wrapped_by <> p_key
    UNION ALL SELECT 'held_by_restore', '', (
        SELECT count(*) FROM outbox WHERE state = 'held') + (SELECT count(*) FROM inbox WHERE state = 'held')
        + (SELECT count(*) FROM timer WHERE due_at = 'infinity')::float8
$$;

-- Retention ----------------------------------------------------------------------------------------------------------

CREATE TABLE daily_job (
    name text PRIMARY KEY,
    claimed_at timestamptz,
    done_at timestamptz
);
ALTER TABLE daily_job ENABLE ROW LEVEL SECURITY;
ALTER TABLE daily_job FORCE ROW LEVEL SECURITY;

-- True for one process a day, by this clock; a claim that nobody finished is free again after an hour.
CREATE FUNCTION claim_daily(p_name text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO daily_job (name) VALUES (p_name) ON CONFLICT DO NOTHING;
    UPDATE daily_job SET claimed_at = now()
        WHERE name = p_name
          AND (done_at IS NULL OR done_at < now() - interval '23 hours')
          AND (claimed_at IS NULL OR claimed_at < now() - interval '1 hour');
    RETURN FOUND;
END $$;

CREATE FUNCTION finish_daily(p_name text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE daily_job SET done_at = now(), claimed_at = NULL WHERE name = p_name
$$;

CREATE FUNCTION all_workspaces() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT id FROM workspace ORDER BY id
$$;

-- The smallest id that uuidv7() could have made at a moment.
CREATE FUNCTION first_id_of(p_at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM p_at) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

-- ARRAY(…): one look into the index per row, whatever the planner thinks of the size of the batch.
-- One batch of what no workspace decides about: triggers that no redelivery can meet any more (14 days), answers to
-- repeated API requests (48 hours), counts of sign-ins, sessions that are over.
CREATE FUNCTION forget_old_rows(p_limit integer) RETURNS TABLE (kind text, rows integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    kind := 'inbox';
    DELETE FROM inbox WHERE id = ANY(ARRAY(
        SELECT i.id FROM inbox i WHERE i.id < first_id_of(now() - interval '14 days') AND i.state = 'done'
        ORDER BY i.id LIMIT p_limit));
    GET DIAGNOSTICS rows = ROW_COUNT;
    RETURN NEXT;
    kind := 'idempotency';
    DELETE FROM idempotency WHERE ctid = ANY(ARRAY(
        SELECT i.ctid FROM idempotency i WHERE i.created_at < now() - interval '48 hours'
        ORDER BY i.created_at LIMIT p_limit));
    GET DIAGNOSTICS rows = ROW_COUNT;
    RETURN NEXT;
    kind := 'sign_in_limit';
    DELETE FROM sign_in_limit WHERE key = ANY(ARRAY(
        SELECT s.key FROM sign_in_limit s WHERE s.window_from < now() - interval '2 hours' AND s.not_before < now()
        ORDER BY s.window_from LIMIT p_limit));
    GET DIAGNOSTICS rows = ROW_COUNT;
    RETURN NEXT;
    kind := 'session';
    DELETE FROM session WHERE id = ANY(ARRAY(
        SELECT s.id FROM session s WHERE s.expires_at < now() - interval '1 day' ORDER BY s.expires_at LIMIT p_limit));
    GET DIAGNOSTICS rows = ROW_COUNT;
    RETURN NEXT;
END $$;

-- Exactly what the functions above need.
GRANT SELECT, INSERT, UPDATE ON restore_guard, daily_job TO patchcord_system;
GRANT SELECT, UPDATE ON outbox TO patchcord_system;
GRANT UPDATE, DELETE ON inbox TO patchcord_system;
GRANT SELECT, DELETE ON idempotency TO patchcord_system;
GRANT DELETE ON session TO patchcord_system;
GRANT SELECT ON data_key TO patchcord_system;
CREATE POLICY of_operations ON restore_guard TO patchcord_system USING (true) WITH CHECK (true);
CREATE POLICY of_operations ON daily_job TO patchcord_system USING (true) WITH CHECK (true);
CREATE POLICY of_operations ON outbox TO patchcord_system USING (true) WITH CHECK (true);
CREATE POLICY of_operations ON idempotency TO patchcord_system USING (true);
CREATE POLICY of_operations ON session FOR DELETE TO patchcord_system USING (true);
