-- What members do with a conversation. Each function is one transaction for its caller and holds the conversation's row,
-- so that it and a message of the contact come one after the other, never at once.

-- A line in the transcript that everybody sees: who joined, who left.
CREATE FUNCTION note_person(p_conversation uuid, p_event text, p_name text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_seq integer;
BEGIN
    UPDATE conversation SET message_seq = message_seq + 1, updated_at = now()
        WHERE id = p_conversation RETURNING message_seq INTO v_seq;
    INSERT INTO message (workspace_id, conversation_id, seq, role, parts)
        SELECT c.workspace_id, c.id, v_seq, 'system',
               jsonb_build_array(jsonb_build_object('kind', 'person', 'event', p_event, 'name', p_name))
        FROM conversation c WHERE c.id = p_conversation;
    RETURN v_seq;
END $$;

-- Whether a member answers what waits in a queue: theirs, or everybody's.
CREATE FUNCTION answers_queue(p_member uuid, p_queue uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT p_queue IS NULL OR NOT EXISTS (SELECT FROM queue_member m WHERE m.queue_id = p_queue)
        OR EXISTS (SELECT FROM queue_member m WHERE m.queue_id = p_queue AND m.member_id = p_member)
$$;

-- A trigger for the step that asked for a person.
CREATE FUNCTION tell_step(c conversation, h hand_off, p_event text, p_about jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox (workspace_id, source_id, dedupe_key, conversation_id, kind, payload)
        VALUES (c.workspace_id, coalesce(c.channel_id, c.agent_id), 'hand_off:' || uuidv7(), c.id, 'hand_off',
                jsonb_build_object('node_id', h.node_id, 'reply', jsonb_build_object('person',
                    jsonb_build_object('event', p_event) || p_about)));
    UPDATE conversation SET pending_since = coalesce(pending_since, now()) WHERE id = c.id;
END $$;

-- A member takes a conversation: one that waits for a person, or any that is open. Whatever the agent is doing can no
-- longer be committed; what the contact wrote and nobody answered is for the member.
-- `problem`: "" theirs now; "none", "ended", "on_call", "taken" (`holder` has it), "not_in_queue".
-- `p_any`: also of queues that others answer; also from somebody who has it (`p_from`, NULL: from nobody).
CREATE FUNCTION take_conversation(
    p_workspace uuid, p_conversation uuid, p_member uuid, p_any boolean, p_from uuid
) RETURNS TABLE (problem text, holder text, hand_off_id uuid, is_new boolean, must_run boolean, seq integer, waited double precision)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    c conversation%ROWTYPE;
    h hand_off%ROWTYPE;
    v_name text;
    was_asked boolean;
    kept timestamptz;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    SELECT * INTO c FROM conversation WHERE id = p_conversation FOR UPDATE;
    SELECT m.name INTO v_name FROM member m WHERE m.id = p_member;
    IF c.id IS NULL OR v_name IS NULL THEN
        RETURN QUERY SELECT 'none', '', NULL::uuid, false, false, 0, 0::float8;
        RETURN;
    END IF;
    SELECT * INTO h FROM hand_off x WHERE x.id = c.hand_off_id;
    IF c.status = 'ended' OR c.channel_kind = 'phone' THEN
        RETURN QUERY SELECT CASE WHEN c.status = 'ended' THEN 'ended' ELSE 'on_call' END, '', h.id, false, false, 0, 0::float8;
        RETURN;
    END IF;
    IF h.state = 'accepted' AND h.member_id = p_member THEN
        RETURN QUERY SELECT '', v_name, h.id, false, false, c.message_seq, 0::float8;
        RETURN;
    END IF;
    IF h.state = 'accepted' AND h.member_id IS NOT NULL AND h.member_id IS DISTINCT FROM p_from THEN
        RETURN QUERY SELECT 'taken', (SELECT m.name FROM member m WHERE m.id = h.member_id), h.id, false, false, 0, 0::float8;
        RETURN;
    END IF;
    IF NOT p_any AND NOT answers_queue(p_member, h.queue_id) THEN
        RETURN QUERY SELECT 'not_in_queue', '', h.id, false, false, 0, 0::float8;
        RETURN;
    END IF;
    was_asked := h.node_id <> '' AND h.accepted_at IS NULL;
    IF h.id IS NULL THEN
        -- A wait that is over but was not gone through is one that goes on later.
        SELECT min(d) INTO kept FROM (
            SELECT t.due_at AS d FROM timer t WHERE t.conversation_id = c.id
            UNION ALL SELECT (i.payload ->> 'due_at')::timestamptz FROM inbox i
                WHERE i.conversation_id = c.id AND i.state = 'pending' AND i.kind = 'timer'
                    AND (i.payload ->> 'turn_seq')::integer = c.turn_seq
        ) waits;
        INSERT INTO hand_off (workspace_id, conversation_id, state, member_id, accepted_at, kept_due_at)
            VALUES (p_workspace, c.id, 'accepted', p_member, clock_timestamp(), kept) RETURNING * INTO h;
    ELSE
        UPDATE hand_off SET state = 'accepted', member_id = p_member, accepted_at = coalesce(accepted_at, clock_timestamp())
            WHERE id = h.id RETURNING * INTO h;
    END IF;
    DELETE FROM timer WHERE conversation_id = c.id;
    UPDATE inbox SET state = 'done', done_at = now(), payload = payload || '{"held": true}'
        WHERE conversation_id = c.id AND state = 'pending' AND kind <> 'hand_off';
    -- The turn that is cut off here never comes back, so what its calls answered is not kept for another.
    DELETE FROM effect WHERE conversation_id = c.id AND turn_seq = c.turn_seq + 1;
    UPDATE conversation SET hand_off_id = h.id, lease_owner = NULL, lease_until = NULL, lease_epoch = lease_epoch + 1,
        pending_since = CASE WHEN EXISTS (SELECT FROM inbox i WHERE i.conversation_id = c.id AND i.state = 'pending')
            THEN coalesce(pending_since, now()) END
        WHERE id = c.id;
    seq := note_person(c.id, 'joined', v_name);
    IF was_asked THEN
        PERFORM tell_step(c, h, 'accepted', jsonb_build_object('name', v_name));
    END IF;
    RETURN QUERY SELECT '', v_name, h.id, true,
        EXISTS (SELECT FROM inbox i WHERE i.conversation_id = c.id AND i.state = 'pending'), seq,
        extract(epoch FROM h.accepted_at - h.requested_at)::float8;
END $$;

-- A member lets go of a conversation.
-- `p_how`: "return" back to the agent, where it waits; "release" back to the queue, for somebody else.
-- `p_any`: also one that somebody else has. `p_seen`: the last message that the member had read; what the contact wrote
-- after it is answered by the flow. `problem`: "" done; "none", "not_held", "taken" (`holder` has it), "may_not".
CREATE FUNCTION let_go_conversation(
    p_workspace uuid, p_conversation uuid, p_member uuid, p_any boolean, p_how text, p_note text, p_outcome text,
    p_seen integer
) RETURNS TABLE (problem text, holder text, must_run boolean, seq integer)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    c conversation%ROWTYPE;
    h hand_off%ROWTYPE;
    i inbox%ROWTYPE;
    v_name text;
    again uuid;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    SELECT * INTO c FROM conversation WHERE id = p_conversation FOR UPDATE;
    SELECT * INTO h FROM hand_off x WHERE x.id = c.hand_off_id;
    IF c.id IS NULL OR h.state IS DISTINCT FROM 'accepted' THEN
        RETURN QUERY SELECT CASE WHEN c.id IS NULL THEN 'none' ELSE 'not_held' END, '', false, 0;
        RETURN;
    END IF;
    SELECT m.name INTO v_name FROM member m WHERE m.id = h.member_id;
    IF h.member_id IS DISTINCT FROM p_member AND NOT p_any
        AND NOT (p_how = 'return' AND h.return_by = 'queue' AND h.queue_id IS NOT NULL AND answers_queue(p_member, h.queue_id))
    THEN
        RETURN QUERY SELECT 'taken', v_name, false, 0;
        RETURN;
    END IF;
    IF p_how = 'return' AND h.return_by = 'nobody' THEN
        RETURN QUERY SELECT 'may_not', v_name, false, 0;
        RETURN;
    END IF;
    seq := note_person(c.id, 'left', coalesce(v_name, ''));
    IF p_how = 'release' THEN
        UPDATE hand_off SET state = 'waiting', member_id = NULL, requested_at = clock_timestamp() WHERE id = h.id;
        RETURN QUERY SELECT '', v_name, false, seq;
        RETURN;
    END IF;
    UPDATE hand_off SET state = 'returned', closed_at = clock_timestamp(), note = p_note, outcome = p_outcome
        WHERE id = h.id;
    UPDATE conversation SET hand_off_id = NULL WHERE id = c.id;
    IF h.kept_due_at IS NOT NULL THEN
        -- Waiting for an answer goes on as long as it still had to; a moment that was fixed stays where it is.
        INSERT INTO timer (workspace_id, conversation_id, due_at, turn_seq)
            VALUES (p_workspace, c.id, CASE WHEN c.waits = 'time' THEN h.kept_due_at
                ELSE h.kept_due_at + (clock_timestamp() - h.accepted_at) END, c.turn_seq);
        PERFORM pg_notify('patchcord_timers', '');
    END IF;
    IF h.node_id <> '' AND h.node_id = c.node_id THEN
        PERFORM tell_step(c, h, 'returned',
            jsonb_build_object('name', coalesce(v_name, ''), 'note', p_note, 'outcome', p_outcome));
    END IF;
    FOR i IN SELECT * FROM inbox x WHERE x.conversation_id = c.id AND x.payload ? 'held' AND x.state = 'done'
        AND (x.kind = 'start' OR x.kind = 'message' AND x.seq > p_seen) ORDER BY x.id LOOP
        -- Behind the trigger of the step: triggers run in the order of their ids.
        again := uuidv7();
        UPDATE inbox SET id = again, state = 'pending', done_at = NULL, attempts = 0, first_run_at = NULL,
            payload = payload - 'held' WHERE id = i.id;
        UPDATE message SET turn_id = again WHERE conversation_id = c.id AND seq = i.seq;
        UPDATE conversation SET pending_since = coalesce(pending_since, now()) WHERE id = c.id;
    END LOOP;
    RETURN QUERY SELECT '', v_name,
        EXISTS (SELECT FROM inbox x WHERE x.conversation_id = c.id AND x.state = 'pending'), seq;
END $$;

-- What a member says to the contact, once for the same `p_client`: it goes the way of everything the agent says.
-- `problem`: "" said (`is_new` false: it was said before); "none", "ended", "not_held", "taken" (`holder` has it).
CREATE FUNCTION member_says(
    p_workspace uuid, p_conversation uuid, p_member uuid, p_client text, p_parts jsonb, p_text text
) RETURNS TABLE (problem text, holder text, seq integer, is_new boolean, at timestamptz, is_pushed boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    c conversation%ROWTYPE;
    h hand_off%ROWTYPE;
    m message%ROWTYPE;
    v_name text;
    v_key text := 'member.' || p_client;
    v_recipient text;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    SELECT * INTO c FROM conversation WHERE id = p_conversation FOR UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'none', '', 0, false, now(), false;
        RETURN;
    END IF;
    SELECT * INTO m FROM message x WHERE x.conversation_id = c.id AND x.role = 'member' AND x.key = v_key;
    IF FOUND THEN
        RETURN QUERY SELECT '', '', m.seq, false, m.created_at, false;
        RETURN;
    END IF;
    SELECT * INTO h FROM hand_off x WHERE x.id = c.hand_off_id;
    IF c.status = 'ended' OR h.state IS DISTINCT FROM 'accepted' OR h.member_id IS DISTINCT FROM p_member THEN
        RETURN QUERY SELECT CASE WHEN c.status = 'ended' THEN 'ended' WHEN h.state = 'accepted' THEN 'taken' ELSE 'not_held' END,
            coalesce((SELECT x.name FROM member x WHERE x.id = h.member_id), ''), 0, false, now(), false;
        RETURN;
    END IF;
    SELECT x.name INTO v_name FROM member x WHERE x.id = p_member;
    INSERT INTO message (workspace_id, conversation_id, seq, role, key, parts, text, client_id, flags, created_at)
        VALUES (p_workspace, c.id, c.message_seq + 1, 'member', v_key, p_parts, p_text, p_client,
                jsonb_build_object('by', v_name), clock_timestamp()) RETURNING * INTO m;
    IF c.channel_kind NOT IN ('web_chat', 'api', 'test', 'phone') THEN
        SELECT x.external_user_id INTO v_recipient FROM contact_identity x
            WHERE x.contact_id = c.contact_id AND x.source_id = c.channel_id LIMIT 1;
    END IF;
    IF v_recipient IS NOT NULL THEN
        INSERT INTO outbox (workspace_id, effect_key, conversation_id, channel_id, recipient, ordinal, parts)
            VALUES (p_workspace, c.id || '/' || v_key, c.id, c.channel_id, v_recipient, m.seq, p_parts);
    END IF;
    UPDATE conversation SET message_seq = m.seq, preview = left(p_text, 140), updated_at = now() WHERE id = c.id;
    INSERT INTO read_mark (workspace_id, conversation_id, member_id, seq) VALUES (p_workspace, c.id, p_member, m.seq)
        ON CONFLICT (conversation_id, member_id) DO UPDATE SET seq = greatest(read_mark.seq, excluded.seq);
    RETURN QUERY SELECT '', v_name, m.seq, true, m.created_at, v_recipient IS NOT NULL;
END $$;
