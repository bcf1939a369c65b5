-- Links that need somebody: those whose events must be asked for, and those whose vendor has not been told our address.
-- `p_address`: where our webhooks are, "" when vendors cannot reach us. `mode` is what each link should do now.
CREATE FUNCTION claim_links(p_owner bigint, p_address text, p_seconds integer, p_limit integer)
RETURNS TABLE (
    channel_id uuid, workspace_id uuid, connector text, revision integer, public_id text, mode text, told text,
    cursor text, epoch integer, failures integer
)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH wanted AS (
        SELECT l.channel_id AS id, w.mode, c.revision, c.public_id
        FROM channel_link l JOIN channel c ON c.id = l.channel_id AND c.is_on
        JOIN agent a ON a.id = c.agent_id AND a.is_on
        CROSS JOIN LATERAL (SELECT CASE WHEN p_address = '' OR c.settings ->> 'updates' = 'polling'
                                        THEN 'polling' ELSE 'webhook' END AS mode) w
        WHERE l.next_try_at <= clock_timestamp()
          AND (l.owner IS NULL OR l.lease_until < clock_timestamp()
               OR l.owner <> p_owner AND pg_try_advisory_xact_lock(l.owner))
          AND (w.mode = 'polling' OR l.mode <> 'webhook' OR l.told <> c.revision || ' ' || p_address)
        ORDER BY l.next_try_at LIMIT p_limit FOR UPDATE OF l SKIP LOCKED
    )
    UPDATE channel_link l SET owner = p_owner, lease_epoch = l.lease_epoch + 1,
        lease_until = clock_timestamp() + make_interval(secs => p_seconds), mode = w.mode
    FROM wanted w WHERE l.channel_id = w.id
    RETURNING l.channel_id, l.workspace_id, l.connector, w.revision, w.public_id, w.mode, l.told, l.cursor, l.lease_epoch,
        l.failures
$$;

