CREATE TABLE contact (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    fields jsonb NOT NULL DEFAULT '{}',
    variables jsonb NOT NULL DEFAULT '{}',
    language text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id)
);
CREATE INDEX contact_by_workspace ON contact (workspace_id, updated_at DESC);

-- A place (channel, or agent where there is none) and who the contact is there.
CREATE TABLE contact_identity (
    source_id uuid NOT NULL,
    external_user_id text NOT NULL CHECK (length(external_user_id) <= 200),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    contact_id uuid NOT NULL,
    PRIMARY KEY (source_id, external_user_id),
    FOREIGN KEY (workspace_id, contact_id) REFERENCES contact (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX contact_identity_by_contact ON contact_identity (contact_id);

CREATE TABLE conversation (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    agent_id uuid NOT NULL,
    channel_id uuid,
    contact_id uuid NOT NULL,
    version_id uuid NOT NULL,
    channel_kind text NOT NULL,
    language text NOT NULL,
    is_test boolean NOT NULL DEFAULT false,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'ended', 'quarantined')),
    waits text NOT NULL DEFAULT '' CHECK (waits IN ('', 'reply', 'time')),
    node_id text NOT NULL DEFAULT '',
    checkpoint bytea,
    result text NOT NULL DEFAULT '',
    goal_value double precision,
    tags text[] NOT NULL DEFAULT '{}',
    lease_owner bigint,
    lease_until timestamptz,
    lease_epoch integer NOT NULL DEFAULT 0,
    message_seq integer NOT NULL DEFAULT 0,
    turn_seq integer NOT NULL DEFAULT 0,
    preview text NOT NULL DEFAULT '',
    pending_since timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agent (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, channel_id) REFERENCES channel (workspace_id, id) ON DELETE SET NULL (channel_id),
    FOREIGN KEY (workspace_id, contact_id) REFERENCES contact (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, version_id) REFERENCES version (workspace_id, id)
) WITH (fillfactor = 70);
CREATE INDEX conversation_recent ON conversation (workspace_id, is_test, updated_at DESC, id DESC);
CREATE INDEX conversation_by_agent ON conversation (agent_id, updated_at DESC);
CREATE INDEX conversation_by_contact ON conversation (contact_id);
CREATE INDEX conversation_by_version ON conversation (version_id);
-- Leases, seqs and pending_since are in no index on purpose: their updates stay within the page (HOT).

-- What hangs on a conversation goes with it; a reference of its own to the workspace would make every turn of a
-- workspace lock the same row.

-- Every trigger, once. Not partitioned: its unique index is what folds redeliveries.
CREATE TABLE inbox (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    source_id uuid NOT NULL,
    dedupe_key text NOT NULL CHECK (length(dedupe_key) <= 500),
    conversation_id uuid NOT NULL REFERENCES conversation ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('start', 'message', 'timer', 'restart')),
    payload jsonb NOT NULL DEFAULT '{}',
    seq integer NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'dead')),
    attempts integer NOT NULL DEFAULT 0,
    received_at timestamptz NOT NULL DEFAULT now(),
    first_run_at timestamptz,
    done_at timestamptz
);
CREATE UNIQUE INDEX inbox_once ON inbox (source_id, dedupe_key);
CREATE INDEX inbox_pending ON inbox (conversation_id, id) WHERE state = 'pending';

CREATE TABLE turn (
    conversation_id uuid NOT NULL REFERENCES conversation ON DELETE CASCADE,
    seq integer NOT NULL,
    workspace_id uuid NOT NULL,
    inbox_id uuid NOT NULL,
    trigger text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL DEFAULT now(),
    ms real NOT NULL,
    attempts integer NOT NULL,
    error text NOT NULL DEFAULT '',
    steps jsonb NOT NULL,
    PRIMARY KEY (conversation_id, seq)
);

CREATE TABLE effect (
    effect_key text PRIMARY KEY,
    workspace_id uuid NOT NULL,
    conversation_id uuid NOT NULL REFERENCES conversation ON DELETE CASCADE,
    turn_seq integer NOT NULL,
    kind text NOT NULL,
    node_id text NOT NULL,
    state text NOT NULL DEFAULT 'begun' CHECK (state IN ('begun', 'done')),
    result jsonb,
    begun_at timestamptz NOT NULL DEFAULT now(),
    done_at timestamptz
);
CREATE INDEX effect_by_turn ON effect (conversation_id, turn_seq);

CREATE TABLE message (
    id uuid NOT NULL DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    conversation_id uuid NOT NULL REFERENCES conversation ON DELETE CASCADE,
    seq integer NOT NULL,
    role text NOT NULL CHECK (role IN ('contact', 'agent', 'member', 'system')),
    key text NOT NULL DEFAULT '',
    parts jsonb NOT NULL,
    text text NOT NULL DEFAULT '',
    node_id text NOT NULL DEFAULT '',
    turn_id uuid,
    client_id text NOT NULL DEFAULT '',
    flags jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (conversation_id, seq)
);

-- What a push channel has still to send; web chat and API read `message` instead.
CREATE TABLE outbox (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    effect_key text NOT NULL UNIQUE,
    conversation_id uuid NOT NULL REFERENCES conversation ON DELETE CASCADE,
    channel_id uuid NOT NULL,
    recipient text NOT NULL,
    ordinal integer NOT NULL,
    parts jsonb NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sending', 'sent', 'failed', 'unknown')),
    attempt integer NOT NULL DEFAULT 0,
    claim_epoch integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    send_started_at timestamptz,
    vendor_id text NOT NULL DEFAULT '',
    vendor_key text NOT NULL DEFAULT '',
    error_class text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE state IN ('pending', 'sending');

CREATE TABLE timer (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    conversation_id uuid NOT NULL REFERENCES conversation ON DELETE CASCADE,
    due_at timestamptz NOT NULL,
    turn_seq integer NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX timer_due ON timer (due_at, id);
CREATE INDEX timer_by_conversation ON timer (conversation_id);

CREATE TABLE event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id uuid NOT NULL,
    conversation_id uuid NOT NULL REFERENCES conversation ON DELETE CASCADE,
    turn_id uuid NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    node_id text NOT NULL DEFAULT '',
    data jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX event_by_conversation ON event (conversation_id, id);
CREATE INDEX event_by_kind ON event (workspace_id, kind, at);

CREATE TABLE idempotency (
    api_key_id uuid NOT NULL,
    key text NOT NULL CHECK (length(key) <= 255),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    request_hash bytea NOT NULL,
    status integer,
    response jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (api_key_id, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);
