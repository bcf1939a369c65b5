-- Whose address it is, before any workspace is known.
CREATE FUNCTION find_crm_link(p_public_id text)
RETURNS TABLE (workspace_id uuid, credential_id uuid, connector text, is_signed boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT l.workspace_id, l.credential_id, l.connector, l.is_signed FROM crm_link l WHERE l.public_id = p_public_id
$$;

-- What came at an address, each record once and in order: [{entity, record_id, actions}]. It is read two seconds later, so that
-- what a system says in several requests is looked at together; what is repeated puts nothing off. NULL: no such address.
CREATE FUNCTION hear_crm(p_public_id text, p_hints jsonb) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    l crm_link%ROWTYPE;
    n integer;
BEGIN
    SELECT * INTO l FROM crm_link WHERE public_id = p_public_id;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF l.heard_at IS NULL OR l.heard_at < clock_timestamp() - interval '10 seconds' THEN
        UPDATE crm_link SET heard_at = clock_timestamp() WHERE credential_id = l.credential_id;
    END IF;
    INSERT INTO crm_record AS r (workspace_id, credential_id, entity, record_id, actions, due_at)
        SELECT l.workspace_id, l.credential_id, h ->> 'entity', h ->> 'record_id',
            ARRAY(SELECT jsonb_array_elements_text(h -> 'actions')), clock_timestamp() + interval '2 seconds'
        FROM jsonb_array_elements(p_hints) h
        ON CONFLICT (credential_id, entity, record_id) DO UPDATE SET heard = r.heard + 1, heard_at = clock_timestamp(),
            actions = ARRAY(SELECT DISTINCT a FROM unnest(r.actions || EXCLUDED.actions) a ORDER BY a),
            due_at = coalesce(r.due_at, EXCLUDED.due_at);
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;

-- Records to be read, the longest waiting first. While a restored backup is being looked at, nothing is taken.
CREATE FUNCTION claim_crm_records(p_limit integer, p_seconds integer) RETURNS TABLE (workspace_id uuid, record uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE crm_record SET leased_until = clock_timestamp() + make_interval(secs => p_seconds), attempts = attempts + 1
        WHERE id = ANY (ARRAY(
            SELECT r.id FROM crm_record r
            WHERE r.due_at <= clock_timestamp() AND (r.leased_until IS NULL OR r.leased_until < clock_timestamp())
              AND NOT EXISTS (SELECT FROM restore_guard g WHERE g.state = 'held')
            ORDER BY r.due_at, r.id LIMIT p_limit FOR UPDATE SKIP LOCKED))
        RETURNING crm_record.workspace_id, crm_record.id
$$;

-- Addresses that are due to be looked after: told again, should the system have dropped them. Each is named once in ten minutes.
-- What is older than a day of what we wrote ourselves says nothing any more.
CREATE FUNCTION due_crm_links(p_limit integer) RETURNS TABLE (workspace_id uuid, credential_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    DELETE FROM crm_own_write WHERE id = ANY (ARRAY(
        SELECT o.id FROM crm_own_write o WHERE o.at < clock_timestamp() - interval '1 day' ORDER BY o.at LIMIT 1000));
    RETURN QUERY UPDATE crm_link SET look_at = clock_timestamp() + interval '10 minutes'
        WHERE credential_id = ANY (ARRAY(
            SELECT l.credential_id FROM crm_link l WHERE l.look_at <= clock_timestamp() AND l.state <> 'by_hand'
              AND NOT EXISTS (SELECT FROM restore_guard g WHERE g.state = 'held')
            ORDER BY l.look_at LIMIT p_limit FOR UPDATE SKIP LOCKED))
        RETURNING crm_link.workspace_id, crm_link.credential_id;
END $$;

-- Exactly what the functions above need.
GRANT SELECT, UPDATE ON crm_link TO patchcord_system;
GRANT SELECT, INSERT, UPDATE ON crm_record TO patchcord_system;
GRANT SELECT, DELETE ON crm_own_write TO patchcord_system;
CREATE POLICY of_system ON crm_link TO patchcord_system USING (true) WITH CHECK (true);
CREATE POLICY of_system ON crm_record TO patchcord_system USING (true) WITH CHECK (true);
CREATE POLICY of_system ON crm_own_write TO patchcord_system USING (true) WITH CHECK (true);

-- Flows may wait for a deal to come to a stage: its name or its number is what they ask for.
CREATE OR REPLACE FUNCTION wake_awaiting(p_workspace uuid, p_event text, p_contact uuid, p_data jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE timer t SET due_at = least(t.due_at, clock_timestamp()),
        payload = t.payload || jsonb_build_object('happened', p_data || jsonb_build_object('type', p_event))
        FROM conversation c
        WHERE c.contact_id = p_contact AND c.workspace_id = p_workspace AND NOT c.is_test AND t.conversation_id = c.id
          AND t.awaits = p_event AND t.awaits <> '' AND t.due_at < 'infinity' AND NOT t.payload ? 'happened'
          AND (coalesce(t.payload ->> 'value', '') = ''
               OR CASE WHEN p_event = 'crm.stage_changed'
                    THEN lower(t.payload ->> 'value') IN (lower(p_data ->> 'stage'), p_data ->> 'stage_id')
                    ELSE t.payload ->> 'value' IN (p_data ->> 'tag', p_data ->> 'result', p_data ->> 'name') END);
    IF FOUND THEN
        PERFORM pg_notify('patchcord_timers', '');
    END IF;
END $$;