-- Hold a link for longer. False: it is somebody else's, or it is not what it was (changed, switched off, deleted).
-- `p_ok`: the vendor answers, so what was wrong is over.
CREATE FUNCTION renew_link(
    p_workspace uuid, p_channel uuid, p_owner bigint, p_epoch integer, p_revision integer, p_seconds integer, p_ok boolean
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    UPDATE channel_link l SET lease_until = clock_timestamp() + make_interval(secs => p_seconds),
        failures = CASE WHEN p_ok THEN 0 ELSE l.failures END,
        error_code = CASE WHEN p_ok THEN '' ELSE l.error_code END, error = CASE WHEN p_ok THEN '' ELSE l.error END,
        error_at = CASE WHEN p_ok THEN NULL ELSE l.error_at END,
        last_ok_at = CASE WHEN p_ok THEN clock_timestamp() ELSE l.last_ok_at END
    FROM channel c, agent a
    WHERE l.channel_id = p_channel AND l.owner = p_owner AND l.lease_epoch = p_epoch
      AND c.id = l.channel_id AND c.is_on AND c.revision = p_revision AND a.id = c.agent_id AND a.is_on;
    RETURN FOUND;
END $$;

-- Let go of a link. `p_told` NULL: as it was. `p_code`: what is wrong, "" nothing. `p_again`: seconds until the next try.
CREATE FUNCTION release_link(
    p_workspace uuid, p_channel uuid, p_owner bigint, p_epoch integer, p_told text, p_code text, p_error text,
    p_again double precision
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    UPDATE channel_link SET owner = NULL, lease_until = NULL, told = coalesce(p_told, told),
        next_try_at = clock_timestamp() + make_interval(secs => p_again),
        failures = CASE WHEN p_code = '' THEN 0 ELSE failures + 1 END,
        error_code = p_code, error = p_error, error_at = CASE WHEN p_code = '' THEN NULL ELSE clock_timestamp() END,
        last_ok_at = CASE WHEN p_code = '' THEN clock_timestamp() ELSE last_ok_at END
        WHERE channel_id = p_channel AND owner = p_owner AND lease_epoch = p_epoch;
    RETURN FOUND;
END $$;

-- What came after the cursor is stored in this transaction. False: the lease is somebody else's, so nothing may be stored.
CREATE FUNCTION move_cursor(p_workspace uuid, p_channel uuid, p_epoch integer, p_cursor text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    UPDATE channel_link SET cursor = p_cursor, last_event_at = clock_timestamp()
        WHERE channel_id = p_channel AND lease_epoch = p_epoch;
    RETURN FOUND;
END $$;

-- The contact starts over with an event that is new: their open conversation ends. Before receive_message, same transaction.
CREATE FUNCTION make_way(p_workspace uuid, p_channel uuid, p_revision integer, p_dedupe text, p_external text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_conversation uuid;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    PERFORM pg_advisory_xact_lock(hashtextextended(p_channel || ' ' || p_dedupe, 1));
    PERFORM pg_advisory_xact_lock(hashtextextended(p_channel || ' ' || p_external, 2));
    IF EXISTS (SELECT FROM inbox WHERE source_id = p_channel AND dedupe_key = p_dedupe)
        OR NOT EXISTS (SELECT FROM channel WHERE id = p_channel AND revision = p_revision AND is_on) THEN
        RETURN;
    END IF;
    FOR v_conversation IN
        SELECT c.id FROM contact_identity x JOIN conversation c ON c.contact_id = x.contact_id
        WHERE x.source_id = p_channel AND x.external_user_id = p_external AND c.channel_id = p_channel
          AND c.status <> 'ended' LOOP
        PERFORM end_conversation(p_workspace, v_conversation, 'started_over', NULL);
    END LOOP;
END $$;

-- Another address of the same recipient: who they are, and what is still to be sent.
CREATE FUNCTION move_recipient(p_workspace uuid, p_channel uuid, p_from text, p_to text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    UPDATE contact_identity SET external_user_id = p_to WHERE source_id = p_channel AND external_user_id = p_from
        AND NOT EXISTS (SELECT FROM contact_identity x WHERE x.source_id = p_channel AND x.external_user_id = p_to);
    UPDATE outbox SET recipient = p_to WHERE channel_id = p_channel AND recipient = p_from
        AND state IN ('pending', 'sending');
END $$;

-- Take files that are due; at most so many at once.
CREATE FUNCTION claim_fetches(p_owner bigint, p_limit integer)
RETURNS TABLE (
    id uuid, workspace_id uuid, channel_id uuid, channel_revision integer, conversation_id uuid, seq integer,
    about jsonb, name text, attempt integer
)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH due AS (
        SELECT f.id FROM file_fetch f WHERE f.state = 'pending' AND f.next_attempt_at <= clock_timestamp()
        ORDER BY f.next_attempt_at LIMIT p_limit FOR UPDATE SKIP LOCKED
    )
    UPDATE file_fetch f SET state = 'fetching', owner = p_owner, attempt = f.attempt + 1, started_at = clock_timestamp()
    FROM due WHERE f.id = due.id
    RETURNING f.id, f.workspace_id, f.channel_id,
        coalesce((SELECT c.revision FROM channel c WHERE c.id = f.channel_id), 0), f.conversation_id, f.seq, f.about,
        f.name, f.attempt
$$;

-- Files that a dead process, or one that took longer than `p_seconds`, was fetching.
CREATE FUNCTION recover_fetches(p_owner bigint, p_seconds integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    n integer;
BEGIN
    UPDATE file_fetch SET state = 'pending', owner = NULL, next_attempt_at = clock_timestamp()
        WHERE state = 'fetching' AND (started_at < clock_timestamp() - make_interval(secs => p_seconds)
            OR owner IS NULL OR owner <> p_owner AND pg_try_advisory_xact_lock(owner));
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;

-- How fetching ended. `p_error` "": `p_content` is the file. `p_again` NULL with an error: it is given up.
CREATE FUNCTION finish_fetch(
    p_workspace uuid, p_id uuid, p_owner bigint, p_mime text, p_content bytea, p_error text, p_again double precision
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    f file_fetch%ROWTYPE;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    SELECT * INTO f FROM file_fetch WHERE id = p_id AND owner = p_owner AND state = 'fetching' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF p_error = '' THEN
        INSERT INTO file (id, workspace_id, conversation_id, name, mime, size, content)
            VALUES (f.id, p_workspace, f.conversation_id, f.name, p_mime, length(p_content), p_content)
            ON CONFLICT (id) DO NOTHING;
        DELETE FROM file_fetch WHERE id = p_id;
    ELSIF p_again IS NOT NULL THEN
        UPDATE file_fetch SET state = 'pending', owner = NULL, error = p_error,
            next_attempt_at = clock_timestamp() + make_interval(secs => p_again) WHERE id = p_id;
    ELSE
        UPDATE file_fetch SET state = 'failed', owner = NULL, error = p_error WHERE id = p_id;
        UPDATE message SET flags = flags || jsonb_build_object('files_failed',
                coalesce(flags -> 'files_failed', '[]') || to_jsonb(p_id::text))
            WHERE conversation_id = f.conversation_id AND seq = f.seq;
    END IF;
    RETURN true;
END $$;
