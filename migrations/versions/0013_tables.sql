-- `document`: the draft. `state` "off": nobody is enrolled and no step runs; people inside wait.
CREATE TABLE chain (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    document jsonb NOT NULL,
    revision integer NOT NULL DEFAULT 1,
    is_on boolean NOT NULL DEFAULT false,
    live_version_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id)
);
CREATE INDEX chain_by_workspace ON chain (workspace_id, updated_at DESC);

-- Earlier drafts, for undo.
CREATE TABLE chain_revision (
    chain_id uuid NOT NULL,
    revision integer NOT NULL,
    workspace_id uuid NOT NULL,
    document jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chain_id, revision),
    FOREIGN KEY (workspace_id, chain_id) REFERENCES chain (workspace_id, id) ON DELETE CASCADE
);

CREATE TABLE chain_version (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    chain_id uuid NOT NULL,
    number integer NOT NULL,
    document jsonb NOT NULL,
    content_hash text NOT NULL,
    created_by text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id),
    UNIQUE (chain_id, number),
    FOREIGN KEY (workspace_id, chain_id) REFERENCES chain (workspace_id, id) ON DELETE CASCADE
);
ALTER TABLE chain ADD FOREIGN KEY (workspace_id, live_version_id) REFERENCES chain_version (workspace_id, id)
    DEFERRABLE INITIALLY DEFERRED;

-- One contact's progress. `step_id`: the step that comes next; `previous_at`: when the one before it was done.
-- `try`: of a call that is placed again; `note`: why the step was put off; `failures`: attempts that broke.
CREATE TABLE enrollment (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    chain_id uuid NOT NULL,
    version_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'done', 'stopped', 'failed')),
    reason text NOT NULL DEFAULT '',
    step_id text NOT NULL DEFAULT '',
    due_at timestamptz,
    note text NOT NULL DEFAULT '',
    try integer NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    source text NOT NULL DEFAULT '',
    enrolled_at timestamptz NOT NULL DEFAULT now(),
    previous_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id),
    FOREIGN KEY (workspace_id, chain_id) REFERENCES chain (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, version_id) REFERENCES chain_version (workspace_id, id),
    FOREIGN KEY (workspace_id, contact_id) REFERENCES contact (workspace_id, id) ON DELETE CASCADE,
    CHECK (state <> 'active' OR due_at IS NOT NULL)
) WITH (fillfactor = 80);
CREATE INDEX enrollment_due ON enrollment (due_at, id) WHERE state = 'active';
CREATE UNIQUE INDEX enrollment_once ON enrollment (chain_id, contact_id) WHERE state IN ('active', 'paused');
CREATE INDEX enrollment_of_contact ON enrollment (contact_id) WHERE state IN ('active', 'paused');
CREATE INDEX enrollment_by_chain ON enrollment (chain_id, id DESC);
CREATE INDEX enrollment_by_version ON enrollment (version_id);

-- What happened to whom. A step ends once: done, skipped or failed. `kind` of a step: message, flow, call …
CREATE TABLE chain_log (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    chain_id uuid NOT NULL,
    enrollment_id uuid NOT NULL,
    version_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    step_id text NOT NULL DEFAULT '',
    kind text NOT NULL DEFAULT '',
    what text NOT NULL CHECK (what IN ('enrolled', 'done', 'skipped', 'failed', 'moved', 'called', 'fell_back', 'paused',
                                       'resumed', 'stopped', 'finished', 'version')),
    reason text NOT NULL DEFAULT '',
    wording text NOT NULL DEFAULT '',
    channel_id uuid,
    conversation_id uuid,
    effect_key text NOT NULL DEFAULT '',
    data jsonb NOT NULL DEFAULT '{}',
    at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (workspace_id, enrollment_id) REFERENCES enrollment (workspace_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX chain_log_once ON chain_log (enrollment_id, step_id, version_id)
    WHERE what IN ('done', 'skipped', 'failed');
CREATE INDEX chain_log_of_enrollment ON chain_log (enrollment_id, id);
CREATE INDEX chain_log_of_chain ON chain_log (chain_id, version_id, step_id) WHERE step_id <> '';
-- What the caps count.
CREATE INDEX chain_log_said ON chain_log (contact_id, at) WHERE what IN ('done', 'called') AND kind IN ('message', 'flow', 'call');
CREATE INDEX chain_log_channel ON chain_log (channel_id, at) WHERE what = 'done' AND channel_id IS NOT NULL;

-- Something happened that chains may have to hear of: a contact wrote or changed, a conversation ended, a step of a flow
-- asked for an enrollment, a message was given up. Written by triggers, read and deleted by workers.
CREATE TABLE chain_signal (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    contact_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('look', 'enroll', 'leave', 'undelivered')),
    data jsonb NOT NULL DEFAULT '{}',
    at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (workspace_id, contact_id) REFERENCES contact (workspace_id, id) ON DELETE CASCADE
);

-- Notes of chains for members. `member_id` NULL: for everybody.
CREATE TABLE chain_note (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    enrollment_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    member_id uuid,
    text text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    done_at timestamptz,
    FOREIGN KEY (workspace_id, enrollment_id) REFERENCES enrollment (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX chain_note_open ON chain_note (workspace_id, id DESC) WHERE done_at IS NULL;
