-- Contacts of a file may be put into a chain as they come in. `enrolled`: how many were.
ALTER TABLE contact_import ADD COLUMN chain_id uuid, ADD COLUMN enrolled integer NOT NULL DEFAULT 0;

-- Enrollments that are over go with their log when events go.
CREATE INDEX enrollment_ended ON enrollment (workspace_id, ended_at) WHERE ended_at IS NOT NULL;

-- Kinds of work that somebody has stopped in a workspace. What waits goes on waiting.
CREATE TABLE work_pause (
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    line text NOT NULL CHECK (line IN ('outbox', 'bulk', 'integrations', 'ingest', 'timers')),
    actor text NOT NULL DEFAULT '' CHECK (length(actor) <= 100),
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, line)
);
ALTER TABLE work_pause ENABLE ROW LEVEL SECURITY;
ALTER TABLE work_pause FORCE ROW LEVEL SECURITY;
CREATE POLICY of_workspace ON work_pause
    USING (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid)
    WITH CHECK (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid);
GRANT SELECT, INSERT, DELETE ON work_pause TO patchcord_app;
GRANT SELECT ON work_pause TO patchcord_system;
CREATE POLICY of_system ON work_pause TO patchcord_system USING (true);

-- Workspaces in which a kind of work is stopped; as one value, so that it is asked for once in a look.
CREATE FUNCTION paused_in(p_line text) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(w.workspace_id), '{}') FROM work_pause w WHERE w.line = p_line
$$;

-- The looks for work as they were, but not into what is stopped ------------------------------------------------------------

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
            AND NOT EXISTS (SELECT FROM work_pause w WHERE w.workspace_id = c.workspace_id
                AND w.line = CASE p_queue WHEN 'bulk' THEN 'bulk' ELSE 'outbox' END)
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

CREATE OR REPLACE FUNCTION claim_events(p_owner bigint, p_limit integer, p_each integer, p_except uuid[]) RETURNS SETOF claimed_event
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH RECURSIVE busy AS (
        (SELECT subscription_id FROM event_delivery WHERE state = 'pending' ORDER BY subscription_id LIMIT 1)
        UNION ALL
        SELECT (SELECT d.subscription_id FROM event_delivery d WHERE d.state = 'pending'
                AND d.subscription_id > b.subscription_id ORDER BY d.subscription_id LIMIT 1)
        FROM busy b WHERE b.subscription_id IS NOT NULL
    ), due AS (
        SELECT x.id FROM busy b
        JOIN event_subscription s ON s.id = b.subscription_id AND s.is_on AND NOT s.id = ANY (p_except)
            AND (s.paused_until IS NULL OR s.paused_until <= clock_timestamp())
            AND NOT EXISTS (SELECT FROM work_pause w WHERE w.workspace_id = s.workspace_id AND w.line = 'integrations')
        CROSS JOIN LATERAL (
            SELECT d.id FROM event_delivery d
            WHERE d.state = 'pending' AND d.subscription_id = s.id
              AND d.next_attempt_at <= clock_timestamp() AND d.expires_at > clock_timestamp()
              -- As a value, so that it is one look into the index and never a join of everything.
              AND d.place <= (SELECT e.place FROM event_delivery e WHERE e.subscription_id = d.subscription_id
                  AND e.line = d.line AND e.state IN ('pending', 'sending') AND (e.attempt < 5 OR e.place = d.place)
                  ORDER BY e.place LIMIT 1)
            ORDER BY d.next_attempt_at, d.place LIMIT p_each
            FOR UPDATE OF d SKIP LOCKED
        ) x
        LIMIT p_limit
    )
    UPDATE event_delivery d SET state = 'sending', owner = p_owner, claim_epoch = d.claim_epoch + 1,
        attempt = d.attempt + 1, send_started_at = clock_timestamp()
    FROM due, event_subscription s WHERE d.id = due.id AND s.id = d.subscription_id
    RETURNING d.id, d.workspace_id, d.subscription_id, s.revision, d.event_id, d.type, d.payload, d.attempt,
        d.claim_epoch, d.send_started_at
$$;

