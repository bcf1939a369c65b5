-- What makes chains look up. Only contacts who are inside one cost more than a look into an index.

CREATE FUNCTION signal_chains(p_workspace uuid, p_contact uuid, p_kind text, p_data jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chain_signal (workspace_id, contact_id, kind, data) VALUES (p_workspace, p_contact, p_kind, p_data);
    PERFORM pg_notify('patchcord_chains', '');
END $$;

CREATE FUNCTION is_in_a_chain(p_contact uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM enrollment e WHERE e.contact_id = p_contact AND e.state IN ('active', 'paused'))
$$;

CREATE FUNCTION contact_wrote() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_contact uuid;
BEGIN
    SELECT c.contact_id INTO v_contact FROM conversation c JOIN enrollment e ON e.contact_id = c.contact_id
        WHERE c.id = NEW.conversation_id AND NOT c.is_test AND e.state IN ('active', 'paused') LIMIT 1;
    IF FOUND THEN
        PERFORM signal_chains(NEW.workspace_id, v_contact, 'look', '{}');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER chains_hear_a_reply AFTER INSERT ON message FOR EACH ROW
    WHEN (NEW.role = 'contact') EXECUTE FUNCTION contact_wrote();

CREATE FUNCTION conversation_had_result() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF is_in_a_chain(NEW.contact_id) THEN
        PERFORM signal_chains(NEW.workspace_id, NEW.contact_id, 'look', '{}');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER chains_hear_a_result AFTER UPDATE OF status ON conversation FOR EACH ROW
    WHEN (NEW.status = 'ended' AND OLD.status <> 'ended' AND NOT NEW.is_test) EXECUTE FUNCTION conversation_had_result();

CREATE FUNCTION contact_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.merged_into IS NOT NULL AND OLD.merged_into IS NULL THEN
        -- Two that become one are in each chain once: whoever stays goes on.
        UPDATE enrollment e SET state = 'stopped', reason = 'merged', due_at = NULL, ended_at = now()
            WHERE e.contact_id = NEW.id AND e.state IN ('active', 'paused') AND EXISTS (
                SELECT FROM enrollment o WHERE o.contact_id = NEW.merged_into AND o.chain_id = e.chain_id
                    AND o.state IN ('active', 'paused'));
        UPDATE enrollment SET contact_id = NEW.merged_into WHERE contact_id = NEW.id;
        UPDATE chain_log SET contact_id = NEW.merged_into WHERE contact_id = NEW.id;
        UPDATE chain_note SET contact_id = NEW.merged_into WHERE contact_id = NEW.id;
        UPDATE chain_signal SET contact_id = NEW.merged_into WHERE contact_id = NEW.id;
    ELSIF is_in_a_chain(NEW.id) THEN
        PERFORM signal_chains(NEW.workspace_id, NEW.id, 'look', '{}');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER chains_hear_a_change AFTER UPDATE ON contact FOR EACH ROW
    WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION contact_changed();

-- A step of a flow enrolls the contact, or takes them out: said by an event of the turn, so it is said once.
CREATE FUNCTION flow_asked_for_a_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_contact uuid;
BEGIN
    SELECT c.contact_id INTO v_contact FROM conversation c WHERE c.id = NEW.conversation_id AND NOT c.is_test;
    IF FOUND THEN
        PERFORM signal_chains(NEW.workspace_id, v_contact, CASE WHEN (NEW.data ->> 'leaves')::boolean THEN 'leave' ELSE 'enroll' END,
            NEW.data);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER chains_hear_a_flow AFTER INSERT ON event FOR EACH ROW
    WHEN (NEW.kind = 'chain_asked') EXECUTE FUNCTION flow_asked_for_a_chain();

-- A message of a chain was given up: the next channel is tried.
CREATE FUNCTION chain_message_given_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_key text;
    v_contact uuid;
BEGIN
    SELECT o.effect_key INTO v_key FROM outbox o WHERE o.id = NEW.ref;
    IF v_key LIKE 'chain:%' THEN
        SELECT c.contact_id INTO v_contact FROM conversation c WHERE c.id = NEW.conversation_id;
        PERFORM signal_chains(NEW.workspace_id, v_contact, 'undelivered',
            jsonb_build_object('effect_key', v_key, 'reason', NEW.reason, 'error', NEW.error));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER chains_hear_of_the_undelivered AFTER INSERT ON dead_letter FOR EACH ROW
    WHEN (NEW.source = 'outbox') EXECUTE FUNCTION chain_message_given_up();

-- Write to the contact outside of a turn. The message joins their newest conversation at the channel; one who never had
-- any gets one that is over already: what they answer begins the next. NULL: nothing of the agent is published.
-- `p_recipient` NULL: the channel pulls. `p_key` makes it happen once. The caller wakes senders and watchers after its
-- commit: PostgreSQL lets only one transaction with a NOTIFY commit at a time.
CREATE FUNCTION say_outside_a_turn(
    p_workspace uuid, p_channel uuid, p_contact uuid, p_recipient text, p_key text, p_parts jsonb, p_text text,
    p_language text
) RETURNS TABLE (conversation_id uuid, seq integer)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    h channel%ROWTYPE;
    v_conversation uuid;
    v_version uuid;
    v_seq integer;
BEGIN
    SELECT * INTO h FROM channel WHERE id = p_channel;
    SELECT c.id INTO v_conversation FROM conversation c
        WHERE c.contact_id = p_contact AND c.channel_id = p_channel AND NOT c.is_test
        ORDER BY (c.status <> 'ended') DESC, c.id DESC LIMIT 1;
    IF NOT FOUND THEN
        SELECT f.live_version_id INTO v_version FROM agent a JOIN flow f ON f.id = a.main_flow_id WHERE a.id = h.agent_id;
        IF v_version IS NULL THEN
            RETURN;
        END IF;
        INSERT INTO conversation (workspace_id, agent_id, channel_id, contact_id, version_id, channel_kind, language,
                                  status, result, ended_at)
            VALUES (p_workspace, h.agent_id, h.id, p_contact, v_version, h.connector, p_language, 'ended', 'follow_up', now())
            RETURNING id INTO v_conversation;
    END IF;
    UPDATE conversation SET message_seq = message_seq + 1, preview = left(p_text, 140), updated_at = now()
        WHERE id = v_conversation RETURNING message_seq INTO v_seq;
    INSERT INTO message (workspace_id, conversation_id, seq, role, key, parts, text, flags)
        VALUES (p_workspace, v_conversation, v_seq, 'agent', left(p_key, 200), p_parts, p_text, '{"follow_up": true}');
    IF p_recipient IS NOT NULL THEN
        INSERT INTO outbox (workspace_id, effect_key, conversation_id, channel_id, recipient, ordinal, parts, queue,
                            initiated_by)
            VALUES (p_workspace, p_key, v_conversation, p_channel, p_recipient, v_seq, p_parts, 'bulk', 'proactive');
    END IF;
    RETURN QUERY SELECT v_conversation, v_seq;
END $$;

-- Before any workspace is known: steps that are due, signals that wait, and how long to sleep. `p_now` NULL: this clock.
-- Whoever runs a step locks its enrollment; what is locked is not named here.
CREATE FUNCTION due_steps(p_now timestamptz, p_limit integer) RETURNS TABLE (workspace_id uuid, enrollment_id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.workspace_id, e.id FROM enrollment e
    -- As a value: a clock that is asked for each row cannot bound a look into the index, and all of it would be read.
    WHERE e.state = 'active' AND e.due_at <= (SELECT coalesce(p_now, clock_timestamp()))
    ORDER BY e.due_at, e.id LIMIT p_limit FOR UPDATE SKIP LOCKED
$$;

CREATE FUNCTION seconds_to_next_step(p_now timestamptz, p_most double precision) RETURNS double precision
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT greatest(0, least(p_most, coalesce(extract(epoch FROM
        (SELECT e.due_at FROM enrollment e WHERE e.state = 'active' ORDER BY e.due_at, e.id LIMIT 1)
        - coalesce(p_now, clock_timestamp())), p_most)))
$$;

CREATE FUNCTION waiting_signals(p_limit integer) RETURNS TABLE (workspace_id uuid, signal_id bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.workspace_id, s.id FROM chain_signal s ORDER BY s.id LIMIT p_limit FOR UPDATE SKIP LOCKED
$$;

-- Exactly what the functions above need.
GRANT SELECT, UPDATE ON enrollment TO patchcord_system;
GRANT SELECT, INSERT, UPDATE ON chain_signal TO patchcord_system;
CREATE POLICY of_system ON enrollment TO patchcord_system USING (true) WITH CHECK (true);
CREATE POLICY of_system ON chain_signal TO patchcord_system USING (true) WITH CHECK (true);
GRANT CREATE ON SCHEMA public TO patchcord_system;
ALTER FUNCTION due_steps(timestamptz, integer) OWNER TO patchcord_system;
ALTER FUNCTION seconds_to_next_step(timestamptz, double precision) OWNER TO patchcord_system;
ALTER FUNCTION waiting_signals(integer) OWNER TO patchcord_system;
REVOKE CREATE ON SCHEMA public FROM patchcord_system;
REVOKE ALL ON FUNCTION due_steps(timestamptz, integer), seconds_to_next_step(timestamptz, double precision),
    waiting_signals(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION due_steps(timestamptz, integer), seconds_to_next_step(timestamptz, double precision),
    waiting_signals(integer) TO patchcord_app;
