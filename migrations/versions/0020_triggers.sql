-- What happens becomes occasions of the triggers that listen for it, in the transaction in which it happens. A workspace
-- without such triggers pays one look into an index. Nothing is announced: a NOTIFY makes commits wait for each other,
-- and workers look every second.

-- Depth: 0 for what people do, one more than the trigger's own for what a trigger does and for what comes of the
-- conversation that it began.
CREATE FUNCTION hear_triggers(
    p_workspace uuid, p_agent uuid, p_event text, p_contact uuid, p_conversation uuid, p_key text, p_data jsonb
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO trigger_run (workspace_id, trigger_id, key, source, contact_id, cause_id, data, depth)
        SELECT p_workspace, t.id, left(p_event || ':' || p_key, 300), 'event', p_contact, p_conversation,
            p_data || jsonb_build_object('type', p_event), coalesce(
                nullif(current_setting('app.trigger_depth', true), '')::smallint,
                (SELECT max(r.depth) + 1 FROM trigger_run r WHERE r.conversation_id = p_conversation), 0)
        FROM agent_trigger t
        WHERE t.workspace_id = p_workspace AND t.is_on AND t.kind = 'event' AND t.event = p_event
          AND (p_agent IS NULL OR t.agent_id = p_agent)
        ON CONFLICT (trigger_id, key) DO NOTHING
$$;

CREATE FUNCTION triggers_listen(p_workspace uuid, p_events text[]) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM agent_trigger t WHERE t.workspace_id = p_workspace AND t.kind = 'event' AND t.is_on
        AND t.event = ANY (p_events))
$$;

CREATE FUNCTION triggers_hear_a_start() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF triggers_listen(NEW.workspace_id, '{conversation.started}') THEN
        PERFORM hear_triggers(NEW.workspace_id, NEW.agent_id, 'conversation.started', NEW.contact_id, NEW.id, NEW.id::text,
            event_data(NEW));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER triggers_hear_a_start AFTER INSERT ON conversation FOR EACH ROW
    WHEN (NOT NEW.is_test AND NEW.status <> 'ended') EXECUTE FUNCTION triggers_hear_a_start();

CREATE FUNCTION triggers_hear_an_end() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    data jsonb;
BEGIN
    IF NOT triggers_listen(NEW.workspace_id, '{conversation.ended,flow.finished}') THEN
        RETURN NULL;
    END IF;
    data := event_data(NEW) || jsonb_build_object('result', NEW.result, 'goal_value', NEW.goal_value, 'tags', to_jsonb(NEW.tags));
    -- A conversation can begin again and end again.
    PERFORM hear_triggers(NEW.workspace_id, NEW.agent_id, 'conversation.ended', NEW.contact_id, NEW.id,
        NEW.id || '/' || NEW.turn_seq, data);
    IF NEW.turn_seq <> OLD.turn_seq THEN
        PERFORM hear_triggers(NEW.workspace_id, NEW.agent_id, 'flow.finished', NEW.contact_id, NEW.id,
            NEW.id || '/' || NEW.turn_seq, data);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER triggers_hear_an_end AFTER UPDATE OF status ON conversation FOR EACH ROW
    WHEN (NOT NEW.is_test AND NEW.status = 'ended' AND OLD.status <> 'ended') EXECUTE FUNCTION triggers_hear_an_end();

CREATE FUNCTION triggers_hear_of_the_undelivered() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    c conversation%ROWTYPE;
BEGIN
    IF triggers_listen(NEW.workspace_id, '{message.undeliverable}') THEN
        SELECT * INTO c FROM conversation WHERE id = NEW.conversation_id;
        IF NOT c.is_test THEN
            PERFORM hear_triggers(c.workspace_id, c.agent_id, 'message.undeliverable', c.contact_id, c.id, NEW.id::text,
                event_data(c) || jsonb_build_object('reason', NEW.reason, 'error', NEW.error));
        END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER triggers_hear_of_the_undelivered AFTER INSERT ON dead_letter FOR EACH ROW
    WHEN (NEW.source = 'outbox') EXECUTE FUNCTION triggers_hear_of_the_undelivered();

