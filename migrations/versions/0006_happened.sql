-- What happens becomes rows for whoever subscribed, in the transaction in which it happens. A workspace without
-- subscriptions pays one look into an index. Conversations with the tester are told to nobody.

-- Types that somebody in the workspace wants to be told about this agent.
CREATE FUNCTION wanted_events(p_workspace uuid, p_agent uuid) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT array_agg(t) FROM event_subscription s, unnest(s.types) t
    WHERE s.workspace_id = p_workspace AND s.is_on AND (s.agent_ids IS NULL OR p_agent = ANY (s.agent_ids))
$$;

CREATE FUNCTION event_payload(p_type text, p_at timestamptz, p_data jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('type', p_type, 'data', p_data,
        'timestamp', to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
$$;

CREATE FUNCTION tell_event(p_workspace uuid, p_agent uuid, p_conversation uuid, p_type text, p_data jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_event uuid := uuidv7();
BEGIN
    INSERT INTO event_delivery (workspace_id, subscription_id, event_id, type, conversation_id, line, payload)
        SELECT p_workspace, s.id, v_event, p_type, p_conversation, coalesce(p_conversation, v_event),
               event_payload(p_type, now(), p_data)
        FROM event_subscription s
        WHERE s.workspace_id = p_workspace AND s.is_on AND p_type = ANY (s.types)
          AND (s.agent_ids IS NULL OR p_agent = ANY (s.agent_ids))
        ORDER BY s.id;
END $$;

CREATE FUNCTION event_data(c conversation) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('conversation_id', c.id, 'agent_id', c.agent_id, 'contact_id', c.contact_id,
        'channel', c.channel_kind, 'language', c.language)
$$;

CREATE FUNCTION event_contact(p_contact uuid) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('fields', k.fields, 'variables', k.variables) FROM contact k WHERE k.id = p_contact
$$;

CREATE FUNCTION conversation_started() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF 'conversation.started' = ANY (wanted_events(NEW.workspace_id, NEW.agent_id)) THEN
        PERFORM tell_event(NEW.workspace_id, NEW.agent_id, NEW.id, 'conversation.started',
            event_data(NEW) || jsonb_build_object('contact', event_contact(NEW.contact_id)));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER conversation_started AFTER INSERT ON conversation FOR EACH ROW
    WHEN (NOT NEW.is_test) EXECUTE FUNCTION conversation_started();

-- A turn that was run gives turn.ended or turn.failed; one that came too late (a timer after the answer) gives nothing.
-- `o` the conversation before, `c` after it.
CREATE FUNCTION tell_turn(o conversation, c conversation, wanted text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t turn%ROWTYPE;
    data jsonb;
BEGIN
    SELECT * INTO t FROM turn WHERE conversation_id = c.id AND seq = c.turn_seq;
    data := event_data(c) || jsonb_build_object('turn', c.turn_seq, 'trigger', t.trigger, 'status', c.status,
        'waits', c.waits, 'ms', t.ms, 'attempts', t.attempts);
    IF t.error <> '' AND 'turn.failed' = ANY (wanted) THEN
        PERFORM tell_event(c.workspace_id, c.agent_id, c.id, 'turn.failed',
            data || jsonb_build_object('error', t.error) || coalesce((
                SELECT jsonb_build_object('node_id', e.node_id, 'detail', e.data -> 'message') FROM event e
                WHERE e.conversation_id = c.id AND e.turn_id = t.inbox_id AND e.kind = 'node_failed'
                ORDER BY e.id DESC LIMIT 1), '{"node_id": "", "detail": ""}'));
    ELSIF t.error = '' AND (t.steps <> '[]' OR c.message_seq > o.message_seq) AND 'turn.ended' = ANY (wanted) THEN
        PERFORM tell_event(c.workspace_id, c.agent_id, c.id, 'turn.ended', data || jsonb_build_object('messages', coalesce((
            SELECT jsonb_agg(jsonb_build_object('seq', m.seq, 'role', m.role, 'text', m.text) ORDER BY m.seq)
            FROM message m WHERE m.conversation_id = c.id AND m.turn_id IN (
                SELECT i.id FROM inbox i WHERE i.conversation_id = c.id AND t.inbox_id IN (i.id, i.merged_into))
        ), '[]')));
    END IF;
    IF t.error = '' AND c.status = 'ended' AND o.status <> 'ended' AND 'flow.finished' = ANY (wanted) THEN
        PERFORM tell_event(c.workspace_id, c.agent_id, c.id, 'flow.finished', event_data(c) || jsonb_build_object(
            'turn', c.turn_seq, 'result', c.result, 'goal_value', c.goal_value, 'tags', to_jsonb(c.tags),
            'contact', event_contact(c.contact_id)));
    END IF;
END $$;

CREATE FUNCTION conversation_went_on() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wanted text[];
BEGIN
    -- Nearly every turn ends here: a plan that is kept, not a function that is called.
    IF NOT EXISTS (SELECT FROM event_subscription s WHERE s.workspace_id = NEW.workspace_id AND s.is_on) THEN
        RETURN NULL;
    END IF;
    wanted := wanted_events(NEW.workspace_id, NEW.agent_id);
    IF NEW.turn_seq <> OLD.turn_seq THEN
        PERFORM tell_turn(OLD, NEW, wanted);
    END IF;
    IF NEW.status = 'ended' AND OLD.status <> 'ended' AND 'conversation.ended' = ANY (wanted) THEN
        PERFORM tell_event(NEW.workspace_id, NEW.agent_id, NEW.id, 'conversation.ended', event_data(NEW)
            || jsonb_build_object('result', NEW.result, 'turns', NEW.turn_seq,
                'ended_by', CASE WHEN NEW.turn_seq <> OLD.turn_seq THEN 'flow' ELSE 'member' END));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER conversation_went_on AFTER UPDATE ON conversation FOR EACH ROW
    WHEN (NOT NEW.is_test AND (NEW.turn_seq <> OLD.turn_seq OR NEW.status = 'ended' AND OLD.status <> 'ended'))
    EXECUTE FUNCTION conversation_went_on();

CREATE FUNCTION message_given_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    c conversation%ROWTYPE;
BEGIN
    IF 'message.undeliverable' = ANY (wanted_events(NEW.workspace_id, NEW.agent_id)) THEN
        SELECT * INTO c FROM conversation WHERE id = NEW.conversation_id;
        IF c.is_test THEN
            RETURN NULL;
        END IF;
        PERFORM tell_event(NEW.workspace_id, NEW.agent_id, NEW.conversation_id, 'message.undeliverable', event_data(c)
            || jsonb_build_object('letter_id', NEW.id, 'reason', NEW.reason, 'error', NEW.error, 'attempts', NEW.attempts,
                'seq', (SELECT x.ordinal FROM outbox x WHERE x.id = NEW.ref)));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER message_given_up AFTER INSERT ON dead_letter FOR EACH ROW
    WHEN (NEW.source = 'outbox') EXECUTE FUNCTION message_given_up();

CREATE FUNCTION flow_published() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    f flow%ROWTYPE;
BEGIN
    SELECT * INTO f FROM flow WHERE id = NEW.flow_id;
    PERFORM tell_event(NEW.workspace_id, f.agent_id, NULL, 'flow.published', jsonb_build_object(
        'agent_id', f.agent_id, 'flow_id', f.id, 'name', f.name, 'kind', f.kind, 'version_id', NEW.id,
        'version', NEW.number, 'comment', NEW.comment));
    RETURN NULL;
END $$;
CREATE TRIGGER flow_published AFTER INSERT ON version FOR EACH ROW
    WHEN (NEW.number IS NOT NULL) EXECUTE FUNCTION flow_published();
