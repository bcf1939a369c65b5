-- PostgreSQL reads the text of each WHEN of a trigger and of each CHECK anew for every statement that could fire or break
-- it: a third of a turn's work in the database (decision 52). What is asked of each row of the tables of a turn is asked in
-- one function per table and kind of write. What the CHECKs refused, these functions refuse.

-- conversation ----------------------------------------------------------------------------------------------------------

ALTER TABLE conversation DROP CONSTRAINT conversation_status_check, DROP CONSTRAINT conversation_waits_check;

CREATE FUNCTION refuse_conversation(c conversation) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a conversation cannot be "%" and wait for "%"', c.status, c.waits USING ERRCODE = 'check_violation';
END $$;

CREATE FUNCTION conversation_begun() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status NOT IN ('open', 'ended', 'quarantined') OR NEW.waits NOT IN ('', 'reply', 'time') THEN
        PERFORM refuse_conversation(NEW);
    END IF;
    IF NEW.is_test THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM event_subscription s WHERE s.workspace_id = NEW.workspace_id AND s.is_on)
        AND 'conversation.started' = ANY (wanted_events(NEW.workspace_id, NEW.agent_id)) THEN
        PERFORM tell_event(NEW.workspace_id, NEW.agent_id, NEW.id, 'conversation.started',
            event_data(NEW) || jsonb_build_object('contact', event_contact(NEW.contact_id)));
    END IF;
    IF NEW.status <> 'ended' AND triggers_listen(NEW.workspace_id, '{conversation.started}') THEN
        PERFORM hear_triggers(NEW.workspace_id, NEW.agent_id, 'conversation.started', NEW.contact_id, NEW.id, NEW.id::text,
            event_data(NEW));
    END IF;
    RETURN NULL;
END $$;

DROP TRIGGER conversation_started ON conversation;
DROP TRIGGER triggers_hear_a_start ON conversation;
DROP FUNCTION conversation_started();
DROP FUNCTION triggers_hear_a_start();
CREATE TRIGGER conversation_begun AFTER INSERT ON conversation FOR EACH ROW EXECUTE FUNCTION conversation_begun();

