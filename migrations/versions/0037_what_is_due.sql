-- `<> ALL (…)` was right and slow: where one workspace has nearly all rows the planner expects none that is left, and reads
-- and sorts the whole table for the first. It knows nothing of `array_position`, and walks the index.

CREATE OR REPLACE FUNCTION fire_timers(p_now timestamptz, p_limit integer)
RETURNS TABLE (workspace_id uuid, conversation_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    t timer%ROWTYPE;
    c conversation%ROWTYPE;
    moment timestamptz := coalesce(p_now, clock_timestamp());
    paused uuid[] := paused_in('timers');
BEGIN
    FOR t IN
        SELECT * FROM timer WHERE due_at <= moment AND array_position(paused, workspace_id) IS NULL
        ORDER BY due_at, id LIMIT p_limit FOR UPDATE SKIP LOCKED
    LOOP
        -- A conversation in the middle of a commit keeps its row locked; its timer waits for the next round.
        SELECT * INTO c FROM conversation WHERE id = t.conversation_id FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            CONTINUE;
        END IF;
        DELETE FROM timer WHERE id = t.id;
        IF c.status = 'ended' OR c.turn_seq <> t.turn_seq THEN
            CONTINUE;
        END IF;
        INSERT INTO inbox (workspace_id, source_id, dedupe_key, conversation_id, kind, payload)
            VALUES (c.workspace_id, coalesce(c.channel_id, c.agent_id), 'timer:' || t.id, c.id, 'timer',
                    jsonb_strip_nulls(jsonb_build_object('turn_seq', t.turn_seq, 'due_at', t.due_at,
                                                         'happened', t.payload -> 'happened')));
        UPDATE conversation SET pending_since = coalesce(pending_since, now()) WHERE id = c.id;
        workspace_id := c.workspace_id;
        conversation_id := c.id;
        RETURN NEXT;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION seconds_to_next_timer(p_now timestamptz, p_most double precision) RETURNS double precision
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT greatest(0, least(p_most, coalesce(extract(epoch FROM
        (SELECT t.due_at FROM timer t WHERE array_position((SELECT paused_in('timers')), t.workspace_id) IS NULL
         ORDER BY t.due_at, t.id LIMIT 1) - coalesce(p_now, clock_timestamp())), p_most)))
$$;

CREATE OR REPLACE FUNCTION due_steps(p_now timestamptz, p_limit integer) RETURNS TABLE (workspace_id uuid, enrollment_id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.workspace_id, e.id FROM enrollment e
    -- As a value: a clock that is asked for each row cannot bound a look into the index, and all of it would be read.
    WHERE e.state = 'active' AND e.due_at <= (SELECT coalesce(p_now, clock_timestamp()))
      AND array_position((SELECT paused_in('timers')), e.workspace_id) IS NULL
    ORDER BY e.due_at, e.id LIMIT p_limit FOR UPDATE SKIP LOCKED
$$;

CREATE OR REPLACE FUNCTION seconds_to_next_step(p_now timestamptz, p_most double precision) RETURNS double precision
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT greatest(0, least(p_most, coalesce(extract(epoch FROM
        (SELECT e.due_at FROM enrollment e WHERE e.state = 'active'
         AND array_position((SELECT paused_in('timers')), e.workspace_id) IS NULL ORDER BY e.due_at, e.id LIMIT 1)
        - coalesce(p_now, clock_timestamp())), p_most)))
$$;
