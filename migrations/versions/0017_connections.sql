ALTER TABLE credential ADD COLUMN last_used_at timestamptz;

-- One visit to a vendor's page. `state_hash`: what comes back with the visitor, hashed; taken once, by the member who left.
CREATE TABLE oauth_attempt (
    state_hash bytea PRIMARY KEY,
    workspace_id uuid NOT NULL,
    credential_id uuid NOT NULL,
    member_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT uuidv7(),
    secrets jsonb NOT NULL,
    secrets_version integer NOT NULL DEFAULT 1,
    redirect_uri text NOT NULL CHECK (length(redirect_uri) <= 2000),
    expires_at timestamptz NOT NULL,
    FOREIGN KEY (workspace_id, credential_id) REFERENCES credential (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX oauth_attempt_by_credential ON oauth_attempt (workspace_id, credential_id);

-- The access a vendor granted. `secrets`: access_token, refresh_token, and previous_refresh_token, the one that the
-- newest was got with, kept until that one has worked. `refresh_after`: 80 % of its life, a little earlier by chance.
CREATE TABLE oauth_access (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    credential_id uuid NOT NULL UNIQUE,
    secrets jsonb NOT NULL DEFAULT '{}',
    secrets_version integer NOT NULL DEFAULT 1,
    redirect_uri text NOT NULL,
    state text NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'needs_reconnect')),
    problem text NOT NULL DEFAULT '' CHECK (length(problem) <= 500),
    refresh_began_at timestamptz,
    refresh_after timestamptz,
    expires_at timestamptz,
    refreshes integer NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (workspace_id, credential_id) REFERENCES credential (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX oauth_access_due ON oauth_access (refresh_after) WHERE state = 'ready';

-- Access that grows old unused; a refresh token that is never used expires, too.
CREATE FUNCTION due_access(p_limit integer) RETURNS TABLE (workspace_id uuid, credential_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT workspace_id, credential_id FROM oauth_access
    WHERE state = 'ready' AND refresh_after < now() ORDER BY refresh_after LIMIT p_limit
$$;

-- When an earlier run began a call: what was begun may have been carried out.
CREATE FUNCTION effect_begun_at(p_workspace uuid, p_key text) RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    RETURN (SELECT begun_at FROM effect WHERE effect_key = p_key);
END $$;
