-- The hot path of a turn. Each function is one statement for its caller and so one transaction and one round trip;
-- each runs with the caller's rights under row-level security, after naming the workspace for this transaction only.

-- For what happens rarely; turns announce themselves after their commit, many at once (storage/news.py), because
-- PostgreSQL lets only one transaction with a NOTIFY commit at a time.
CREATE FUNCTION announce(p_workspace uuid, p_conversation uuid, p_seq integer, p_origin bigint) RETURNS void
LANGUAGE sql AS $$
    SELECT pg_notify('patchcord_live', p_workspace || ' ' || p_conversation || ' ' || p_seq || ' ' || p_origin)
$$;

-- All that a turn starts from.
CREATE TYPE leased_turn AS (
    epoch integer, inbox_id uuid, kind text, payload jsonb, inbox_seq integer, attempts integer, run_at timestamptz,
    agent_id uuid, channel_id uuid, channel_kind text, contact_id uuid, version_id uuid, is_test boolean, language text,
    status text, waits text, node_id text, checkpoint bytea, turn_seq integer, started_at timestamptz,
    contact_fields jsonb, contact_variables jsonb, effects jsonb, external_user_id text
);

-- `c` as it was before the lease, `i` as it is after.
CREATE FUNCTION turn_start(c conversation, i inbox) RETURNS leased_turn
LANGUAGE plpgsql STABLE AS $$
DECLARE
    k contact%ROWTYPE;
    known jsonb;
    recipient text;
BEGIN
    SELECT * INTO k FROM contact WHERE id = c.contact_id;
    IF i.attempts > 1 THEN
        SELECT jsonb_object_agg(e.effect_key, e.result) INTO known FROM effect e
            WHERE e.conversation_id = c.id AND e.turn_seq = c.turn_seq + 1 AND e.state = 'done';
    END IF;
    IF c.channel_kind NOT IN ('web_chat', 'api', 'test') THEN
        SELECT x.external_user_id INTO recipient FROM contact_identity x
            WHERE x.contact_id = c.contact_id AND x.source_id = c.channel_id LIMIT 1;
    END IF;
    RETURN ROW(c.lease_epoch + 1, i.id, i.kind, i.payload, i.seq, i.attempts, i.first_run_at,
        c.agent_id, c.channel_id, c.channel_kind, c.contact_id, c.version_id, c.is_test, c.language,
        c.status, c.waits, c.node_id, c.checkpoint, c.turn_seq, c.created_at, k.fields, k.variables, known, recipient
    )::leased_turn;
END $$;

-- Whether nobody alive works on a conversation, other than the asking process itself under `p_epoch`.
CREATE FUNCTION is_free(c conversation, p_owner bigint, p_epoch integer) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF c.lease_owner IS NULL OR c.lease_until <= clock_timestamp()
        OR c.lease_owner = p_owner AND c.lease_epoch = p_epoch THEN
        RETURN true;
    END IF;
    -- A living process holds its own number locked for as long as its session lasts.
    RETURN c.lease_owner <> p_owner AND pg_try_advisory_xact_lock(c.lease_owner);
END $$;

