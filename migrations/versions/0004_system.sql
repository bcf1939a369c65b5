-- What a sender asks before it knows any workspace.

CREATE TYPE claimed_delivery AS (
    id uuid, workspace_id uuid, conversation_id uuid, channel_id uuid, connector text, channel_revision integer,
    recipient text, ordinal integer, parts jsonb, vendor_key text, attempt integer, claim_epoch integer, at timestamptz,
    first_send_at timestamptz, unknown_since timestamptz, possibly_duplicate boolean, done_parts integer, at_most_once boolean
);

-- Take messages that are due and mark them as being sent: of each recipient only the first that is not finished.
-- `p_each`: at most so many of one channel, so that a slow receiver does not take every place.
-- `p_except`: channels that this process leaves alone for now.
CREATE FUNCTION claim_deliveries(p_owner bigint, p_queue text, p_limit integer, p_each integer, p_except uuid[])
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

-- Messages that a dead process, or one that took longer than `p_seconds`, left being sent: nobody knows how it ended.
CREATE FUNCTION recover_deliveries(p_owner bigint, p_seconds integer, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    o outbox%ROWTYPE;
    n integer := 0;
BEGIN
    FOR o IN
        SELECT * FROM outbox x WHERE x.state = 'sending'
          AND (x.send_started_at < clock_timestamp() - make_interval(secs => p_seconds)
               OR x.owner IS NULL OR x.owner <> p_owner AND pg_try_advisory_xact_lock(x.owner))
        ORDER BY x.send_started_at LIMIT p_limit FOR UPDATE SKIP LOCKED
    LOOP
        IF o.evidence_id <> '' THEN
            PERFORM mark_sent(o, o.evidence_id, false);
        ELSE
            UPDATE outbox SET state = 'pending', owner = NULL, unknown_since = o.send_started_at,
                claim_epoch = claim_epoch + 1, next_attempt_at = clock_timestamp(), error_class = 'outcome_unknown'
                WHERE id = o.id;
        END IF;
        n := n + 1;
    END LOOP;
    RETURN n;
END $$;

-- Give up what could not be delivered in time; (workspace, conversation) of each.
CREATE FUNCTION expire_deliveries(p_limit integer) RETURNS TABLE (workspace_id uuid, conversation_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    o outbox%ROWTYPE;
BEGIN
    FOR o IN
        SELECT * FROM outbox x WHERE x.state = 'pending' AND x.expires_at <= clock_timestamp()
        ORDER BY x.expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED
    LOOP
        PERFORM give_up(o, 'failed', 'expired', o.error);
        workspace_id := o.workspace_id;
        conversation_id := o.conversation_id;
        RETURN NEXT;
    END LOOP;
END $$;

-- Figures for the process's metrics: how old the oldest waiting message is, and how many letters are open.
CREATE FUNCTION delivery_figures() RETURNS TABLE (oldest_seconds double precision, open_letters bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce((SELECT extract(epoch FROM clock_timestamp() - min(next_attempt_at)) FROM outbox
                     WHERE state = 'pending' AND next_attempt_at <= clock_timestamp()), 0)::float8,
           (SELECT count(*) FROM dead_letter WHERE resolved_at IS NULL)
$$;

-- Exactly what the functions above need.
GRANT SELECT, UPDATE ON outbox, message TO patchcord_system;
GRANT SELECT ON channel TO patchcord_system;
GRANT SELECT, INSERT ON dead_letter TO patchcord_system;
