-- Where a customer system posts what changed in it. `public_id`: in the address, not to be guessed. `state`: "told" (the
-- system knows the address), "by_hand" (a person enters it there), "failed" (it could not be told; `problem` says why).
-- `address`: what the system was told. `is_signed`: what comes has to be signed with a secret of the credential.
CREATE TABLE crm_link (
    credential_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    connector text NOT NULL CHECK (length(connector) <= 100),
    public_id text NOT NULL UNIQUE CHECK (length(public_id) BETWEEN 32 AND 100),
    is_signed boolean NOT NULL DEFAULT false,
    state text NOT NULL CHECK (state IN ('told', 'by_hand', 'failed')),
    problem text NOT NULL DEFAULT '' CHECK (length(problem) <= 500),
    address text NOT NULL DEFAULT '' CHECK (length(address) <= 2100),
    heard_at timestamptz,
    look_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (workspace_id, credential_id) REFERENCES credential (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX crm_link_due ON crm_link (look_at);

-- One record of a customer system that was heard of. `due_at`: it is to be read again, NULL when nothing is new; `actions`: what
-- was said of it since, `heard` counts that. `seen`: what stood there when it was last read, {field: hash}, NULL before
-- that; `seen_at`: when that reading began. `stage` and `stage_id` of a deal, since `stage_at`. `is_known`: that it was created was
-- told, or is nobody's news. `told` counts what was raised; `told_lately` since `lately_at`, against circles.
CREATE TABLE crm_record (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    credential_id uuid NOT NULL,
    entity text NOT NULL CHECK (entity IN ('contact', 'company', 'lead')),
    record_id text NOT NULL CHECK (length(record_id) BETWEEN 1 AND 200),
    contact_id uuid,
    actions text[] NOT NULL DEFAULT '{}',
    heard integer NOT NULL DEFAULT 1,
    due_at timestamptz,
    leased_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    heard_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen jsonb,
    seen_at timestamptz,
    stage text NOT NULL DEFAULT '' CHECK (length(stage) <= 300),
    stage_id text NOT NULL DEFAULT '' CHECK (length(stage_id) <= 200),
    stage_at timestamptz,
    is_known boolean NOT NULL DEFAULT false,
    told integer NOT NULL DEFAULT 0,
    told_lately integer NOT NULL DEFAULT 0,
    lately_at timestamptz,
    UNIQUE (credential_id, entity, record_id),
    FOREIGN KEY (workspace_id, credential_id) REFERENCES credential (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, contact_id) REFERENCES contact (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX crm_record_due ON crm_record (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX crm_record_of_contact ON crm_record (contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX crm_record_age ON crm_record (workspace_id, heard_at);

-- What we write ourselves, noted before it is sent, so that what comes back of it starts nothing. `ref`: the record's number,
-- or the key it is made under. `fields`: names of what is written. Kept for a day.
CREATE TABLE crm_own_write (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    credential_id uuid NOT NULL,
    entity text NOT NULL CHECK (entity IN ('contact', 'company', 'lead')),
    ref text NOT NULL CHECK (length(ref) BETWEEN 1 AND 200),
    fields text[] NOT NULL DEFAULT '{}',
    stage_id text NOT NULL DEFAULT '' CHECK (length(stage_id) <= 200),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (workspace_id, credential_id) REFERENCES credential (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX crm_own_write_of ON crm_own_write (credential_id, entity, ref, at);
CREATE INDEX crm_own_write_age ON crm_own_write (at);
