-- What runs before a workspace is known: conversations left behind, and timers that are due.

CREATE FUNCTION pending_conversations(p_owner bigint, p_limit integer)
RETURNS TABLE (workspace_id uuid, conversation_id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.workspace_id, c.id FROM (
        SELECT conversation_id, min(received_at) AS since FROM inbox WHERE state = 'pending' GROUP BY conversation_id
    ) i JOIN conversation c ON c.id = i.conversation_id
    WHERE c.lease_owner IS NULL AND i.since < clock_timestamp() - interval '1 second'
       OR c.lease_until < clock_timestamp()
       OR c.lease_owner <> p_owner AND pg_try_advisory_xact_lock(c.lease_owner)
    ORDER BY i.since
    LIMIT p_limit
$$;

-- Turn due timers into triggers. A timer fires once: its row goes in the same transaction. `p_now` NULL: this clock.
CREATE FUNCTION fire_timers(p_now timestamptz, p_limit integer)
RETURNS TABLE (workspace_id uuid, conversation_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    t timer%ROWTYPE;
    c conversation%ROWTYPE;
BEGIN
    FOR t IN
        SELECT * FROM timer WHERE due_at <= coalesce(p_now, clock_timestamp())
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

-- Seconds until the next timer is due (at most p_most); not negative.
CREATE FUNCTION seconds_to_next_timer(p_now timestamptz, p_most double precision) RETURNS double precision
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT greatest(0, least(p_most, coalesce(extract(epoch FROM min(due_at) - coalesce(p_now, clock_timestamp())), p_most)))
    FROM timer
$$;

-- Exactly what the functions above need.
GRANT SELECT, UPDATE ON conversation TO patchcord_system;
GRANT SELECT, UPDATE, DELETE ON timer TO patchcord_system;
GRANT SELECT, INSERT ON inbox TO patchcord_system;
CREATE POLICY of_system ON conversation TO patchcord_system USING (true) WITH CHECK (true);
CREATE POLICY of_system ON timer TO patchcord_system USING (true) WITH CHECK (true);
CREATE POLICY of_system ON inbox TO patchcord_system USING (true) WITH CHECK (true);

GRANT CREATE ON SCHEMA public TO patchcord_system;
ALTER FUNCTION pending_conversations(bigint, integer) OWNER TO patchcord_system;
ALTER FUNCTION fire_timers(timestamptz, integer) OWNER TO patchcord_system;
ALTER FUNCTION seconds_to_next_timer(timestamptz, double precision) OWNER TO patchcord_system;
REVOKE CREATE ON SCHEMA public FROM patchcord_system;
REVOKE ALL ON FUNCTION pending_conversations(bigint, integer), fire_timers(timestamptz, integer),
    seconds_to_next_timer(timestamptz, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pending_conversations(bigint, integer), fire_timers(timestamptz, integer),
    seconds_to_next_timer(timestamptz, double precision) TO patchcord_app;
