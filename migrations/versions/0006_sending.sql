-- How events leave: claiming before a workspace is known, and what an attempt writes about its own workspace.

CREATE TYPE claimed_event AS (
    id uuid, workspace_id uuid, subscription_id uuid, subscription_revision integer, event_id uuid, type text,
    payload jsonb, attempt integer, claim_epoch integer, at timestamptz
);

-- Take events that are due and mark them as being sent. Of a line only the first that is not finished, until that one
-- has failed `5` times: what is refused for long no longer holds back what came after it.
-- `p_each`: at most so many of one subscription. `p_except`: subscriptions that this process leaves alone for now.
CREATE FUNCTION claim_events(p_owner bigint, p_limit integer, p_each integer, p_except uuid[]) RETURNS SETOF claimed_event
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

-- Events that a dead process, or one that took longer than `p_seconds`, left being sent: they go again under their id.
CREATE FUNCTION recover_events(p_owner bigint, p_seconds integer, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    n integer;
BEGIN
    UPDATE event_delivery SET state = 'pending', owner = NULL, claim_epoch = claim_epoch + 1,
        next_attempt_at = clock_timestamp(), reason = 'outcome_unknown'
        WHERE id = ANY (ARRAY(
            SELECT d.id FROM event_delivery d WHERE d.state = 'sending'
              AND (d.send_started_at < clock_timestamp() - make_interval(secs => p_seconds)
                   OR d.owner IS NULL OR d.owner <> p_owner AND pg_try_advisory_xact_lock(d.owner))
            ORDER BY d.send_started_at LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;

CREATE FUNCTION expire_events(p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    n integer;
BEGIN
    UPDATE event_delivery SET state = 'failed', reason = 'expired' WHERE id = ANY (ARRAY(
        SELECT d.id FROM event_delivery d WHERE d.state = 'pending' AND d.expires_at <= clock_timestamp()
        ORDER BY d.expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;

-- How an attempt ended, while its claim still stands; '' somebody else has it now, 'off': this switched the
-- subscription off, else 'noted'. `p_outcome`: sent, retry, gone (nobody wants it any more), deferred (nothing was
-- asked, so no attempt is counted). `p_again`: seconds until the next attempt; `p_pause`: seconds for the whole
-- subscription; `p_days`: it is switched off after so many days without a success.
CREATE FUNCTION finish_event(
    p_workspace uuid, p_id uuid, p_epoch integer, p_outcome text, p_status integer, p_ms integer, p_answer text,
    p_reason text, p_error text, p_again double precision, p_pause double precision, p_days double precision
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    d event_delivery%ROWTYPE;
    s event_subscription%ROWTYPE;
    why text := '';
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    SELECT * INTO d FROM event_delivery WHERE id = p_id FOR UPDATE;
    IF NOT FOUND OR d.state <> 'sending' OR d.claim_epoch <> p_epoch THEN
        RETURN '';
    END IF;
    IF p_outcome = 'deferred' THEN
        UPDATE event_delivery SET state = 'pending', owner = NULL, attempt = attempt - 1,
            next_attempt_at = clock_timestamp() + make_interval(secs => p_again) WHERE id = d.id;
        RETURN 'noted';
    END IF;
    UPDATE event_delivery SET owner = NULL, status = p_status, ms = p_ms, answer = p_answer, reason = p_reason, error = p_error,
        state = CASE p_outcome WHEN 'sent' THEN 'sent' WHEN 'gone' THEN 'failed' ELSE 'pending' END,
        sent_at = CASE WHEN p_outcome = 'sent' THEN clock_timestamp() ELSE sent_at END,
        next_attempt_at = clock_timestamp() + make_interval(secs => p_again) WHERE id = d.id;
    SELECT * INTO s FROM event_subscription WHERE id = d.subscription_id;
    IF p_outcome = 'sent' THEN
        -- Not at every success: it is one row for all of them.
        UPDATE event_subscription SET failing_since = NULL, last_ok_at = clock_timestamp() WHERE id = s.id
            AND (failing_since IS NOT NULL OR last_ok_at IS NULL OR last_ok_at < clock_timestamp() - interval '1 minute');
        RETURN 'noted';
    END IF;
    IF p_outcome = 'gone' THEN
        why := 'gone';
    ELSIF s.failing_since < clock_timestamp() - make_interval(secs => p_days * 86400) THEN
        why := 'failing';
    END IF;
    IF s.failing_since IS NULL OR p_pause > 0 OR why <> '' THEN
        UPDATE event_subscription SET failing_since = coalesce(failing_since, clock_timestamp()),
            paused_until = CASE WHEN p_pause > 0
                THEN greatest(paused_until, clock_timestamp() + make_interval(secs => p_pause)) ELSE paused_until END,
            is_on = is_on AND why = '',
            off_reason = CASE WHEN is_on AND why <> '' THEN why ELSE off_reason END,
            off_at = CASE WHEN is_on AND why <> '' THEN clock_timestamp() ELSE off_at END
            WHERE id = s.id;
    END IF;
    RETURN CASE WHEN why <> '' AND s.is_on THEN 'off' ELSE 'noted' END;
END $$;

-- Exactly what the functions above and the triggers need when they run for everybody.
GRANT SELECT ON event_subscription TO patchcord_system;
GRANT SELECT, INSERT, UPDATE ON event_delivery TO patchcord_system;
