-- What runs before a workspace is known. Each function answers one question about one exact key.

CREATE FUNCTION installation_has_owner() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM member)
$$;

-- The first workspace with its owner; no row when somebody was first.
CREATE FUNCTION create_first_owner(p_workspace text, p_name text, p_email text, p_password_hash text, p_language text)
RETURNS TABLE (workspace_id uuid, member_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('create_first_owner', 0));
    IF EXISTS (SELECT FROM member) THEN
        RETURN;
    END IF;
    INSERT INTO workspace (name) VALUES (p_workspace) RETURNING id INTO workspace_id;
    INSERT INTO member (workspace_id, email, name, role, language, password_hash)
        VALUES (create_first_owner.workspace_id, p_email, p_name, 'owner', p_language, p_password_hash)
        RETURNING id INTO member_id;
    RETURN NEXT;
END $$;

CREATE FUNCTION find_member(p_email text) RETURNS TABLE (workspace_id uuid, member_id uuid, password_hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT m.workspace_id, m.id, m.password_hash FROM member m WHERE m.email = p_email
$$;

CREATE FUNCTION find_session(p_token_hash bytea, p_now timestamptz)
RETURNS TABLE (session_id uuid, workspace_id uuid, member_id uuid, role text, used_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.id, s.workspace_id, m.id, m.role, s.used_at
    FROM session s JOIN member m ON m.id = s.member_id
    WHERE s.token_hash = p_token_hash AND s.expires_at > p_now
$$;

CREATE FUNCTION find_api_key(p_secret_hash bytea, p_now timestamptz)
RETURNS TABLE (api_key_id uuid, workspace_id uuid, scopes text[], created_by uuid, creator_role text, used_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT k.id, k.workspace_id, k.scopes, k.created_by, m.role, k.used_at
    FROM api_key k LEFT JOIN member m ON m.id = k.created_by
    WHERE k.secret_hash = p_secret_hash AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > p_now)
$$;

-- By the public id of a channel, or of an agent and the kind of channel.
CREATE FUNCTION find_channel(p_public_id text, p_connector text)
RETURNS TABLE (workspace_id uuid, agent_id uuid, channel_id uuid, connector text, is_on boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.workspace_id, a.id, c.id, c.connector, a.is_on AND c.is_on
    FROM agent a JOIN channel c ON c.agent_id = a.id
    WHERE a.public_id = p_public_id AND c.connector = p_connector
    UNION ALL
    SELECT c.workspace_id, a.id, c.id, c.connector, a.is_on AND c.is_on
    FROM channel c JOIN agent a ON a.id = c.agent_id
    WHERE c.public_id = p_public_id AND c.connector = p_connector
    LIMIT 1
$$;

CREATE FUNCTION workspaces_with_secrets() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT k.workspace_id FROM data_key k
$$;

-- Takes one attempt for each key, or none: the moment from which the next attempt is allowed, NULL when taken now.
-- Within an hour the first p_free attempts are free, then each one doubles the pause (p_pause seconds, at most an hour),
-- and p_most is the end of it.
CREATE FUNCTION take_sign_in(p_keys bytea[], p_most integer[], p_now timestamptz, p_free integer, p_pause double precision)
RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    k bytea;
    most integer;
    seen sign_in_limit%ROWTYPE;
    wait_until timestamptz;
BEGIN
    DELETE FROM sign_in_limit WHERE window_from < p_now - interval '2 hours' AND not_before < p_now;
    FOR k, most IN SELECT * FROM unnest(p_keys, p_most) ORDER BY 1 LOOP
        INSERT INTO sign_in_limit VALUES (k, 0, p_now, p_now) ON CONFLICT (key) DO NOTHING;
        SELECT * INTO seen FROM sign_in_limit WHERE key = k FOR UPDATE;
        IF seen.window_from <= p_now - interval '1 hour' AND seen.not_before <= p_now THEN
            UPDATE sign_in_limit SET failures = 0, window_from = p_now WHERE key = k;
        ELSIF seen.not_before > p_now THEN
            wait_until := greatest(wait_until, seen.not_before);
        ELSIF seen.failures >= most THEN
            wait_until := greatest(wait_until, seen.window_from + interval '1 hour');
        END IF;
    END LOOP;
    IF wait_until IS NOT NULL THEN
        RETURN wait_until;
    END IF;
    FOR k, most IN SELECT * FROM unnest(p_keys, p_most) ORDER BY 1 LOOP
        UPDATE sign_in_limit SET failures = failures + 1,
            not_before = CASE WHEN failures + 1 <= p_free * most / p_most[1] THEN p_now
                ELSE p_now + least(3600, p_pause * 2 ^ least(12, failures - p_free * most / p_most[1])) * interval '1 second' END
        WHERE key = k;
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION forget_sign_ins(p_key bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DELETE FROM sign_in_limit WHERE key = p_key
$$;
