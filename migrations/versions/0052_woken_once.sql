-- Workers are woken once for what waits in a conversation, not for every message of a burst.

-- `problem`: "" taken in or known already; "stale" the channel is not what the caller remembers; "changed" this key came
-- before with another body, which stands; "channel_off", "agent_off", "no_version": there is nobody to answer.
-- `must_lease`: nobody has the conversation, nor was anybody told of it just now; for others (`p_owner` NULL): wake somebody.
-- Who runs a turn, or was told of a message, finds what came after it.
CREATE OR REPLACE FUNCTION receive_message(
    p_workspace uuid, p_channel uuid, p_revision integer, p_dedupe text, p_external text, p_contact jsonb,
    p_language text, p_payload jsonb, p_parts jsonb, p_text text, p_owner bigint, p_seconds integer
) RETURNS TABLE (
    problem text, conversation_id uuid, inbox_id uuid, seq integer, is_new boolean, at timestamptz,
    must_lease boolean, leased leased_turn
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    k record;
    b record;
    v_hand_off uuid;
BEGIN
    -- The same event twice at once, and two first messages of one contact, wait for each other here.
    PERFORM set_config('app.workspace_id', p_workspace::text, true),
        pg_advisory_xact_lock(hashtextextended(p_channel || ' ' || p_dedupe, 1)),
        pg_advisory_xact_lock(hashtextextended(p_channel || ' ' || p_external, 2));
    -- A question of its own, after the locks: it sees what whoever held them has stored.
    SELECT h.agent_id, h.connector, h.revision, h.is_on, i.id AS inbox_id, i.conversation_id AS came_to, i.seq,
           i.received_at, i.payload ->> 'hash' AS hash, x.contact_id, c.id AS open_id
        INTO k FROM channel h
        LEFT JOIN inbox i ON i.source_id = h.id AND i.dedupe_key = p_dedupe
        LEFT JOIN contact_identity x ON x.source_id = h.id AND x.external_user_id = p_external
        LEFT JOIN LATERAL (
            SELECT o.id FROM conversation o
            WHERE o.contact_id = x.contact_id AND o.channel_id = h.id AND o.status <> 'ended' ORDER BY o.id DESC LIMIT 1
        ) c ON true
        WHERE h.id = p_channel;
    at := now();
    seq := 0;
    is_new := false;
    must_lease := false;
    IF NOT FOUND OR k.revision <> p_revision OR NOT k.is_on THEN
        problem := CASE WHEN k.revision = p_revision THEN 'channel_off' ELSE 'stale' END;
        RETURN NEXT;
        RETURN;
    ELSIF k.inbox_id IS NOT NULL THEN
        problem := CASE WHEN k.hash = p_payload ->> 'hash' THEN '' ELSE 'changed' END;
        conversation_id := k.came_to;
        inbox_id := k.inbox_id;
        seq := k.seq;
        at := k.received_at;
        RETURN NEXT;
        RETURN;
    END IF;
    IF k.open_id IS NOT NULL THEN
        IF p_contact <> '{}' THEN
            UPDATE contact SET fields = fields || p_contact, updated_at = now()
                WHERE id = k.contact_id AND NOT fields @> p_contact;
        END IF;
        IF p_owner IS NOT NULL THEN
            RETURN QUERY SELECT '', k.open_id, a.inbox_id, a.seq, a.is_new, a.at, a.must_lease, a.leased
                FROM accept_trigger(p_workspace, k.open_id, p_dedupe, 'message', p_payload, p_parts, p_text, '',
                                    NULL, NULL, p_owner, p_seconds) a WHERE a.inbox_id IS NOT NULL;
            IF FOUND THEN
                RETURN;
            END IF;
        ELSE
            -- As accept_trigger for others. A person has it, or is being fetched: stored for them, and starts no turn.
            UPDATE conversation c SET message_seq = c.message_seq + 1, preview = left(p_text, 140),
                pending_since = CASE WHEN c.hand_off_id IS NULL THEN coalesce(c.pending_since, now()) ELSE c.pending_since END,
                updated_at = CASE WHEN c.hand_off_id IS NULL THEN c.updated_at ELSE now() END
                WHERE c.id = k.open_id AND c.status <> 'ended'
                RETURNING c.id, c.message_seq, c.hand_off_id,
                    c.hand_off_id IS NULL AND NOT (c.pending_since < now() AND (
                        coalesce(c.lease_until > clock_timestamp(), false) OR c.pending_since > now() - interval '1 second'))
                INTO conversation_id, seq, v_hand_off, must_lease;
            IF FOUND THEN
                INSERT INTO inbox (workspace_id, source_id, dedupe_key, conversation_id, kind, payload, seq, received_at, state,
                                   done_at)
                    VALUES (p_workspace, p_channel, p_dedupe, k.open_id, 'message',
                            CASE WHEN v_hand_off IS NULL THEN p_payload ELSE p_payload || '{"held": true}' END, seq,
                            clock_timestamp(), CASE WHEN v_hand_off IS NULL THEN 'pending' ELSE 'done' END,
                            CASE WHEN v_hand_off IS NOT NULL THEN clock_timestamp() END)
                    RETURNING id INTO inbox_id;
                INSERT INTO message (workspace_id, conversation_id, seq, role, parts, text, turn_id)
                    VALUES (p_workspace, k.open_id, seq, 'contact', p_parts, p_text, inbox_id);
                problem := '';
                is_new := true;
                RETURN NEXT;
                RETURN;
            END IF;
        END IF;
    END IF;
    -- None yet, or it ended a moment ago: the message begins a new one.
    b := begin_by_message(p_workspace, p_channel, k.agent_id, k.connector, k.contact_id, p_dedupe, p_external, p_contact,
                          p_language, p_payload, p_parts, p_text, p_owner, p_seconds);
    IF b.problem = 'known' THEN
        RETURN QUERY SELECT * FROM receive_message(p_workspace, p_channel, p_revision, p_dedupe, p_external, p_contact,
            p_language, p_payload, p_parts, p_text, p_owner, p_seconds);
        RETURN;
    END IF;
    problem := b.problem;
    conversation_id := b.conversation_id;
    inbox_id := b.inbox_id;
    seq := b.seq;
    is_new := b.problem = '';
    must_lease := is_new AND p_owner IS NULL;
    at := b.at;
    leased := b.leased;
    RETURN NEXT;
END $$;
