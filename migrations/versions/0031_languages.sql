-- A step may change the language of its conversation: the turn's commit keeps it (`p_turn.language`).

-- Everything a turn came to, in one transaction, only while the epoch still stands. `said_now`: messages that are out.
-- `p_turn`: {inbox, state, trigger, started_at, ms, attempts, error, steps, messages, events, contact, tags, …}; a message
-- with `approve` and all behind it are held, by the rules of `p_turn.approval`.
CREATE OR REPLACE FUNCTION commit_turn(
    p_workspace uuid, p_conversation uuid, p_owner bigint, p_epoch integer, p_inbox uuid,
    p_checkpoint bytea, p_status text, p_waits text, p_node text, p_due timestamptz, p_keep_timer boolean, p_turn jsonb
) RETURNS TABLE (first_seq integer, has_more boolean, at timestamptz, said_now integer)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    c conversation%ROWTYPE;
    said jsonb := p_turn -> 'messages';
    held jsonb;
    n integer;
    more boolean;
    initiator text;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    SELECT * INTO c FROM conversation WHERE id = p_conversation FOR UPDATE;
    IF NOT FOUND OR c.lease_epoch <> p_epoch OR c.lease_owner IS DISTINCT FROM p_owner THEN
        RAISE EXCEPTION 'the lease was lost' USING ERRCODE = 'PC001';
    END IF;
    UPDATE inbox SET state = p_turn ->> 'state', done_at = now() WHERE id = p_inbox AND state = 'pending';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the trigger was handled already' USING ERRCODE = 'PC001';
    END IF;
    SELECT EXISTS (SELECT 1 FROM inbox WHERE conversation_id = c.id AND state = 'pending') INTO more;
    IF c.holds OR p_turn ? 'approval' THEN
        -- From the first that somebody has to approve on; all, where an earlier one still waits.
        SELECT coalesce(jsonb_agg(s.m ORDER BY s.n) FILTER (WHERE NOT s.waits), '[]'),
               jsonb_agg(s.m ORDER BY s.n) FILTER (WHERE s.waits) INTO said, held
            FROM (SELECT x.m, x.n, c.holds OR bool_or(x.m ? 'approve') OVER (ORDER BY x.n) AS waits
                  FROM jsonb_array_elements(p_turn -> 'messages') WITH ORDINALITY AS x (m, n)) s;
    END IF;
    n := jsonb_array_length(said);
    IF n > 0 THEN
        INSERT INTO message (workspace_id, conversation_id, seq, role, key, parts, text, node_id, turn_id, flags)
            SELECT p_workspace, c.id, c.message_seq + m.place, 'agent', m.said ->> 'key', m.said -> 'parts',
                   m.said ->> 'text', m.said ->> 'node_id', p_inbox, coalesce(m.said -> 'flags', '{}')
            FROM jsonb_array_elements(said) WITH ORDINALITY AS m (said, place);
        IF p_turn ? 'recipient' THEN
            initiator := initiator_of(c, p_inbox);
            INSERT INTO outbox (workspace_id, effect_key, conversation_id, channel_id, recipient, ordinal, parts, initiated_by)
                SELECT p_workspace, c.id || '/' || (m.said ->> 'key'), c.id, c.channel_id, p_turn ->> 'recipient',
                       c.message_seq + m.place, m.said -> 'parts', initiator
                FROM jsonb_array_elements(said) WITH ORDINALITY AS m (said, place);
        END IF;
    END IF;
    INSERT INTO turn (conversation_id, seq, workspace_id, inbox_id, trigger, started_at, ms, attempts, error, steps)
        VALUES (c.id, c.turn_seq + 1, p_workspace, p_inbox, p_turn ->> 'trigger', (p_turn ->> 'started_at')::timestamptz,
                (p_turn ->> 'ms')::real, (p_turn ->> 'attempts')::integer, p_turn ->> 'error', p_turn -> 'steps');
    IF p_keep_timer THEN
        UPDATE timer SET turn_seq = c.turn_seq + 1 WHERE conversation_id = c.id;
    ELSE
        DELETE FROM timer WHERE conversation_id = c.id;
    END IF;
    IF p_due IS NOT NULL THEN
        -- Whoever waits for timers waits no longer than for the next one; only an earlier one is news.
        IF NOT EXISTS (SELECT FROM timer WHERE due_at <= p_due) THEN
            PERFORM pg_notify('patchcord_timers', '');
        END IF;
        INSERT INTO timer (workspace_id, conversation_id, due_at, turn_seq)
            VALUES (p_workspace, c.id, p_due, c.turn_seq + 1);
    END IF;
    IF p_turn ? 'events' THEN
        INSERT INTO event (workspace_id, conversation_id, turn_id, at, kind, node_id, data)
            SELECT p_workspace, c.id, p_inbox, (e ->> 'at')::timestamptz, e ->> 'kind', e ->> 'node_id', e -> 'data'
            FROM jsonb_array_elements(p_turn -> 'events') AS e;
    END IF;
    IF p_turn ? 'contact' THEN
        UPDATE contact SET variables = variables || (p_turn -> 'contact'), updated_at = now() WHERE id = c.contact_id;
    END IF;
    IF p_turn ? 'opt_out' THEN
        INSERT INTO contact_change (workspace_id, contact_id, kind, actor, data)
            SELECT p_workspace, k.id, CASE WHEN k.opted_out_at IS NULL THEN 'opted_out' ELSE 'came_back' END, 'contact',
                jsonb_build_object('conversation_id', c.id, 'channel', c.channel_kind)
            FROM contact k WHERE k.id = c.contact_id AND (k.opted_out_at IS NULL) = (p_turn ->> 'opt_out')::boolean;
        -- Said once more it counts from now: a repeated STOP is no question that may be answered.
        UPDATE contact SET updated_at = now(),
            opted_out_at = CASE WHEN (p_turn ->> 'opt_out')::boolean THEN clock_timestamp() END
            WHERE id = c.contact_id;
    END IF;
    IF p_turn ? 'had_effects' THEN
        -- The turn is final: its calls are never repeated, and what they answered is in the messages and variables.
        UPDATE effect SET result = NULL WHERE conversation_id = c.id AND turn_seq = c.turn_seq + 1;
    END IF;
    UPDATE conversation SET checkpoint = p_checkpoint, status = p_status, waits = p_waits, node_id = p_node,
        message_seq = c.message_seq + n, turn_seq = c.turn_seq + 1, updated_at = now(),
        result = coalesce(p_turn ->> 'result', result), goal_value = coalesce((p_turn ->> 'goal_value')::float8, goal_value),
        tags = CASE WHEN p_turn ? 'tags'
            THEN ARRAY(SELECT jsonb_array_elements_text(p_turn -> 'tags')) ELSE tags END,
        ended_at = CASE WHEN p_status = 'ended' THEN coalesce(c.ended_at, now()) END,
        holds = c.holds OR held IS NOT NULL, language = coalesce(p_turn ->> 'language', language),
        preview = CASE WHEN n > 0 THEN left(said -> (n - 1) ->> 'text', 140) ELSE preview END,
        pending_since = CASE WHEN more THEN pending_since END,
        lease_owner = CASE WHEN more THEN lease_owner END, lease_until = CASE WHEN more THEN lease_until END
        WHERE id = c.id;
    IF held IS NOT NULL THEN
        PERFORM hold_messages(c, p_inbox, held, p_turn -> 'approval', p_turn ->> 'recipient');
    END IF;
    RETURN QUERY SELECT c.message_seq + 1, more, now(), n;
END $$;
