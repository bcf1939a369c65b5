-- Who may build, what they build, and what they connect it to.

CREATE TABLE workspace (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid GENERATED ALWAYS AS (id) STORED,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE member (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    email text NOT NULL CHECK (email = lower(email) AND length(email) <= 320),
    name text NOT NULL CHECK (length(name) <= 200),
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'editor', 'viewer', 'operator')),
    language text NOT NULL DEFAULT 'en',
    theme text NOT NULL DEFAULT 'system' CHECK (theme IN ('system', 'light', 'dark')),
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id)
);
-- Signing in knows only the address, so it belongs to one member of one workspace.
CREATE UNIQUE INDEX member_email ON member (email);

CREATE TABLE session (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    member_id uuid NOT NULL,
    token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    created_at timestamptz NOT NULL,
    used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    FOREIGN KEY (workspace_id, member_id) REFERENCES member (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX session_by_member ON session (workspace_id, member_id);
CREATE INDEX session_expiry ON session (expires_at);

-- Failed sign-ins per account and per address, by hash: it is counted before any workspace is known.
CREATE TABLE sign_in_limit (
    key bytea PRIMARY KEY CHECK (length(key) = 32),
    failures integer NOT NULL,
    window_from timestamptz NOT NULL,
    not_before timestamptz NOT NULL
);
CREATE INDEX sign_in_limit_age ON sign_in_limit (window_from);

CREATE TABLE api_key (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    shown text NOT NULL,
    secret_hash bytea NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    scopes text[] NOT NULL,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz,
    UNIQUE (workspace_id, id),
    FOREIGN KEY (workspace_id, created_by) REFERENCES member (workspace_id, id) ON DELETE SET NULL (created_by)
);
CREATE INDEX api_key_by_workspace ON api_key (workspace_id, created_at);

-- The workspace's data keys, each wrapped by a key of the installation; the newest encrypts, older ones still decrypt.
CREATE TABLE data_key (
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    number integer NOT NULL CHECK (number > 0),
    wrapped bytea NOT NULL,
    wrapped_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, number)
);

-- `secrets`: field → sealed value in base64; `shown`: what is no secret, and hints such as the last four characters.
CREATE TABLE credential (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    connector text NOT NULL,
    label text NOT NULL CHECK (length(label) BETWEEN 1 AND 200),
    public jsonb NOT NULL DEFAULT '{}',
    hints jsonb NOT NULL DEFAULT '{}',
    secrets jsonb NOT NULL DEFAULT '{}',
    version integer NOT NULL DEFAULT 1,
    data_key_number integer NOT NULL,
    checked_at timestamptz,
    is_ok boolean,
    check_message text NOT NULL DEFAULT '',
    models jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id)
);
CREATE INDEX credential_by_workspace ON credential (workspace_id, created_at);

CREATE TABLE agent (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    description text NOT NULL DEFAULT '' CHECK (length(description) <= 2000),
    is_on boolean NOT NULL DEFAULT false,
    main_flow_id uuid,
    language text NOT NULL DEFAULT 'en',
    public_id text NOT NULL UNIQUE,
    settings jsonb NOT NULL DEFAULT '{}',
    template text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id)
);
CREATE INDEX agent_by_workspace ON agent (workspace_id, updated_at DESC);

CREATE TABLE flow (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('main', 'sub')),
    name text NOT NULL CHECK (length(name) <= 200),
    document jsonb NOT NULL,
    revision bigint NOT NULL DEFAULT 1,
    live_version_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id),
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agent (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX flow_by_agent ON flow (workspace_id, agent_id);
CREATE UNIQUE INDEX flow_main ON flow (agent_id) WHERE kind = 'main';
ALTER TABLE agent ADD FOREIGN KEY (workspace_id, main_flow_id) REFERENCES flow (workspace_id, id)
    DEFERRABLE INITIALLY DEFERRED;

-- Finished edits of a draft, newest kept: for two tabs, and so that a repeated save is done once.
CREATE TABLE flow_edit (
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    revision bigint NOT NULL,
    client text NOT NULL CHECK (length(client) BETWEEN 1 AND 80),
    seq bigint NOT NULL,
    member_id uuid,
    edits jsonb NOT NULL,
    paths text[] NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (flow_id, revision),
    UNIQUE (flow_id, client, seq),
    FOREIGN KEY (workspace_id, flow_id) REFERENCES flow (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, member_id) REFERENCES member (workspace_id, id) ON DELETE SET NULL (member_id)
);

-- `number` NULL: a snapshot for a test conversation.
CREATE TABLE version (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    number integer CHECK (number > 0),
    document jsonb NOT NULL,
    bundle jsonb NOT NULL DEFAULT '{}',
    content_hash text NOT NULL,
    comment text NOT NULL DEFAULT '' CHECK (length(comment) <= 2000),
    author_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id),
    UNIQUE (flow_id, number),
    FOREIGN KEY (workspace_id, flow_id) REFERENCES flow (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, author_id) REFERENCES member (workspace_id, id) ON DELETE SET NULL (author_id)
);
CREATE UNIQUE INDEX version_snapshot ON version (flow_id, content_hash) WHERE number IS NULL;
ALTER TABLE flow ADD FOREIGN KEY (workspace_id, live_version_id) REFERENCES version (workspace_id, id)
    DEFERRABLE INITIALLY DEFERRED;

CREATE FUNCTION refuse_change_of_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a version never changes; publish a new one' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER version_never_changes BEFORE UPDATE ON version FOR EACH ROW
    WHEN ((NEW.id, NEW.workspace_id, NEW.flow_id, NEW.number, NEW.document, NEW.bundle, NEW.content_hash)
          IS DISTINCT FROM (OLD.id, OLD.workspace_id, OLD.flow_id, OLD.number, OLD.document, OLD.bundle, OLD.content_hash))
    EXECUTE FUNCTION refuse_change_of_version();

CREATE TABLE agent_connection (
    workspace_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    slot text NOT NULL CHECK (length(slot) BETWEEN 1 AND 60),
    credential_id uuid,
    connector text NOT NULL,
    model text NOT NULL DEFAULT '',
    PRIMARY KEY (agent_id, slot),
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agent (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, credential_id) REFERENCES credential (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX agent_connection_by_credential ON agent_connection (workspace_id, credential_id);

CREATE TABLE channel (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    connector text NOT NULL,
    public_id text NOT NULL UNIQUE,
    settings jsonb NOT NULL DEFAULT '{}',
    is_on boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id),
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agent (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX channel_by_agent ON channel (workspace_id, agent_id, connector);

CREATE TABLE setting (
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 100),
    value jsonb NOT NULL,
    PRIMARY KEY (workspace_id, key)
);

CREATE TABLE file (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    conversation_id uuid,
    name text NOT NULL CHECK (length(name) <= 255),
    mime text NOT NULL CHECK (length(mime) <= 127),
    size integer NOT NULL,
    content bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (size = length(content)),
    UNIQUE (workspace_id, id)
);
CREATE INDEX file_by_conversation ON file (workspace_id, conversation_id);

-- One chain per workspace: hash = SHA-256 of the previous hash and the row.
CREATE TABLE audit (
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    seq bigint NOT NULL CHECK (seq > 0),
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    ids jsonb NOT NULL DEFAULT '{}',
    hash bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (workspace_id, seq)
);

CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A whole workspace may go; a line of its log may not.
    IF TG_OP = 'DELETE' AND NOT EXISTS (SELECT FROM workspace w WHERE w.id = OLD.workspace_id) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log only grows' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION refuse_change_of_audit();
