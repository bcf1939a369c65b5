-- How a channel hears what happened at its vendor. `account`: the vendor's id of whose it is; one channel each, for a
-- second one would take its events away. `told`: revision and address that the vendor was told last, "" none.
-- `cursor`: what was stored already, written in the commit that stores it. `owner`: number of the process that asks, at
-- most until `lease_until`; only its newest `lease_epoch` may move the cursor.
CREATE TABLE channel_link (
    channel_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    connector text NOT NULL,
    account text NOT NULL CHECK (length(account) BETWEEN 1 AND 200),
    name text NOT NULL DEFAULT '' CHECK (length(name) <= 200),
    link text NOT NULL DEFAULT '' CHECK (length(link) <= 500),
    mode text NOT NULL DEFAULT '' CHECK (mode IN ('', 'webhook', 'polling')),
    told text NOT NULL DEFAULT '',
    cursor text NOT NULL DEFAULT '' CHECK (length(cursor) <= 200),
    owner bigint,
    lease_until timestamptz,
    lease_epoch integer NOT NULL DEFAULT 0,
    next_try_at timestamptz NOT NULL DEFAULT now(),
    failures integer NOT NULL DEFAULT 0,
    last_event_at timestamptz,
    last_ok_at timestamptz,
    error_code text NOT NULL DEFAULT '',
    error text NOT NULL DEFAULT '',
    error_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (connector, account),
    FOREIGN KEY (workspace_id, channel_id) REFERENCES channel (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX channel_link_by_workspace ON channel_link (workspace_id);

-- A file of a message that is still at the vendor; once it is here there is a `file` of the same id and no row.
CREATE TABLE file_fetch (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    channel_id uuid NOT NULL,
    conversation_id uuid NOT NULL REFERENCES conversation ON DELETE CASCADE,
    seq integer NOT NULL,
    about jsonb NOT NULL,
    name text NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'fetching', 'failed')),
    attempt integer NOT NULL DEFAULT 0,
    owner bigint,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    error text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX file_fetch_due ON file_fetch (next_attempt_at) WHERE state = 'pending';
CREATE INDEX file_fetch_running ON file_fetch (started_at) WHERE state = 'fetching';
CREATE INDEX file_fetch_by_conversation ON file_fetch (conversation_id);

-- Since when a contact does not want to hear from us at this place.
ALTER TABLE contact_identity ADD COLUMN unreachable_since timestamptz;