CREATE FUNCTION triggers_hear_of_a_contact() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_tag text;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.merged_into IS NOT NULL AND OLD.merged_into IS NULL THEN
        UPDATE trigger_run SET contact_id = NEW.merged_into WHERE contact_id = NEW.id;
        UPDATE trigger_note SET contact_id = NEW.merged_into WHERE contact_id = NEW.id;
        RETURN NULL;
    END IF;
    IF NOT triggers_listen(NEW.workspace_id, '{contact.created,contact.tag_added,contact.opted_out}') THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
        PERFORM hear_triggers(NEW.workspace_id, NULL, 'contact.created', NEW.id, NULL, NEW.id::text, '{}');
    ELSIF NEW.opted_out_at IS NOT NULL AND OLD.opted_out_at IS NULL THEN
        PERFORM hear_triggers(NEW.workspace_id, NULL, 'contact.opted_out', NEW.id, NULL,
            NEW.id || '/' || NEW.opted_out_at, '{}');
    END IF;
    FOR v_tag IN SELECT t FROM unnest(NEW.tags) t WHERE TG_OP = 'INSERT' OR NOT t = ANY (OLD.tags) LOOP
        PERFORM hear_triggers(NEW.workspace_id, NULL, 'contact.tag_added', NEW.id, NULL,
            NEW.id || '/' || clock_timestamp() || '/' || v_tag, jsonb_build_object('tag', v_tag));
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER triggers_hear_of_a_new_contact AFTER INSERT ON contact FOR EACH ROW EXECUTE FUNCTION triggers_hear_of_a_contact();
CREATE TRIGGER triggers_hear_of_a_contact AFTER UPDATE OF tags, opted_out_at, merged_into ON contact FOR EACH ROW
    WHEN (NEW.tags <> OLD.tags OR NEW.opted_out_at IS DISTINCT FROM OLD.opted_out_at
          OR NEW.merged_into IS DISTINCT FROM OLD.merged_into)
    EXECUTE FUNCTION triggers_hear_of_a_contact();

CREATE FUNCTION triggers_hear_a_hand_off() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    c conversation%ROWTYPE;
BEGIN
    IF triggers_listen(NEW.workspace_id, '{conversation.handed_off}') THEN
        SELECT * INTO c FROM conversation WHERE id = NEW.conversation_id;
        IF NOT c.is_test THEN
            PERFORM hear_triggers(c.workspace_id, c.agent_id, 'conversation.handed_off', c.contact_id, c.id, NEW.id::text,
                event_data(c) || jsonb_build_object('hand_off_id', NEW.id, 'summary', to_jsonb(NEW) -> 'summary'));
        END IF;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION triggers_hear_the_end_of_a_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF triggers_listen(NEW.workspace_id, '{chain.finished}') THEN
        PERFORM hear_triggers(NEW.workspace_id, NULL, 'chain.finished', NEW.contact_id, NULL, NEW.id::text,
            jsonb_build_object('chain_id', NEW.chain_id, 'enrollment_id', NEW.id));
    END IF;
    RETURN NULL;
END $$;

DO $$
BEGIN
    IF to_regclass('public.hand_off') IS NOT NULL THEN
        CREATE TRIGGER triggers_hear_a_hand_off AFTER INSERT ON hand_off FOR EACH ROW
            EXECUTE FUNCTION triggers_hear_a_hand_off();
    END IF;
    IF to_regclass('public.enrollment') IS NOT NULL THEN
        CREATE TRIGGER triggers_hear_the_end_of_a_chain AFTER UPDATE OF state ON enrollment FOR EACH ROW
            WHEN (NEW.state = 'done' AND OLD.state <> 'done') EXECUTE FUNCTION triggers_hear_the_end_of_a_chain();
    END IF;
END $$;

-- Before any workspace is known. `p_now` NULL: this clock. Whoever works on a row locks it; what is locked is not named.
-- While a restored backup is being looked at, nothing fires.
CREATE FUNCTION due_ticks(p_now timestamptz, p_limit integer) RETURNS TABLE (workspace_id uuid, trigger_id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT k.workspace_id, k.trigger_id FROM trigger_tick k WHERE k.due_at <= coalesce(p_now, clock_timestamp())
        AND NOT EXISTS (SELECT FROM restore_guard g WHERE g.state = 'held')
    ORDER BY k.due_at, k.trigger_id LIMIT p_limit FOR UPDATE SKIP LOCKED
$$;

CREATE FUNCTION waiting_runs(p_now timestamptz, p_limit integer) RETURNS TABLE (workspace_id uuid, run_id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.workspace_id, r.id FROM trigger_run r
    WHERE r.state = 'waiting' AND r.next_at <= coalesce(p_now, clock_timestamp())
        AND NOT EXISTS (SELECT FROM restore_guard g WHERE g.state = 'held')
    ORDER BY r.next_at, r.id LIMIT p_limit FOR UPDATE SKIP LOCKED
$$;

CREATE FUNCTION seconds_to_next_trigger(p_now timestamptz, p_most double precision) RETURNS double precision
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT greatest(0, least(p_most, coalesce(extract(epoch FROM
        (SELECT k.due_at FROM trigger_tick k ORDER BY k.due_at, k.trigger_id LIMIT 1) - coalesce(p_now, clock_timestamp())),
        p_most)))
$$;

CREATE FUNCTION find_trigger(p_public_id text) RETURNS TABLE (workspace_id uuid, trigger_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.workspace_id, t.id FROM agent_trigger t WHERE t.public_id = p_public_id
$$;

-- Exactly what the functions above need.
GRANT SELECT ON agent_trigger TO patchcord_system;
GRANT SELECT, UPDATE ON trigger_tick TO patchcord_system;
GRANT SELECT, INSERT, UPDATE ON trigger_run TO patchcord_system;
CREATE POLICY of_system ON agent_trigger TO patchcord_system USING (true);
CREATE POLICY of_system ON trigger_tick TO patchcord_system USING (true) WITH CHECK (true);
CREATE POLICY of_system ON trigger_run TO patchcord_system USING (true) WITH CHECK (true);