-- What an end means to those who listen: chains, messages that wait for approval, subscriptions, triggers.
CREATE FUNCTION conversation_over(o conversation, c conversation, is_told boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    data jsonb;
BEGIN
    IF NOT c.is_test AND is_in_a_chain(c.contact_id) THEN
        PERFORM signal_chains(c.workspace_id, c.contact_id, 'look', '{}');
    END IF;
    IF c.holds AND c.turn_seq = o.turn_seq THEN
        PERFORM withdraw_held(c.id, 'ended', NULL);
    END IF;
    IF c.is_test THEN
        RETURN;
    END IF;
    IF is_told THEN
        PERFORM tell_event(c.workspace_id, c.agent_id, c.id, 'conversation.ended', event_data(c)
            || jsonb_build_object('result', c.result, 'turns', c.turn_seq,
                'ended_by', CASE WHEN c.turn_seq <> o.turn_seq THEN 'flow' ELSE 'member' END));
    END IF;
    IF triggers_listen(c.workspace_id, '{conversation.ended,flow.finished}') THEN
        data := event_data(c) || jsonb_build_object('result', c.result, 'goal_value', c.goal_value, 'tags', to_jsonb(c.tags));
        -- A conversation can begin again and end again.
        PERFORM hear_triggers(c.workspace_id, c.agent_id, 'conversation.ended', c.contact_id, c.id,
            c.id || '/' || c.turn_seq, data);
        IF c.turn_seq <> o.turn_seq THEN
            PERFORM hear_triggers(c.workspace_id, c.agent_id, 'flow.finished', c.contact_id, c.id,
                c.id || '/' || c.turn_seq, data);
        END IF;
    END IF;
END $$;

-- What a turn means to the rules that look at it.
CREATE FUNCTION turn_to_check(c conversation) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_inbox uuid;
    v_first integer;
    v_last integer;
BEGIN
    SELECT t.inbox_id INTO v_inbox FROM turn t WHERE t.conversation_id = c.id AND t.seq = c.turn_seq;
    SELECT min(m.seq), max(m.seq) INTO v_first, v_last FROM message m
        WHERE m.conversation_id = c.id AND m.role = 'contact' AND m.text <> '' AND m.turn_id IN (
            SELECT i.id FROM inbox i WHERE i.conversation_id = c.id AND v_inbox IN (i.id, i.merged_into));
    IF v_last IS NOT NULL THEN
        PERFORM put_aside_to_check(c, v_inbox, v_first, v_last);
    END IF;
END $$;

CREATE FUNCTION conversation_moved() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_turn boolean := NEW.turn_seq <> OLD.turn_seq;
    is_over boolean := NEW.status = 'ended' AND OLD.status <> 'ended';
    has_subscriptions boolean := false;
    has_rules boolean := false;
    wanted text[];
BEGIN
    IF NEW.status NOT IN ('open', 'ended', 'quarantined') OR NEW.waits NOT IN ('', 'reply', 'time') THEN
        PERFORM refuse_conversation(NEW);
    END IF;
    IF NOT (is_turn OR is_over) OR NEW.is_test AND NOT is_over THEN
        RETURN NULL;
    END IF;
    IF NOT NEW.is_test THEN
        -- Nearly every turn is of interest to nobody.
        SELECT EXISTS (SELECT FROM event_subscription s WHERE s.workspace_id = NEW.workspace_id AND s.is_on),
               is_turn AND EXISTS (SELECT FROM update_rule r WHERE r.agent_id = NEW.agent_id AND r.is_on)
            INTO has_subscriptions, has_rules;
    END IF;
    IF has_subscriptions THEN
        wanted := wanted_events(NEW.workspace_id, NEW.agent_id);
        IF is_turn THEN
            PERFORM tell_turn(OLD, NEW, wanted);
        END IF;
    END IF;
    IF is_over THEN
        PERFORM conversation_over(OLD, NEW, coalesce('conversation.ended' = ANY (wanted), false));
    END IF;
    IF has_rules THEN
        PERFORM turn_to_check(NEW);
    END IF;
    RETURN NULL;
END $$;

DROP TRIGGER conversation_went_on ON conversation;
DROP TRIGGER chains_hear_a_result ON conversation;
DROP TRIGGER triggers_hear_an_end ON conversation;
DROP TRIGGER update_rules_hear_a_turn ON conversation;
DROP TRIGGER conversation_ended_with_held ON conversation;
DROP FUNCTION conversation_went_on();
DROP FUNCTION conversation_had_result();
DROP FUNCTION triggers_hear_an_end();
DROP FUNCTION update_rules_hear_a_turn();
DROP FUNCTION held_is_over();
CREATE TRIGGER conversation_moved AFTER UPDATE OF status, waits, turn_seq ON conversation
    FOR EACH ROW EXECUTE FUNCTION conversation_moved();

CREATE OR REPLACE FUNCTION hand_off_follows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    h hand_off%ROWTYPE;
BEGIN
    IF NEW.hand_off_id IS NULL OR OLD.hand_off_id IS NULL OR NEW.status <> 'ended' AND NEW.turn_seq = OLD.turn_seq THEN
        RETURN NEW;
    END IF;
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
DROP TRIGGER hand_off_follows ON conversation;
CREATE TRIGGER hand_off_follows BEFORE UPDATE OF status, turn_seq ON conversation
    FOR EACH ROW EXECUTE FUNCTION hand_off_follows();

-- inbox -----------------------------------------------------------------------------------------------------------------

ALTER TABLE inbox DROP CONSTRAINT inbox_kind_check, DROP CONSTRAINT inbox_state_check, DROP CONSTRAINT inbox_dedupe_key_check;

CREATE FUNCTION refuse_trigger(i inbox) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a trigger cannot be "%" and "%", nor have a key of % characters', i.kind, i.state, length(i.dedupe_key)
        USING ERRCODE = 'check_violation';
END $$;

-- A person has the conversation: what the contact writes meanwhile starts no turn, but rules look at it.
CREATE FUNCTION held_to_check(i inbox) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c conversation%ROWTYPE;
BEGIN
    SELECT * INTO c FROM conversation WHERE id = i.conversation_id;
    IF NOT c.is_test AND EXISTS (SELECT FROM update_rule r WHERE r.agent_id = c.agent_id AND r.is_on) THEN
        PERFORM put_aside_to_check(c, i.id, i.seq, i.seq);
    END IF;
END $$;

CREATE FUNCTION bury_trigger(i inbox) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO dead_letter (workspace_id, source, ref, conversation_id, agent_id, channel_id, channel_kind, reason,
                             attempts, first_at, last_at)
        SELECT i.workspace_id, 'inbox', i.id, c.id, c.agent_id, c.channel_id, c.channel_kind, 'too_many_attempts',
               greatest(i.attempts - 1, 0), coalesce(i.first_run_at, i.received_at), clock_timestamp()
        FROM conversation c WHERE c.id = i.conversation_id
        ON CONFLICT (source, ref) WHERE resolved_at IS NULL DO NOTHING;
END $$;

CREATE FUNCTION trigger_came() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.kind NOT IN ('start', 'message', 'timer', 'restart', 'hand_off')
        OR NEW.state NOT IN ('held', 'pending', 'done', 'dead') OR length(NEW.dedupe_key) > 500 THEN
        PERFORM refuse_trigger(NEW);
    END IF;
    IF NEW.state = 'done' AND NEW.kind = 'message' AND NEW.payload ? 'held' THEN
        PERFORM held_to_check(NEW);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION trigger_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = OLD.state THEN
        RETURN NULL;
    END IF;
    IF NEW.state NOT IN ('held', 'pending', 'done', 'dead') THEN
        PERFORM refuse_trigger(NEW);
    END IF;
    IF NEW.state = 'dead' THEN
        PERFORM bury_trigger(NEW);
    ELSIF NEW.state = 'done' AND OLD.state = 'pending' AND NEW.kind = 'message' AND NEW.payload ? 'held' THEN
        PERFORM held_to_check(NEW);
    END IF;
    RETURN NULL;
END $$;

DROP TRIGGER inbox_dead ON inbox;
DROP TRIGGER update_rules_hear_the_held ON inbox;
DROP TRIGGER update_rules_hear_the_overtaken ON inbox;
DROP FUNCTION bury_trigger();
DROP FUNCTION update_rules_hear_the_held();
CREATE TRIGGER trigger_came AFTER INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION trigger_came();
CREATE TRIGGER trigger_moved AFTER UPDATE OF state ON inbox FOR EACH ROW EXECUTE FUNCTION trigger_moved();

-- message ---------------------------------------------------------------------------------------------------------------

ALTER TABLE message DROP CONSTRAINT message_role_check;

DROP TRIGGER chains_hear_a_reply ON message;
DROP FUNCTION contact_wrote();
CREATE FUNCTION message_said() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_contact uuid;
BEGIN
    IF NEW.role = 'agent' THEN
        RETURN NULL;
    END IF;
    IF NEW.role NOT IN ('contact', 'member', 'system') THEN
        RAISE EXCEPTION 'nobody is a "%"', NEW.role USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.role = 'contact' THEN
        SELECT c.contact_id INTO v_contact FROM conversation c JOIN enrollment e ON e.contact_id = c.contact_id
            WHERE c.id = NEW.conversation_id AND NOT c.is_test AND e.state IN ('active', 'paused') LIMIT 1;
        IF FOUND THEN
            PERFORM signal_chains(NEW.workspace_id, v_contact, 'look', '{}');
        END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER message_said AFTER INSERT ON message FOR EACH ROW EXECUTE FUNCTION message_said();

-- event -----------------------------------------------------------------------------------------------------------------

CREATE FUNCTION question_unanswered(e event) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    searched jsonb := e.data;
BEGIN
    IF e.kind = 'sources_cited' THEN
        SELECT x.data INTO searched FROM event x
            WHERE x.conversation_id = e.conversation_id AND x.turn_id = e.turn_id AND x.kind = 'knowledge_searched'
              AND x.node_id = e.node_id ORDER BY x.id DESC LIMIT 1;
    END IF;
    IF searched IS NOT NULL AND jsonb_array_length(searched -> 'terms') > 0 THEN
        INSERT INTO knowledge_asking (workspace_id, conversation_id, turn_id, node_id, agent_id, reason, bases, text, language,
                                      terms, best, asked_at)
            SELECT e.workspace_id, c.id, e.turn_id, e.node_id, c.agent_id,
                CASE e.kind WHEN 'sources_cited' THEN 'uncited' ELSE 'not_found' END,
                ARRAY(SELECT jsonb_array_elements_text(searched -> 'bases')::uuid), left(searched ->> 'query', 500), c.language,
                ARRAY(SELECT jsonb_array_elements_text(searched -> 'terms')), (searched ->> 'best')::real, e.at
            FROM conversation c WHERE c.id = e.conversation_id AND NOT c.is_test
            ON CONFLICT (conversation_id, turn_id, node_id) DO NOTHING;
    END IF;
END $$;

CREATE FUNCTION event_told() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_contact uuid;
BEGIN
    IF NEW.kind = 'chain_asked' THEN
        SELECT c.contact_id INTO v_contact FROM conversation c WHERE c.id = NEW.conversation_id AND NOT c.is_test;
        IF FOUND THEN
            PERFORM signal_chains(NEW.workspace_id, v_contact,
                CASE WHEN (NEW.data ->> 'leaves')::boolean THEN 'leave' ELSE 'enroll' END, NEW.data);
        END IF;
    ELSIF NEW.kind IN ('knowledge_searched', 'sources_cited') THEN
        IF NEW.data -> 'documents' = '[]' THEN
            PERFORM question_unanswered(NEW);
        END IF;
    ELSIF NEW.kind = 'event_awaited' THEN
        UPDATE timer SET awaits = NEW.data ->> 'event', payload = payload || jsonb_build_object('value', NEW.data ->> 'value')
            WHERE conversation_id = NEW.conversation_id;
    END IF;
    RETURN NULL;
END $$;

DROP TRIGGER chains_hear_a_flow ON event;
DROP TRIGGER knowledge_hears_of_questions ON event;
DROP TRIGGER timers_hear_what_is_awaited ON event;
DROP FUNCTION flow_asked_for_a_chain();
DROP FUNCTION knowledge_had_no_answer();
DROP FUNCTION timer_awaits();
CREATE TRIGGER event_told AFTER INSERT ON event FOR EACH ROW EXECUTE FUNCTION event_told();

-- how a message comes in ------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION accept_trigger(p_workspace uuid, p_conversation uuid, p_dedupe text, p_kind text, p_payload jsonb, p_parts jsonb, p_text text, p_client text, p_external text, p_source uuid, p_owner bigint, p_seconds integer)
 RETURNS TABLE(inbox_id uuid, seq integer, is_new boolean, status text, at timestamp with time zone, must_lease boolean, leased leased_turn)
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
        UPDATE conversation SET status = c.status, result = c.result, ended_at = c.ended_at, hand_off_id = c.hand_off_id
            WHERE id = c.id;
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
    -- Neither where it stands nor its turns, which others listen to.
    UPDATE conversation SET message_seq = c.message_seq, preview = c.preview,
        pending_since = CASE WHEN is_held THEN pending_since ELSE coalesce(pending_since, now()) END,
        updated_at = CASE WHEN is_held THEN now() ELSE updated_at END,
        lease_owner = CASE WHEN is_first THEN p_owner ELSE lease_owner END,
        lease_epoch = lease_epoch + is_first::integer,
        lease_until = CASE WHEN is_first THEN clock_timestamp() + make_interval(secs => p_seconds) ELSE lease_until END
        WHERE id = c.id;
    RETURN QUERY SELECT i.id, c.message_seq, true, old_status, now(), free AND NOT is_first,
        CASE WHEN is_first THEN turn_start(c, i) END;
END $$;
