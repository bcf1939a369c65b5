-- Subscribers are told when a conversation is handed to people, when somebody takes it and when the agent has it back.
CREATE FUNCTION hand_off_told() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    c conversation%ROWTYPE;
    v_type text;
BEGIN
    v_type := CASE NEW.state WHEN 'waiting' THEN 'conversation.handed_off' WHEN 'accepted' THEN 'conversation.accepted'
        WHEN 'returned' THEN 'conversation.returned' WHEN 'timed_out' THEN 'conversation.returned' END;
    IF v_type IS NULL OR NOT EXISTS (
        SELECT FROM event_subscription s WHERE s.workspace_id = NEW.workspace_id AND s.is_on) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO c FROM conversation WHERE id = NEW.conversation_id;
    IF c.is_test OR NOT v_type = ANY (coalesce(wanted_events(c.workspace_id, c.agent_id), '{}')) THEN
        RETURN NULL;
    END IF;
    PERFORM tell_event(c.workspace_id, c.agent_id, c.id, v_type, event_data(c) || jsonb_build_object(
        'hand_off_id', NEW.id, 'queue_id', NEW.queue_id, 'node_id', NEW.node_id, 'priority', NEW.priority,
        'summary', NEW.summary, 'member_id', NEW.member_id, 'note', NEW.note, 'outcome', NEW.outcome,
        'timed_out', NEW.state = 'timed_out'));
    RETURN NULL;
END $$;
CREATE TRIGGER hand_off_begun AFTER INSERT ON hand_off FOR EACH ROW EXECUTE FUNCTION hand_off_told();
CREATE TRIGGER hand_off_changed AFTER UPDATE OF state ON hand_off FOR EACH ROW
    WHEN (NEW.state <> OLD.state) EXECUTE FUNCTION hand_off_told();
