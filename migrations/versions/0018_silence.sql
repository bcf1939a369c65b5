-- While a person has a conversation the agent is silent: nothing that the contact writes starts a turn.

-- Take in one trigger, and the conversation with it when that is free and nothing else waits there. A known dedupe key
-- returns what the first one became. No row: no such conversation, or not that contact's (`p_external` at `p_source`;
-- NULL for a principal, who may see all of the workspace). `must_lease`: free, but another trigger comes first.
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
    free := NOT is_held AND is_free(c, p_owner, 0);
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

-- A turn that hands the conversation to a person: its commit, and the hand-off in the same transaction. What the contact
-- wrote meanwhile is for that person. `p_turn.hand_off`: {queue_id, node_id, priority, summary, return_by}
CREATE FUNCTION commit_hand_off(
    p_workspace uuid, p_conversation uuid, p_owner bigint, p_epoch integer, p_inbox uuid,
    p_checkpoint bytea, p_status text, p_waits text, p_node text, p_due timestamptz, p_keep_timer boolean, p_turn jsonb
) RETURNS TABLE (first_seq integer, has_more boolean, at timestamptz)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    r record;
    asked jsonb := p_turn -> 'hand_off';
    v_id uuid;
    more boolean;
BEGIN
    SELECT * INTO r FROM commit_turn(p_workspace, p_conversation, p_owner, p_epoch, p_inbox, p_checkpoint, p_status,
        p_waits, p_node, p_due, p_keep_timer, p_turn);
    UPDATE hand_off SET state = 'timed_out', closed_at = clock_timestamp()
        WHERE conversation_id = p_conversation AND closed_at IS NULL;
    INSERT INTO hand_off (workspace_id, conversation_id, queue_id, node_id, state, priority, summary, return_by)
        VALUES (p_workspace, p_conversation, (SELECT q.id FROM queue q WHERE q.id::text = asked ->> 'queue_id'), p_node,
                'waiting', (asked ->> 'priority')::integer, asked ->> 'summary', asked ->> 'return_by')
        RETURNING id INTO v_id;
    UPDATE inbox SET state = 'done', done_at = now(), payload = payload || '{"held": true}'
        WHERE conversation_id = p_conversation AND state = 'pending' AND kind IN ('message', 'timer');
    more := EXISTS (SELECT FROM inbox WHERE conversation_id = p_conversation AND state = 'pending');
    UPDATE conversation SET hand_off_id = v_id, pending_since = CASE WHEN more THEN pending_since END,
        lease_owner = CASE WHEN more THEN lease_owner END, lease_until = CASE WHEN more THEN lease_until END
        WHERE id = p_conversation;
    RETURN QUERY SELECT r.first_seq, more, r.at;
END $$;

-- A conversation that a person has or is to have goes on or ends.
CREATE FUNCTION hand_off_follows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    h hand_off%ROWTYPE;
    due timestamptz;
BEGIN
    IF NEW.status = 'ended' THEN
        UPDATE hand_off SET state = 'ended', closed_at = clock_timestamp() WHERE id = NEW.hand_off_id;
        NEW.hand_off_id := NULL;
        RETURN NEW;
    END IF;
    SELECT * INTO h FROM hand_off WHERE id = NEW.hand_off_id;
    IF h.state = 'waiting' AND h.accepted_at IS NULL AND NEW.node_id <> h.node_id THEN
        -- Nobody came in time: the step that asked has gone on.
        UPDATE hand_off SET state = 'timed_out', closed_at = clock_timestamp() WHERE id = h.id;
        NEW.hand_off_id := NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER hand_off_follows BEFORE UPDATE ON conversation FOR EACH ROW
    WHEN (OLD.hand_off_id IS NOT NULL AND NEW.hand_off_id IS NOT NULL
        AND (NEW.status = 'ended' OR NEW.turn_seq <> OLD.turn_seq))
    EXECUTE FUNCTION hand_off_follows();
