-- A clock that is asked for each row cannot bound a look into the index: with a million timers in the future every look
-- read all of them. The moment is asked for once.
CREATE OR REPLACE FUNCTION fire_timers(p_now timestamptz, p_limit integer)
RETURNS TABLE (workspace_id uuid, conversation_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    t timer%ROWTYPE;
    c conversation%ROWTYPE;
    moment timestamptz := coalesce(p_now, clock_timestamp());
BEGIN
    FOR t IN
        SELECT * FROM timer WHERE due_at <= moment
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
                    jsonb_build_object('turn_seq', t.turn_seq, 'due_at', t.due_at));
        UPDATE conversation SET pending_since = coalesce(pending_since, now()) WHERE id = c.id;
        workspace_id := c.workspace_id;
        conversation_id := c.id;
        RETURN NEXT;
    END LOOP;
END $$;
