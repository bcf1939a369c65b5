-- Receiving: one signed event of a vendor becomes a trigger of the contact's conversation, in one transaction.

-- Nobody is told (p_origin NULL) where the caller tells by itself after its commit: a NOTIFY makes commits wait in line.
CREATE OR REPLACE FUNCTION announce(p_workspace uuid, p_conversation uuid, p_seq integer, p_origin bigint) RETURNS void
LANGUAGE sql AS $$
    SELECT pg_notify('patchcord_live', p_workspace || ' ' || p_conversation || ' ' || p_seq || ' ' || p_origin)
    WHERE p_origin IS NOT NULL
$$;

-- Begin a conversation with what the contact wrote, and take it.
CREATE FUNCTION begin_with_message(
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
    UPDATE inbox x SET payload = p_payload, seq = n, attempts = 1, first_run_at = clock_timestamp()
        WHERE x.source_id = h.id AND x.dedupe_key = p_dedupe RETURNING * INTO i;
    SELECT * INTO c FROM conversation WHERE id = opened.conversation_id;
    IF n > 0 THEN
        INSERT INTO message (workspace_id, conversation_id, seq, role, parts, text, turn_id)
            VALUES (h.workspace_id, c.id, n, 'contact', p_parts, p_text, i.id);
    END IF;
    turn := turn_start(c, i);
    UPDATE conversation SET message_seq = n, preview = left(p_text, 140), lease_owner = p_owner,
        lease_epoch = lease_epoch + 1, lease_until = clock_timestamp() + make_interval(secs => p_seconds)
        WHERE id = c.id;
    RETURN QUERY SELECT '', c.id, i.id, n, i.received_at, turn;
END $$;

-- `problem`: "" taken in or known already; "stale" the channel is not what the caller remembers; "changed" this key came
-- before with another body, which stands; "channel_off", "agent_off", "no_version": there is nobody to answer.
CREATE FUNCTION receive_message(
    p_workspace uuid, p_channel uuid, p_revision integer, p_dedupe text, p_external text, p_contact jsonb,
    p_language text, p_payload jsonb, p_parts jsonb, p_text text, p_owner bigint, p_seconds integer
) RETURNS TABLE (
    problem text, conversation_id uuid, inbox_id uuid, seq integer, is_new boolean, at timestamptz,
    must_lease boolean, leased leased_turn
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    h channel%ROWTYPE;
    i inbox%ROWTYPE;
    v_conversation uuid;
    v_contact uuid;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    -- The same event twice at once, and two first messages of one contact, wait for each other here.
    PERFORM pg_advisory_xact_lock(hashtextextended(p_channel || ' ' || p_dedupe, 1));
    PERFORM pg_advisory_xact_lock(hashtextextended(p_channel || ' ' || p_external, 2));
    SELECT * INTO h FROM channel WHERE id = p_channel;
    IF NOT FOUND OR h.revision <> p_revision OR NOT h.is_on THEN
        RETURN QUERY SELECT CASE WHEN h.revision = p_revision THEN 'channel_off' ELSE 'stale' END,
            NULL::uuid, NULL::uuid, 0, false, now(), false, NULL::leased_turn;
        RETURN;
    END IF;
    SELECT * INTO i FROM inbox x WHERE x.source_id = h.id AND x.dedupe_key = p_dedupe;
    IF FOUND THEN
        RETURN QUERY SELECT CASE WHEN i.payload ->> 'hash' = p_payload ->> 'hash' THEN '' ELSE 'changed' END,
            i.conversation_id, i.id, i.seq, false, i.received_at, false, NULL::leased_turn;
        RETURN;
    END IF;
    SELECT c.id, c.contact_id INTO v_conversation, v_contact
        FROM contact_identity x JOIN conversation c ON c.contact_id = x.contact_id
        WHERE x.source_id = h.id AND x.external_user_id = p_external AND c.channel_id = h.id AND c.status <> 'ended'
        ORDER BY c.id DESC LIMIT 1;
    IF FOUND THEN
        UPDATE contact SET fields = fields || p_contact, updated_at = now()
            WHERE id = v_contact AND NOT fields @> p_contact;
        RETURN QUERY SELECT '', v_conversation, a.inbox_id, a.seq, a.is_new, a.at, a.must_lease, a.leased
            FROM accept_trigger(p_workspace, v_conversation, p_dedupe, 'message', p_payload, p_parts, p_text, '',
                                NULL, NULL, p_owner, p_seconds) a WHERE a.inbox_id IS NOT NULL;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    -- None yet, or it ended a moment ago: the message begins a new one.
    RETURN QUERY SELECT b.problem, b.conversation_id, b.inbox_id, b.seq, b.problem = '', b.at, false, b.leased
        FROM begin_with_message(h, p_dedupe, p_external, p_contact, p_language, p_payload, p_parts, p_text,
                                p_owner, p_seconds) b;
END $$;
