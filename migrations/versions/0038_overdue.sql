-- How late the work with a time of its own is, so that workers can be added by a figure. What somebody stopped is not late.
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
    UNION ALL SELECT 'overdue_seconds', late.kind, coalesce(extract(epoch FROM clock_timestamp() - late.since), 0)::float8 FROM (VALUES
        ('timers', (SELECT t.due_at FROM timer t WHERE t.due_at <= (SELECT clock_timestamp())
            AND array_position((SELECT paused_in('timers')), t.workspace_id) IS NULL ORDER BY t.due_at, t.id LIMIT 1)),
        ('steps', (SELECT e.due_at FROM enrollment e WHERE e.state = 'active' AND e.due_at <= (SELECT clock_timestamp())
            AND array_position((SELECT paused_in('timers')), e.workspace_id) IS NULL ORDER BY e.due_at, e.id LIMIT 1)),
        ('triggers', (SELECT r.next_at FROM trigger_run r WHERE r.state = 'waiting' AND r.next_at <= (SELECT clock_timestamp())
            ORDER BY r.next_at, r.id LIMIT 1))
    ) late (kind, since)
$$;
