-- Events count as deliveries where a restore holds, releases and discards what was unfinished; see migration 0005.

CREATE OR REPLACE FUNCTION hold_pending(p_made_at timestamptz)
RETURNS TABLE (deliveries integer, triggers integer, timers integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    events integer;
BEGIN
    INSERT INTO restore_guard (state, made_at) VALUES ('held', p_made_at)
        ON CONFLICT (only_one) DO UPDATE SET state = 'held', made_at = p_made_at, restored_at = now(), decided_at = NULL;
    UPDATE outbox SET state = 'held' WHERE state IN ('pending', 'sending');
    GET DIAGNOSTICS deliveries = ROW_COUNT;
    UPDATE event_delivery SET state = 'held' WHERE state IN ('pending', 'sending');
    GET DIAGNOSTICS events = ROW_COUNT;
    deliveries := deliveries + events;
    UPDATE inbox SET state = 'held' WHERE state = 'pending';
    GET DIAGNOSTICS triggers = ROW_COUNT;
    UPDATE conversation SET lease_owner = NULL, lease_until = NULL, pending_since = NULL
        WHERE lease_owner IS NOT NULL OR pending_since IS NOT NULL;
    UPDATE timer SET payload = payload || jsonb_build_object('held_due_at', due_at), due_at = 'infinity'
        WHERE due_at <> 'infinity';
    GET DIAGNOSTICS timers = ROW_COUNT;
    RETURN NEXT;
END $$;

CREATE OR REPLACE FUNCTION release_held() RETURNS TABLE (deliveries integer, triggers integer, timers integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    events integer;
BEGIN
    UPDATE restore_guard SET state = 'released', decided_at = now() WHERE state = 'held';
    UPDATE outbox SET state = 'pending', next_attempt_at = now() WHERE state = 'held';
    GET DIAGNOSTICS deliveries = ROW_COUNT;
    UPDATE event_delivery SET state = 'pending', owner = NULL, next_attempt_at = now() WHERE state = 'held';
    GET DIAGNOSTICS events = ROW_COUNT;
    deliveries := deliveries + events;
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

CREATE OR REPLACE FUNCTION discard_held() RETURNS TABLE (deliveries integer, triggers integer, timers integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    events integer;
BEGIN
    UPDATE restore_guard SET state = 'discarded', decided_at = now() WHERE state = 'held';
    UPDATE outbox SET state = 'failed', error_class = 'discarded_after_restore' WHERE state = 'held';
    GET DIAGNOSTICS deliveries = ROW_COUNT;
    UPDATE event_delivery SET state = 'failed', owner = NULL, reason = 'discarded_after_restore' WHERE state = 'held';
    GET DIAGNOSTICS events = ROW_COUNT;
    deliveries := deliveries + events;
    UPDATE inbox SET state = 'done', done_at = now() WHERE state = 'held';
    GET DIAGNOSTICS triggers = ROW_COUNT;
    DELETE FROM timer WHERE due_at = 'infinity' AND payload ? 'held_due_at';
    GET DIAGNOSTICS timers = ROW_COUNT;
    RETURN NEXT;
END $$;

CREATE OR REPLACE FUNCTION figures(p_key text) RETURNS TABLE (name text, label text, value double precision)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT 'outbox_age_seconds', state, extract(epoch FROM clock_timestamp() - min(created_at))::float8
        FROM outbox WHERE state IN ('pending', 'sending') GROUP BY state
    UNION ALL SELECT 'events_waiting', '', count(*)::float8 FROM event_delivery WHERE state IN ('pending', 'sending')
    UNION ALL SELECT 'dead_letters_open', '', count(*)::float8 FROM dead_letter WHERE resolved_at IS NULL
    UNION ALL SELECT 'vault_rows_old_key', '', count(*)::float8 FROM data_key WHERE wrapped_by <> p_key
    UNION ALL SELECT 'held_by_restore', '', (
        SELECT count(*) FROM outbox WHERE state = 'held') + (SELECT count(*) FROM inbox WHERE state = 'held')
        + (SELECT count(*) FROM event_delivery WHERE state = 'held')
        + (SELECT count(*) FROM timer WHERE due_at = 'infinity')::float8
$$;