CREATE OR REPLACE FUNCTION claim_document(p_owner bigint, p_seconds integer)
RETURNS TABLE (workspace_id uuid, document_id uuid, claim bigint, attempts integer)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH waiting AS (
        SELECT w.id, w.queued_at AS due FROM knowledge_document w
        WHERE w.state IN ('waiting', 'reading', 'embedding')
          AND (w.state = 'waiting' OR w.lease_until < clock_timestamp())
          AND w.workspace_id <> ALL ((SELECT paused_in('ingest'))::uuid[])
        ORDER BY w.queued_at LIMIT 1 FOR UPDATE SKIP LOCKED
    ), again AS (
        SELECT w.id, w.next_read_at AS due FROM knowledge_document w
        WHERE w.next_read_at <= clock_timestamp() AND w.state IN ('ready', 'failed')
          AND w.workspace_id <> ALL ((SELECT paused_in('ingest'))::uuid[])
        ORDER BY w.next_read_at LIMIT 1 FOR UPDATE SKIP LOCKED
    ), next AS (
        SELECT n.id FROM (SELECT * FROM waiting UNION ALL SELECT * FROM again) n ORDER BY n.due LIMIT 1
    )
    UPDATE knowledge_document d SET
        attempts = CASE WHEN d.state IN ('waiting', 'ready', 'failed') THEN 1 ELSE d.attempts + 1 END,
        state = CASE WHEN d.state = 'embedding' THEN d.state ELSE 'reading' END,
        claim = d.claim + 1, owner = p_owner, lease_until = clock_timestamp() + make_interval(secs => p_seconds),
        next_read_at = NULL
    FROM next WHERE d.id = next.id
    RETURNING d.workspace_id, d.id, d.claim, d.attempts
$$;

CREATE OR REPLACE FUNCTION claim_contact_import(p_seconds integer) RETURNS TABLE (workspace_id uuid, import_id uuid, attempts integer)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE contact_import SET leased_until = clock_timestamp() + make_interval(secs => p_seconds), attempts = attempts + 1
        WHERE id = (SELECT i.id FROM contact_import i WHERE i.state = 'waiting'
                      AND (i.leased_until IS NULL OR i.leased_until < clock_timestamp())
                      AND i.workspace_id <> ALL ((SELECT paused_in('ingest'))::uuid[])
                    ORDER BY i.id LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING contact_import.workspace_id, contact_import.id, contact_import.attempts
$$;

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
                    jsonb_build_object('turn_seq', t.turn_seq, 'due_at', t.due_at));
        UPDATE conversation SET pending_since = coalesce(pending_since, now()) WHERE id = c.id;
        workspace_id := c.workspace_id;
        conversation_id := c.id;
        RETURN NEXT;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION seconds_to_next_timer(p_now timestamptz, p_most double precision) RETURNS double precision
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT greatest(0, least(p_most, coalesce(extract(epoch FROM
        (SELECT t.due_at FROM timer t WHERE t.workspace_id <> ALL ((SELECT paused_in('timers'))::uuid[])
         ORDER BY t.due_at, t.id LIMIT 1) - coalesce(p_now, clock_timestamp())), p_most)))
$$;

CREATE OR REPLACE FUNCTION due_steps(p_now timestamptz, p_limit integer) RETURNS TABLE (workspace_id uuid, enrollment_id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.workspace_id, e.id FROM enrollment e
    -- As a value: a clock that is asked for each row cannot bound a look into the index, and all of it would be read.
    WHERE e.state = 'active' AND e.due_at <= (SELECT coalesce(p_now, clock_timestamp()))
      AND e.workspace_id <> ALL ((SELECT paused_in('timers'))::uuid[])
    ORDER BY e.due_at, e.id LIMIT p_limit FOR UPDATE SKIP LOCKED
$$;

CREATE OR REPLACE FUNCTION seconds_to_next_step(p_now timestamptz, p_most double precision) RETURNS double precision
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT greatest(0, least(p_most, coalesce(extract(epoch FROM
        (SELECT e.due_at FROM enrollment e WHERE e.state = 'active'
         AND e.workspace_id <> ALL ((SELECT paused_in('timers'))::uuid[]) ORDER BY e.due_at, e.id LIMIT 1)
        - coalesce(p_now, clock_timestamp())), p_most)))
$$;