-- Take in one trigger, and the conversation with it when that is free and nothing else waits there. A known dedupe key
-- returns what the first one became. No row: no such conversation, or not that contact's (`p_external` at `p_source`;
-- NULL for a principal, who may see all of the workspace). `must_lease`: free, but another trigger comes first.
CREATE FUNCTION accept_trigger(
    p_workspace uuid, p_conversation uuid, p_dedupe text, p_kind text, p_payload jsonb,
    p_parts jsonb, p_text text, p_client text, p_external text, p_source uuid, p_owner bigint, p_seconds integer
) RETURNS TABLE (
    inbox_id uuid, seq integer, is_new boolean, status text, at timestamptz, must_lease boolean, leased leased_turn
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    c conversation%ROWTYPE;
    i inbox%ROWTYPE;
    old_status text;
    source uuid;
    free boolean;
    is_first boolean;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    SELECT * INTO c FROM conversation WHERE id = p_conversation FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    source := coalesce(c.channel_id, c.agent_id);
    IF p_external IS NOT NULL AND (p_source <> source OR NOT EXISTS (
        SELECT 1 FROM contact_identity x
        WHERE x.source_id = source AND x.external_user_id = p_external AND x.contact_id = c.contact_id)) THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT x.id, x.seq, false, c.status, x.received_at, false, NULL::leased_turn FROM inbox x
        WHERE x.source_id = source AND x.dedupe_key = p_dedupe;
    IF FOUND THEN
        RETURN;
    END IF;
    old_status := c.status;
    IF p_kind = 'restart' THEN
        c.status := 'open';
        c.result := '';
        c.ended_at := NULL;
    ELSIF c.status = 'ended' THEN
        RETURN QUERY SELECT NULL::uuid, 0, false, c.status, now(), false, NULL::leased_turn;
        RETURN;
    END IF;
    free := is_free(c, p_owner, 0);
    is_first := free AND NOT EXISTS (SELECT FROM inbox x WHERE x.conversation_id = c.id AND x.state = 'pending');
    IF p_parts IS NOT NULL THEN
        c.message_seq := c.message_seq + 1;
        c.preview := left(p_text, 140);
    END IF;
    INSERT INTO inbox (workspace_id, source_id, dedupe_key, conversation_id, kind, payload, seq, received_at,
                       attempts, first_run_at)
        VALUES (p_workspace, source, p_dedupe, c.id, p_kind, p_payload,
                CASE WHEN p_parts IS NULL THEN 0 ELSE c.message_seq END, clock_timestamp(),
                is_first::integer, CASE WHEN is_first THEN clock_timestamp() END)
        RETURNING * INTO i;
    IF p_parts IS NOT NULL THEN
        INSERT INTO message (workspace_id, conversation_id, seq, role, parts, text, turn_id, client_id)
            VALUES (p_workspace, c.id, c.message_seq, 'contact', p_parts, p_text, i.id, p_client);
    END IF;
    UPDATE conversation SET message_seq = c.message_seq, status = c.status, result = c.result, ended_at = c.ended_at,
        preview = c.preview, pending_since = coalesce(pending_since, now()),
        lease_owner = CASE WHEN is_first THEN p_owner ELSE lease_owner END,
        lease_epoch = lease_epoch + is_first::integer,
        lease_until = CASE WHEN is_first THEN clock_timestamp() + make_interval(secs => p_seconds) ELSE lease_until END
        WHERE id = c.id;
    RETURN QUERY SELECT i.id, c.message_seq, true, old_status, now(), free AND NOT is_first,
        CASE WHEN is_first THEN turn_start(c, i) END;
END $$;

-- Begin a conversation: who, with which version, and the trigger that starts it. `problem`: why it cannot begin.
-- `p_version` NULL: the live version of the agent's main flow.
CREATE FUNCTION open_conversation(
    p_workspace uuid, p_agent uuid, p_channel uuid, p_kind text, p_external text, p_contact jsonb, p_dedupe text,
    p_version uuid, p_is_test boolean, p_language text, p_origin bigint
) RETURNS TABLE (conversation_id uuid, is_new boolean, problem text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    a agent%ROWTYPE;
    v_version uuid := p_version;
    v_contact uuid;
    v_conversation uuid;
    source uuid := coalesce(p_channel, p_agent);
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    RETURN QUERY SELECT i.conversation_id, false, '' FROM inbox i WHERE i.source_id = source AND i.dedupe_key = p_dedupe;
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT * INTO a FROM agent WHERE id = p_agent;
    IF NOT FOUND THEN
        RETURN QUERY SELECT NULL::uuid, false, 'no_agent';
        RETURN;
    END IF;
    IF NOT a.is_on AND NOT p_is_test THEN
        RETURN QUERY SELECT NULL::uuid, false, 'agent_off';
        RETURN;
    END IF;
    IF v_version IS NULL THEN
        SELECT f.live_version_id INTO v_version FROM flow f WHERE f.id = a.main_flow_id;
    ELSE
        -- Under row-level security: a version of another workspace does not exist.
        SELECT v.id INTO v_version FROM version v JOIN flow f ON f.id = v.flow_id WHERE v.id = p_version AND f.agent_id = a.id;
    END IF;
    IF v_version IS NULL THEN
        RETURN QUERY SELECT NULL::uuid, false, 'no_version';
        RETURN;
    END IF;
    SELECT x.contact_id INTO v_contact FROM contact_identity x WHERE x.source_id = source AND x.external_user_id = p_external;
    IF v_contact IS NULL THEN
        INSERT INTO contact (workspace_id, fields, language)
            VALUES (p_workspace, p_contact, coalesce(p_language, '')) RETURNING id INTO v_contact;
        INSERT INTO contact_identity (source_id, external_user_id, workspace_id, contact_id)
            VALUES (source, p_external, p_workspace, v_contact);
    ELSIF p_contact <> '{}'::jsonb THEN
        UPDATE contact SET fields = fields || p_contact, updated_at = now() WHERE id = v_contact;
    END IF;
    INSERT INTO conversation (workspace_id, agent_id, channel_id, contact_id, version_id, channel_kind, language, is_test, pending_since)
        VALUES (p_workspace, a.id, p_channel, v_contact, v_version, p_kind, coalesce(p_language, a.language, 'en'), p_is_test, now())
        RETURNING id INTO v_conversation;
    INSERT INTO inbox (workspace_id, source_id, dedupe_key, conversation_id, kind, received_at)
        VALUES (p_workspace, source, p_dedupe, v_conversation, 'start', clock_timestamp());
    PERFORM announce(p_workspace, v_conversation, 0, p_origin);
    RETURN QUERY SELECT v_conversation, true, '';
EXCEPTION WHEN unique_violation THEN
    -- The same start arrived twice at once: the other one won. The roll-back also took the workspace's name away.
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    RETURN QUERY SELECT i.conversation_id, false, '' FROM inbox i WHERE i.source_id = source AND i.dedupe_key = p_dedupe;
END $$;

-- A member ends it: whatever runs can no longer commit, and nothing wakes it.
CREATE FUNCTION end_conversation(p_workspace uuid, p_conversation uuid, p_result text, p_origin bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    seq integer;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    UPDATE conversation SET status = 'ended', waits = '', node_id = '', checkpoint = NULL, result = p_result, ended_at = now(),
        updated_at = now(), pending_since = NULL, lease_owner = NULL, lease_until = NULL, lease_epoch = lease_epoch + 1
        WHERE id = p_conversation AND status <> 'ended' RETURNING message_seq INTO seq;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE inbox SET state = 'done', done_at = now() WHERE conversation_id = p_conversation AND state = 'pending';
    DELETE FROM timer WHERE conversation_id = p_conversation;
    PERFORM announce(p_workspace, p_conversation, seq, p_origin);
    RETURN true;
END $$;

-- Take the lease and the oldest waiting trigger, and count the attempt. No row: nothing to do, or somebody has it.
-- `p_epoch`: the epoch this process holds already, when it goes on with the next trigger.
CREATE FUNCTION lease_turn(
    p_workspace uuid, p_conversation uuid, p_owner bigint, p_epoch integer, p_seconds integer
) RETURNS SETOF leased_turn
LANGUAGE plpgsql AS $$
DECLARE
    c conversation%ROWTYPE;
    i inbox%ROWTYPE;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    SELECT * INTO c FROM conversation WHERE id = p_conversation FOR UPDATE;
    IF NOT FOUND OR NOT is_free(c, p_owner, p_epoch) THEN
        RETURN;
    END IF;
    SELECT * INTO i FROM inbox x WHERE x.conversation_id = c.id AND x.state = 'pending' ORDER BY x.id LIMIT 1;
    IF NOT FOUND THEN
        UPDATE conversation SET pending_since = NULL, lease_owner = NULL, lease_until = NULL WHERE id = c.id;
        RETURN;
    END IF;
    UPDATE inbox SET attempts = attempts + 1, first_run_at = coalesce(first_run_at, clock_timestamp())
        WHERE id = i.id RETURNING * INTO i;
    UPDATE conversation SET lease_owner = p_owner, lease_epoch = lease_epoch + 1,
        lease_until = clock_timestamp() + make_interval(secs => p_seconds)
        WHERE id = c.id;
    RETURN NEXT turn_start(c, i);
END $$;

-- Everything a turn came to, in one transaction, only while the epoch still stands.
-- `p_turn`: {inbox, state, trigger, started_at, ms, attempts, error, steps, messages, events, contact, tags, …}
CREATE FUNCTION commit_turn(
    p_workspace uuid, p_conversation uuid, p_owner bigint, p_epoch integer, p_inbox uuid,
    p_checkpoint bytea, p_status text, p_waits text, p_node text, p_due timestamptz, p_keep_timer boolean, p_turn jsonb
) RETURNS TABLE (first_seq integer, has_more boolean, at timestamptz)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    c conversation%ROWTYPE;
    said jsonb := p_turn -> 'messages';
    n integer := jsonb_array_length(said);
    more boolean;
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
    IF n > 0 THEN
        INSERT INTO message (workspace_id, conversation_id, seq, role, key, parts, text, node_id, turn_id)
            SELECT p_workspace, c.id, c.message_seq + m.place, 'agent', m.said ->> 'key', m.said -> 'parts',
                   m.said ->> 'text', m.said ->> 'node_id', p_inbox
            FROM jsonb_array_elements(said) WITH ORDINALITY AS m (said, place);
        IF p_turn ? 'recipient' THEN
            INSERT INTO outbox (workspace_id, effect_key, conversation_id, channel_id, recipient, ordinal, parts)
                SELECT p_workspace, c.id || '/' || (m.said ->> 'key'), c.id, c.channel_id, p_turn ->> 'recipient',
                       c.message_seq + m.place, m.said -> 'parts'
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
        preview = CASE WHEN n > 0 THEN left(said -> (n - 1) ->> 'text', 140) ELSE preview END,
        pending_since = CASE WHEN more THEN pending_since END,
        lease_owner = CASE WHEN more THEN lease_owner END, lease_until = CASE WHEN more THEN lease_until END
        WHERE id = c.id;
    RETURN QUERY SELECT c.message_seq + 1, more, now();
END $$;

-- Keep the lease; false: it is somebody else's now.
CREATE FUNCTION renew_lease(p_workspace uuid, p_conversation uuid, p_owner bigint, p_epoch integer, p_seconds integer)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    UPDATE conversation SET lease_until = clock_timestamp() + make_interval(secs => p_seconds)
        WHERE id = p_conversation AND lease_owner = p_owner AND lease_epoch = p_epoch;
    RETURN FOUND;
END $$;

-- Hand the conversation over without an answer. `p_uncount`: the attempt was cut short by us and is not held against it.
CREATE FUNCTION release_lease(
    p_workspace uuid, p_conversation uuid, p_owner bigint, p_epoch integer, p_inbox uuid, p_uncount boolean
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    UPDATE conversation SET lease_owner = NULL, lease_until = NULL
        WHERE id = p_conversation AND lease_owner = p_owner AND lease_epoch = p_epoch;
    IF FOUND AND p_uncount THEN
        UPDATE inbox SET attempts = greatest(attempts - 1, 0) WHERE id = p_inbox AND state = 'pending';
    END IF;
END $$;

-- An effect is written only by the holder of the lease. False: the lease is gone.
CREATE FUNCTION begin_effect(
    p_workspace uuid, p_conversation uuid, p_owner bigint, p_epoch integer, p_key text, p_turn integer, p_kind text, p_node text
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    PERFORM 1 FROM conversation
        WHERE id = p_conversation AND lease_owner = p_owner AND lease_epoch = p_epoch FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO effect (effect_key, workspace_id, conversation_id, turn_seq, kind, node_id)
        VALUES (p_key, p_workspace, p_conversation, p_turn, p_kind, p_node)
        ON CONFLICT (effect_key) DO NOTHING;
    RETURN true;
END $$;

-- A result is worth keeping even when the lease was lost meanwhile: whoever repeats the turn then need not call again.
CREATE FUNCTION finish_effect(p_workspace uuid, p_key text, p_result jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    UPDATE effect SET state = 'done', result = p_result, done_at = now() WHERE effect_key = p_key AND state = 'begun';
END $$;
