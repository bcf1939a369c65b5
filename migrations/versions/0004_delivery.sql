-- Sending: what a delivery writes about its own workspace. Each function is one transaction for its caller.

-- A trigger that is put aside becomes a dead letter in the same transaction.
CREATE FUNCTION bury_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO dead_letter (workspace_id, source, ref, conversation_id, agent_id, channel_id, channel_kind, reason,
                             attempts, first_at, last_at)
        SELECT NEW.workspace_id, 'inbox', NEW.id, c.id, c.agent_id, c.channel_id, c.channel_kind, 'too_many_attempts',
               greatest(NEW.attempts - 1, 0), coalesce(NEW.first_run_at, NEW.received_at), clock_timestamp()
        FROM conversation c WHERE c.id = NEW.conversation_id
        ON CONFLICT (source, ref) WHERE resolved_at IS NULL DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER inbox_dead AFTER UPDATE OF state ON inbox FOR EACH ROW
    WHEN (NEW.state = 'dead' AND OLD.state <> 'dead') EXECUTE FUNCTION bury_trigger();

-- The key a vendor gets: the same for every attempt, legal everywhere (letters, digits, one underscore).
CREATE FUNCTION vendor_key_of(p_effect_key text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT 'msg_' || left(encode(sha256(convert_to(p_effect_key, 'UTF8')), 'hex'), 32)
$$;

-- Give a message up: a dead letter, and a mark in the transcript. `o` as it is stored.
CREATE FUNCTION give_up(o outbox, p_state text, p_reason text, p_error text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE outbox SET state = p_state, error_class = p_reason, error = p_error, owner = NULL WHERE id = o.id;
    INSERT INTO dead_letter (workspace_id, source, ref, conversation_id, agent_id, channel_id, channel_kind, reason, error,
                             attempts, first_at, last_at)
        SELECT o.workspace_id, 'outbox', o.id, c.id, c.agent_id, o.channel_id, c.channel_kind, p_reason, p_error,
               o.attempt, coalesce(o.first_send_at, o.created_at), clock_timestamp()
        FROM conversation c WHERE c.id = o.conversation_id
        ON CONFLICT (source, ref) WHERE resolved_at IS NULL DO NOTHING;
    UPDATE message SET flags = flags || jsonb_build_object('undelivered', p_reason)
        WHERE conversation_id = o.conversation_id AND seq = o.ordinal;
END $$;

-- It arrived. `p_vendor`: the vendor's id, if it gave one.
CREATE FUNCTION mark_sent(o outbox, p_vendor text, p_duplicate boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE outbox SET state = 'sent', vendor_id = p_vendor, sent_at = clock_timestamp(), owner = NULL,
        possibly_duplicate = possibly_duplicate OR p_duplicate, error_class = '', error = '' WHERE id = o.id;
    IF p_duplicate OR o.possibly_duplicate THEN
        UPDATE message SET flags = flags || '{"possibly_duplicate": true}'
            WHERE conversation_id = o.conversation_id AND seq = o.ordinal;
    END IF;
END $$;

-- How an attempt ended, while its claim still stands; false: somebody else has the message now.
-- `p_outcome`: sent, part (one request of several), retry (nothing arrived), unknown, failed, deferred (nothing was
-- asked, so no attempt is counted). `p_again`: seconds until the next attempt. `p_pause`: seconds for the whole channel.
CREATE FUNCTION finish_delivery(
    p_workspace uuid, p_id uuid, p_epoch integer, p_outcome text, p_vendor text, p_duplicate boolean,
    p_reason text, p_error text, p_again double precision, p_pause double precision
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    o outbox%ROWTYPE;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    IF p_pause > 0 THEN
        UPDATE channel SET paused_until = greatest(paused_until, clock_timestamp() + make_interval(secs => p_pause))
            WHERE id = (SELECT x.channel_id FROM outbox x WHERE x.id = p_id);
    END IF;
    SELECT * INTO o FROM outbox WHERE id = p_id FOR UPDATE;
    IF NOT FOUND OR o.state <> 'sending' OR o.claim_epoch <> p_epoch THEN
        RETURN false;
    END IF;
    IF p_outcome = 'sent' THEN
        PERFORM mark_sent(o, p_vendor, p_duplicate);
    ELSIF p_outcome = 'part' THEN
        UPDATE outbox SET done_parts = done_parts + 1, vendor_id = p_vendor, unknown_since = NULL,
            send_started_at = clock_timestamp(), possibly_duplicate = possibly_duplicate OR p_duplicate WHERE id = o.id;
    ELSIF p_outcome = 'failed' THEN
        PERFORM give_up(o, CASE WHEN p_reason = 'outcome_unknown' THEN 'unknown' ELSE 'failed' END, p_reason, p_error);
    ELSIF o.evidence_id <> '' THEN
        PERFORM mark_sent(o, o.evidence_id, false);
    ELSE
        UPDATE outbox SET state = 'pending', owner = NULL,
            error_class = CASE WHEN p_outcome = 'deferred' THEN error_class ELSE p_reason END,
            error = CASE WHEN p_outcome = 'deferred' THEN error ELSE p_error END,
            attempt = attempt - (p_outcome = 'deferred')::integer,
            next_attempt_at = clock_timestamp() + make_interval(secs => p_again),
            unknown_since = CASE WHEN p_outcome = 'unknown' THEN send_started_at ELSE unknown_since END
            WHERE id = o.id;
    END IF;
    RETURN true;
END $$;

-- The vendor told us by itself that a message arrived. True: that settles one whose outcome was unknown.
CREATE FUNCTION confirm_delivery(p_workspace uuid, p_channel uuid, p_key text, p_vendor text)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    o outbox%ROWTYPE;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    SELECT * INTO o FROM outbox WHERE vendor_key = p_key AND vendor_key <> '' AND state IN ('pending', 'sending')
        AND channel_id = p_channel FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE outbox SET evidence_id = p_vendor WHERE id = o.id;
    IF o.state = 'pending' AND o.unknown_since IS NOT NULL THEN
        PERFORM mark_sent(o, p_vendor, false);
        RETURN true;
    END IF;
    RETURN false;
END $$;

-- Everything a channel still had to send is given up, because the channel goes.
CREATE FUNCTION give_up_channel(p_channel uuid) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    o outbox%ROWTYPE;
    n integer := 0;
BEGIN
    FOR o IN SELECT * FROM outbox WHERE channel_id = p_channel AND state IN ('pending', 'sending') FOR UPDATE LOOP
        PERFORM give_up(o, 'failed', 'channel_gone', '');
        n := n + 1;
    END LOOP;
    RETURN n;
END $$;
