-- Who takes in for others (`p_owner` NULL) leases nothing. accept_for_others and receive_for_others, which leased and gave back,
-- stay for processes of the version before.

CREATE OR REPLACE FUNCTION accept_trigger(
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
    is_held boolean;
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
        IF c.hand_off_id IS NOT NULL THEN
            UPDATE hand_off SET state = 'ended', closed_at = clock_timestamp() WHERE id = c.hand_off_id;
            c.hand_off_id := NULL;
        END IF;
    ELSIF c.status = 'ended' THEN
        RETURN QUERY SELECT NULL::uuid, 0, false, c.status, now(), false, NULL::leased_turn;
        RETURN;
    END IF;
    -- A person has the conversation, or is being fetched: the message is stored for them and starts no turn.
    is_held := c.hand_off_id IS NOT NULL AND p_kind = 'message';
    free := CASE WHEN is_held OR p_owner IS NULL THEN false ELSE is_free(c, p_owner, 0) END;
    is_first := free AND NOT EXISTS (SELECT FROM inbox x WHERE x.conversation_id = c.id AND x.state = 'pending');
    IF p_parts IS NOT NULL THEN
        c.message_seq := c.message_seq + 1;
        c.preview := left(p_text, 140);
    END IF;
    INSERT INTO inbox (workspace_id, source_id, dedupe_key, conversation_id, kind, payload, seq, received_at,
                       attempts, first_run_at, state, done_at)
        VALUES (p_workspace, source, p_dedupe, c.id, p_kind,
                CASE WHEN is_held THEN p_payload || '{"held": true}' ELSE p_payload END,
                CASE WHEN p_parts IS NULL THEN 0 ELSE c.message_seq END, clock_timestamp(),
                is_first::integer, CASE WHEN is_first THEN clock_timestamp() END,
                CASE WHEN is_held THEN 'done' ELSE 'pending' END, CASE WHEN is_held THEN clock_timestamp() END)
        RETURNING * INTO i;
    IF p_parts IS NOT NULL THEN
        INSERT INTO message (workspace_id, conversation_id, seq, role, parts, text, turn_id, client_id)
            VALUES (p_workspace, c.id, c.message_seq, 'contact', p_parts, p_text, i.id, p_client);
    END IF;
    UPDATE conversation SET message_seq = c.message_seq, status = c.status, result = c.result, ended_at = c.ended_at,
        preview = c.preview, hand_off_id = c.hand_off_id,
        pending_since = CASE WHEN is_held THEN pending_since ELSE coalesce(pending_since, now()) END,
        updated_at = CASE WHEN is_held THEN now() ELSE updated_at END,
        lease_owner = CASE WHEN is_first THEN p_owner ELSE lease_owner END,
        lease_epoch = lease_epoch + is_first::integer,
        lease_until = CASE WHEN is_first THEN clock_timestamp() + make_interval(secs => p_seconds) ELSE lease_until END
        WHERE id = c.id;
    RETURN QUERY SELECT i.id, c.message_seq, true, old_status, now(), free AND NOT is_first,
        CASE WHEN is_first THEN turn_start(c, i) END;
END $$;

CREATE OR REPLACE FUNCTION begin_with_message(
    h channel, p_dedupe text, p_external text, p_contact jsonb, p_language text,
    p_payload jsonb, p_parts jsonb, p_text text, p_owner bigint, p_seconds integer
) RETURNS TABLE (problem text, conversation_id uuid, inbox_id uuid, seq integer, at timestamptz, leased leased_turn)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    opened record;
    c conversation%ROWTYPE;
    i inbox%ROWTYPE;
    turn leased_turn;
    n integer := (p_parts <> '[]'::jsonb)::integer;
BEGIN
    SELECT * INTO opened FROM open_conversation(h.workspace_id, h.agent_id, h.id, h.connector, p_external, p_contact,
        p_dedupe, NULL, false, p_language, NULL);
    IF opened.problem <> '' THEN
        RETURN QUERY SELECT opened.problem, NULL::uuid, NULL::uuid, 0, now(), NULL::leased_turn;
        RETURN;
    END IF;
    UPDATE inbox x SET payload = p_payload, seq = n, attempts = (p_owner IS NOT NULL)::integer,
        first_run_at = CASE WHEN p_owner IS NOT NULL THEN clock_timestamp() END
        WHERE x.source_id = h.id AND x.dedupe_key = p_dedupe RETURNING * INTO i;
    SELECT * INTO c FROM conversation WHERE id = opened.conversation_id;
    IF n > 0 THEN
        INSERT INTO message (workspace_id, conversation_id, seq, role, parts, text, turn_id)
            VALUES (h.workspace_id, c.id, n, 'contact', p_parts, p_text, i.id);
    END IF;
    IF p_owner IS NOT NULL THEN
        turn := turn_start(c, i);
    END IF;
    UPDATE conversation SET message_seq = n, preview = left(p_text, 140), lease_owner = p_owner,
        lease_epoch = lease_epoch + (p_owner IS NOT NULL)::integer,
        lease_until = CASE WHEN p_owner IS NOT NULL THEN clock_timestamp() + make_interval(secs => p_seconds) END
        WHERE id = c.id;
    RETURN QUERY SELECT '', c.id, i.id, n, i.received_at, turn;
END $$;
