-- A conversation that waits for time may go on earlier, when something happens to its contact: the timer names what.
-- `awaits`: name of an event, '' for none; `payload.value`: the tag, result or trigger that it has to name; what happened
-- is put into `payload.happened`, and the timer is due at once. So it is carried out once, by whichever worker is alive.
ALTER TABLE timer ADD COLUMN awaits text NOT NULL DEFAULT '' CHECK (length(awaits) <= 60);
CREATE INDEX timer_awaiting ON timer (workspace_id, awaits) WHERE awaits <> '';

-- Said by an event of the turn that waits, as follow-ups of flows are.
CREATE FUNCTION timer_awaits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE timer SET awaits = NEW.data ->> 'event', payload = payload || jsonb_build_object('value', NEW.data ->> 'value')
        WHERE conversation_id = NEW.conversation_id;
    RETURN NULL;
END $$;
CREATE TRIGGER timers_hear_what_is_awaited AFTER INSERT ON event FOR EACH ROW
    WHEN (NEW.kind = 'event_awaited') EXECUTE FUNCTION timer_awaits();

-- Those of a contact who wait for this go on. A restored backup that is being looked at holds its timers at infinity.
CREATE FUNCTION wake_awaiting(p_workspace uuid, p_event text, p_contact uuid, p_data jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE timer t SET due_at = least(t.due_at, clock_timestamp()),
        payload = t.payload || jsonb_build_object('happened', p_data || jsonb_build_object('type', p_event))
        FROM conversation c
        WHERE c.contact_id = p_contact AND c.workspace_id = p_workspace AND NOT c.is_test AND t.conversation_id = c.id
          AND t.awaits = p_event AND t.awaits <> '' AND t.due_at < 'infinity' AND NOT t.payload ? 'happened'
          AND coalesce(t.payload ->> 'value', '') IN ('', p_data ->> 'tag', p_data ->> 'result', p_data ->> 'name');
    IF FOUND THEN
        PERFORM pg_notify('patchcord_timers', '');
    END IF;
END $$;

CREATE OR REPLACE FUNCTION triggers_listen(p_workspace uuid, p_events text[]) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM agent_trigger t WHERE t.workspace_id = p_workspace AND t.kind = 'event' AND t.is_on
        AND t.event = ANY (p_events))
        OR EXISTS (SELECT FROM timer t WHERE t.workspace_id = p_workspace AND t.awaits = ANY (p_events) AND t.awaits <> '')
$$;

CREATE OR REPLACE FUNCTION hear_triggers(
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
        ON CONFLICT (trigger_id, key) DO NOTHING;
    SELECT wake_awaiting(p_workspace, p_event, p_contact, p_data)
        WHERE EXISTS (SELECT FROM timer t WHERE t.workspace_id = p_workspace AND t.awaits = p_event AND t.awaits <> '');
$$;

-- A trigger of whatever kind fired for the contact: a program's request, a change in a customer system.
CREATE FUNCTION timers_hear_of_a_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM timer t WHERE t.workspace_id = NEW.workspace_id AND t.awaits = 'trigger.fired' AND t.awaits <> '') THEN
        PERFORM wake_awaiting(NEW.workspace_id, 'trigger.fired', NEW.contact_id, NEW.data - 'variables'
            || jsonb_build_object('name', (SELECT a.name FROM agent_trigger a WHERE a.id = NEW.trigger_id)));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER timers_hear_of_a_fired_trigger AFTER UPDATE OF state ON trigger_run FOR EACH ROW
    WHEN (NEW.state = 'fired' AND OLD.state <> 'fired' AND NEW.contact_id IS NOT NULL)
    EXECUTE FUNCTION timers_hear_of_a_trigger();
CREATE TRIGGER timers_hear_of_a_new_fired_trigger AFTER INSERT ON trigger_run FOR EACH ROW
    WHEN (NEW.state = 'fired' AND NEW.contact_id IS NOT NULL) EXECUTE FUNCTION timers_hear_of_a_trigger();

CREATE OR REPLACE FUNCTION fire_timers(p_now timestamptz, p_limit integer)
RETURNS TABLE (workspace_id uuid, conversation_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    t timer%ROWTYPE;
    c conversation%ROWTYPE;
    moment timestamptz := coalesce(p_now, clock_timestamp());
    paused uuid[] := paused_in('timers');
BEGIN
    FOR t IN
        SELECT * FROM timer WHERE due_at <= moment AND workspace_id <> ALL (paused)
        ORDER BY due_at, id LIMIT p_limit FOR UPDATE SKIP LOCKED
    LOOP
        -- A conversation in the middle of a commit keeps its row locked; its timer waits for the next round.
        SELECT * INTO c FROM conversation WHERE id = t.conversation_id FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            CONTINUE;
        END IF;
        DELETE FROM timer WHERE id = t.id;
        IF c.status = 'ended' OR c.turn_seq <> t.turn_seq THEN
            CONTINUE;
        END IF;
        INSERT INTO inbox (workspace_id, source_id, dedupe_key, conversation_id, kind, payload)
            VALUES (c.workspace_id, coalesce(c.channel_id, c.agent_id), 'timer:' || t.id, c.id, 'timer',
                    jsonb_strip_nulls(jsonb_build_object('turn_seq', t.turn_seq, 'due_at', t.due_at,
                                                         'happened', t.payload -> 'happened')));
        UPDATE conversation SET pending_since = coalesce(pending_since, now()) WHERE id = c.id;
        workspace_id := c.workspace_id;
        conversation_id := c.id;
        RETURN NEXT;
    END LOOP;
END $$;

-- New contacts are heard of together: one look for a file's batch.
CREATE FUNCTION triggers_hear_of_new_contacts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_workspace uuid;
    k record;
    v_tag text;
BEGIN
    FOR v_workspace IN SELECT DISTINCT a.workspace_id FROM added a LOOP
        IF triggers_listen(v_workspace, '{contact.created,contact.tag_added}') THEN
            FOR k IN SELECT a.id, a.tags FROM added a WHERE a.workspace_id = v_workspace ORDER BY a.id LOOP
                PERFORM hear_triggers(v_workspace, NULL, 'contact.created', k.id, NULL, k.id::text, '{}');
                FOREACH v_tag IN ARRAY k.tags LOOP
                    PERFORM hear_triggers(v_workspace, NULL, 'contact.tag_added', k.id, NULL,
                        k.id || '/' || clock_timestamp() || '/' || v_tag, jsonb_build_object('tag', v_tag));
                END LOOP;
            END LOOP;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
DROP TRIGGER triggers_hear_of_a_new_contact ON contact;
CREATE TRIGGER triggers_hear_of_new_contacts AFTER INSERT ON contact REFERENCING NEW TABLE AS added FOR EACH STATEMENT
    EXECUTE FUNCTION triggers_hear_of_new_contacts();
