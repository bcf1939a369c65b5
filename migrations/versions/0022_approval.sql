-- What becomes of held messages. Each function is one transaction for its caller and holds the conversation's row, so that
-- two who decide at once, a time that runs out and a turn of the agent come one after the other.

-- Say what was held, at the end of the transcript and at its own place in the line of its recipient; its seq.
CREATE FUNCTION say_held(h held_message, p_parts jsonb, p_text text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_seq integer;
    v_recipient text;
BEGIN
    UPDATE conversation SET message_seq = message_seq + 1, preview = left(p_text, 140), updated_at = now()
        WHERE id = h.conversation_id RETURNING message_seq INTO v_seq;
    INSERT INTO message (workspace_id, conversation_id, seq, role, key, parts, text, node_id, turn_id, created_at)
        VALUES (h.workspace_id, h.conversation_id, v_seq, 'agent', h.key, p_parts, p_text, h.node_id, h.turn_id,
                clock_timestamp());
    IF h.recipient IS NOT NULL THEN
        -- The contact may have another address by now.
        SELECT x.external_user_id INTO v_recipient FROM conversation c JOIN contact_identity x
            ON x.contact_id = c.contact_id AND x.source_id = c.channel_id WHERE c.id = h.conversation_id LIMIT 1;
        INSERT INTO outbox (workspace_id, effect_key, conversation_id, channel_id, recipient, ordinal, parts,
                            initiated_by, place) OVERRIDING SYSTEM VALUE
            VALUES (h.workspace_id, h.conversation_id || '/' || h.key, h.conversation_id, h.channel_id,
                    coalesce(v_recipient, h.recipient), v_seq, p_parts, h.initiated_by, h.place);
    END IF;
    RETURN v_seq;
END $$;

-- Say what only waited behind something that is decided now, up to the next that somebody has to approve.
CREATE FUNCTION say_what_waited(p_conversation uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    h held_message%ROWTYPE;
BEGIN
    LOOP
        SELECT * INTO h FROM held_message x WHERE x.conversation_id = p_conversation AND x.state = 'waiting'
            ORDER BY x.place LIMIT 1;
        IF NOT FOUND THEN
            UPDATE conversation SET holds = false WHERE id = p_conversation;
            RETURN;
        END IF;
        IF h.needs_approval THEN
            PERFORM time_first_held(p_conversation);
            RETURN;
        END IF;
        UPDATE held_message SET state = 'sent', decided_by = 'order', decided_at = clock_timestamp(),
            seq = say_held(h, h.parts, h.text) WHERE id = h.id;
    END LOOP;
END $$;

-- Settle the first held message of a conversation, whose row is locked. `p_how`: "send", "edit" and "replace" (with
-- `p_parts`, `p_text`), "reject".
CREATE FUNCTION settle_held(h held_message, p_how text, p_by text, p_member uuid, p_parts jsonb, p_text text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_seq integer;
BEGIN
    IF p_how = 'send' THEN
        v_seq := say_held(h, h.parts, h.text);
    ELSIF p_how IN ('edit', 'replace') THEN
        v_seq := say_held(h, p_parts, p_text);
    ELSE
        SELECT c.message_seq INTO v_seq FROM conversation c WHERE c.id = h.conversation_id;
    END IF;
    UPDATE held_message SET decided_by = p_by, member_id = p_member, decided_at = clock_timestamp(), seq = v_seq,
        state = CASE p_how WHEN 'send' THEN 'sent' WHEN 'edit' THEN 'edited' WHEN 'replace' THEN 'replaced' ELSE 'rejected' END,
        sent_parts = CASE WHEN p_how IN ('edit', 'replace') THEN p_parts END,
        sent_text = CASE WHEN p_how IN ('edit', 'replace') THEN p_text END
        WHERE id = h.id;
    PERFORM say_what_waited(h.conversation_id);
END $$;

-- A member decides. `problem`: "" done; "none"; "decided" (`holder` did, "" the time); "not_first" another one comes before
-- it; "not_in_queue" it is for others (`p_any`: also then).
CREATE FUNCTION decide_held(
    p_workspace uuid, p_held uuid, p_member uuid, p_any boolean, p_how text, p_parts jsonb, p_text text
) RETURNS TABLE (problem text, holder text, conversation_id uuid, seq integer, is_pushed boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    c conversation%ROWTYPE;
    h held_message%ROWTYPE;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    SELECT x.* INTO c FROM conversation x
        WHERE x.id = (SELECT y.conversation_id FROM held_message y WHERE y.id = p_held) FOR UPDATE;
    SELECT * INTO h FROM held_message x WHERE x.id = p_held;
    IF c.id IS NULL OR NOT h.needs_approval THEN
        RETURN QUERY SELECT 'none', '', NULL::uuid, 0, false;
        RETURN;
    END IF;
    IF h.state <> 'waiting' THEN
        RETURN QUERY SELECT 'decided', coalesce((SELECT m.name FROM member m WHERE m.id = h.member_id), ''), c.id, 0, false;
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM held_message x WHERE x.conversation_id = c.id AND x.state = 'waiting' AND x.place < h.place) THEN
        RETURN QUERY SELECT 'not_first', '', c.id, 0, false;
        RETURN;
    END IF;
    IF NOT p_any AND NOT answers_queue(p_member, h.queue_id) THEN
        RETURN QUERY SELECT 'not_in_queue', '', c.id, 0, false;
        RETURN;
    END IF;
    PERFORM settle_held(h, p_how, 'member', p_member, p_parts, p_text);
    RETURN QUERY SELECT '', '', c.id, (SELECT x.message_seq FROM conversation x WHERE x.id = c.id), h.recipient IS NOT NULL;
END $$;

-- Nobody decided in time. `outcome`: "" it had been decided meanwhile, else what its rule says. `p_now` NULL: this clock.
CREATE FUNCTION time_out_held(p_workspace uuid, p_held uuid, p_now timestamptz)
RETURNS TABLE (outcome text, conversation_id uuid, seq integer, is_pushed boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    c conversation%ROWTYPE;
    h held_message%ROWTYPE;
    what text;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    SELECT x.* INTO c FROM conversation x
        WHERE x.id = (SELECT y.conversation_id FROM held_message y WHERE y.id = p_held) FOR UPDATE;
    SELECT * INTO h FROM held_message x WHERE x.id = p_held;
    IF h.state IS DISTINCT FROM 'waiting' OR h.due_at IS NULL OR h.due_at > coalesce(p_now, clock_timestamp()) THEN
        RETURN QUERY SELECT '', c.id, 0, false;
        RETURN;
    END IF;
    -- A conversation that is over has nobody to be handed to.
    what := CASE WHEN h.on_timeout = 'hand_off' AND c.status = 'ended' THEN 'discard' ELSE h.on_timeout END;
    IF what = 'hand_off' THEN
        UPDATE held_message SET due_at = NULL, wait_seconds = NULL WHERE id = h.id;
        PERFORM hand_to_people(c, h.queue_id);
    ELSE
        PERFORM settle_held(h, CASE what WHEN 'send' THEN 'send' ELSE 'reject' END, 'time', NULL, NULL, NULL);
    END IF;
    RETURN QUERY SELECT what, c.id, (SELECT x.message_seq FROM conversation x WHERE x.id = c.id), h.recipient IS NOT NULL;
END $$;

-- A conversation waits for a person though no step asked for one; the flow goes on where it is when it comes back.
CREATE FUNCTION hand_to_people(c conversation, p_queue uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_hand_off uuid;
    kept timestamptz;
BEGIN
    IF c.hand_off_id IS NOT NULL THEN
        RETURN;
    END IF;
    SELECT min(t.due_at) INTO kept FROM timer t WHERE t.conversation_id = c.id;
    INSERT INTO hand_off (workspace_id, conversation_id, queue_id, state, priority, kept_due_at)
        VALUES (c.workspace_id, c.id, p_queue, 'waiting', 2, kept) RETURNING id INTO v_hand_off;
    DELETE FROM timer WHERE conversation_id = c.id;
    -- What the agent had begun meanwhile is cut off, as when somebody takes the conversation over.
    UPDATE inbox SET state = 'done', done_at = now(), payload = payload || '{"held": true}'
        WHERE conversation_id = c.id AND state = 'pending' AND kind <> 'hand_off';
    DELETE FROM effect WHERE conversation_id = c.id AND turn_seq = c.turn_seq + 1;
    UPDATE conversation SET hand_off_id = v_hand_off, lease_owner = NULL, lease_until = NULL, updated_at = now(),
        lease_epoch = lease_epoch + 1, pending_since = NULL WHERE id = c.id;
END $$;

-- Whoever takes the conversation speaks for themselves, and a conversation that a member ends is over: what waited is
-- kept for members and never sent.
CREATE FUNCTION withdraw_held(p_conversation uuid, p_by text, p_member uuid) RETURNS void LANGUAGE sql AS $$
    UPDATE held_message SET state = 'withdrawn', decided_by = p_by, member_id = p_member, decided_at = clock_timestamp(),
        due_at = NULL, seq = (SELECT c.message_seq FROM conversation c WHERE c.id = p_conversation)
        WHERE conversation_id = p_conversation AND state = 'waiting';
    UPDATE conversation SET holds = false WHERE id = p_conversation AND holds;
$$;
CREATE FUNCTION held_is_taken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM withdraw_held(NEW.conversation_id, 'taken', NEW.member_id);
    RETURN NULL;
END $$;
CREATE TRIGGER hand_off_made_with_held AFTER INSERT ON hand_off FOR EACH ROW
    WHEN (NEW.state = 'accepted') EXECUTE FUNCTION held_is_taken();
CREATE TRIGGER hand_off_taken_with_held AFTER UPDATE OF state ON hand_off FOR EACH ROW
    WHEN (NEW.state = 'accepted' AND OLD.state <> 'accepted') EXECUTE FUNCTION held_is_taken();
CREATE FUNCTION held_is_over() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM withdraw_held(NEW.id, 'ended', NULL);
    RETURN NULL;
END $$;
CREATE TRIGGER conversation_ended_with_held AFTER UPDATE OF status ON conversation FOR EACH ROW
    WHEN (NEW.holds AND NEW.status = 'ended' AND OLD.status <> 'ended' AND NEW.turn_seq = OLD.turn_seq)
    EXECUTE FUNCTION held_is_over();

-- Subscribers are told when something waits for approval, and what became of it.
CREATE FUNCTION held_told() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    c conversation%ROWTYPE;
    v_type text := CASE NEW.state WHEN 'waiting' THEN 'message.held' ELSE 'message.decided' END;
BEGIN
    IF NOT EXISTS (SELECT FROM event_subscription s WHERE s.workspace_id = NEW.workspace_id AND s.is_on) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO c FROM conversation WHERE id = NEW.conversation_id;
    IF NOT v_type = ANY (coalesce(wanted_events(c.workspace_id, c.agent_id), '{}')) THEN
        RETURN NULL;
    END IF;
    PERFORM tell_event(c.workspace_id, c.agent_id, c.id, v_type, event_data(c) || jsonb_build_object(
        'approval_id', NEW.id, 'node_id', NEW.node_id, 'text', coalesce(NEW.sent_text, NEW.text))
        || CASE v_type WHEN 'message.held' THEN '{}' ELSE jsonb_build_object('decision', NEW.state,
            'decided_by', NEW.decided_by, 'member_id', NEW.member_id, 'seq', NEW.seq) END);
    RETURN NULL;
END $$;
CREATE TRIGGER held_waits AFTER INSERT ON held_message FOR EACH ROW
    WHEN (NEW.needs_approval AND NEW.state = 'waiting') EXECUTE FUNCTION held_told();
CREATE TRIGGER held_decided AFTER UPDATE OF state ON held_message FOR EACH ROW
    WHEN (NEW.needs_approval AND OLD.state = 'waiting' AND NEW.state <> 'waiting') EXECUTE FUNCTION held_told();

-- Before any workspace is known: held messages whose time is over. `p_now` NULL: this clock.
CREATE FUNCTION due_approvals(p_now timestamptz, p_limit integer) RETURNS TABLE (workspace_id uuid, held_id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT h.workspace_id, h.id FROM held_message h
    WHERE h.state = 'waiting' AND h.due_at <= (SELECT coalesce(p_now, clock_timestamp()))
    ORDER BY h.due_at, h.id LIMIT p_limit
$$;

-- As before, but a message waits as long as something before it in its line waits for somebody's approval, whatever
-- conversation that is of.
CREATE OR REPLACE FUNCTION claim_deliveries(p_owner bigint, p_queue text, p_limit integer, p_each integer, p_except uuid[])
RETURNS SETOF claimed_delivery
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    -- Channel by channel, so that the backlog of one that is paused costs the others nothing.
    WITH RECURSIVE busy AS (
        (SELECT channel_id FROM outbox WHERE state = 'pending' AND queue = p_queue ORDER BY channel_id LIMIT 1)
        UNION ALL
        SELECT (SELECT o.channel_id FROM outbox o WHERE o.state = 'pending' AND o.queue = p_queue
                AND o.channel_id > b.channel_id ORDER BY o.channel_id LIMIT 1)
        FROM busy b WHERE b.channel_id IS NOT NULL
    ), due AS (
        SELECT d.id FROM busy b
        JOIN channel c ON c.id = b.channel_id AND c.is_on AND NOT c.id = ANY (p_except)
            AND (c.paused_until IS NULL OR c.paused_until <= clock_timestamp())
        CROSS JOIN LATERAL (
            SELECT o.id FROM outbox o
            WHERE o.state = 'pending' AND o.queue = p_queue AND o.channel_id = c.id
              AND o.next_attempt_at <= clock_timestamp() AND o.expires_at > clock_timestamp()
              -- The first of its line; as a value, so that it is one look into the index and never a join of everything.
              AND o.place = (SELECT e.place FROM outbox e WHERE e.channel_id = o.channel_id AND e.recipient = o.recipient
                  AND e.queue = o.queue AND e.state IN ('pending', 'sending') ORDER BY e.place LIMIT 1)
              AND (o.queue <> 'chat' OR coalesce((
                  SELECT h.place FROM held_message h WHERE h.channel_id = o.channel_id AND h.recipient = o.recipient
                  AND h.state = 'waiting' ORDER BY h.place LIMIT 1) > o.place, true))
            ORDER BY o.next_attempt_at, o.place LIMIT p_each
            FOR UPDATE OF o SKIP LOCKED
        ) d
        LIMIT p_limit
    )
    UPDATE outbox o SET state = 'sending', owner = p_owner, claim_epoch = o.claim_epoch + 1, attempt = o.attempt + 1,
        send_started_at = clock_timestamp(), first_send_at = coalesce(o.first_send_at, clock_timestamp()),
        vendor_key = vendor_key_of(o.effect_key)
    FROM due, channel c WHERE o.id = due.id AND c.id = o.channel_id
    RETURNING o.id, o.workspace_id, o.conversation_id, o.channel_id, c.connector, c.revision, o.recipient, o.ordinal,
        o.parts, o.vendor_key, o.attempt, o.claim_epoch, o.send_started_at, o.first_send_at, o.unknown_since,
        o.possibly_duplicate, o.done_parts,
        coalesce(o.on_unknown, c.settings ->> 'on_unknown', 'at_least_once') = 'at_most_once'
$$;

-- Another address of the same recipient: who they are, what is still to be sent, and what waits for approval.
CREATE OR REPLACE FUNCTION move_recipient(p_workspace uuid, p_channel uuid, p_from text, p_to text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    UPDATE contact_identity SET external_user_id = p_to WHERE source_id = p_channel AND external_user_id = p_from
        AND NOT EXISTS (SELECT FROM contact_identity x WHERE x.source_id = p_channel AND x.external_user_id = p_to);
    UPDATE outbox SET recipient = p_to WHERE channel_id = p_channel AND recipient = p_from
        AND state IN ('pending', 'sending');
    UPDATE held_message SET recipient = p_to WHERE channel_id = p_channel AND recipient = p_from AND state = 'waiting';
END $$;

-- A restored backup may hold what was approved and sent since: no time decides about it any more, only a person.
CREATE FUNCTION stop_times_of_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE held_message SET due_at = NULL, wait_seconds = NULL WHERE state = 'waiting';
    RETURN NULL;
END $$;
CREATE TRIGGER restore_stops_times AFTER INSERT OR UPDATE OF state ON restore_guard FOR EACH ROW
    WHEN (NEW.state = 'held') EXECUTE FUNCTION stop_times_of_held();

-- Exactly what the functions above need.
GRANT SELECT, UPDATE ON held_message TO patchcord_system;
CREATE POLICY of_system ON held_message TO patchcord_system USING (true) WITH CHECK (true);
