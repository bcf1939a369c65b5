-- What starts something by itself. `document`: contract/triggers.Trigger. `event`: which one it listens to, '' for other
-- kinds. `public_id`: in the address that programs post to. `captures`: the next request is kept as the sample, in its own order.
-- `heard_until`: silences that began before it are no news to a trigger of inactivity.
CREATE TABLE agent_trigger (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    agent_id uuid NOT NULL REFERENCES agent ON DELETE CASCADE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    is_on boolean NOT NULL DEFAULT false,
    kind text NOT NULL CHECK (kind IN ('message', 'schedule', 'event', 'webhook', 'inactivity', 'manual')),
    event text NOT NULL DEFAULT '',
    document jsonb NOT NULL,
    public_id text UNIQUE,
    secrets jsonb NOT NULL DEFAULT '{}',
    secrets_version integer NOT NULL DEFAULT 1,
    sample json,
    sample_at timestamptz,
    captures boolean NOT NULL DEFAULT false,
    heard_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id)
);
CREATE INDEX agent_trigger_by_agent ON agent_trigger (agent_id, id);
CREATE INDEX agent_trigger_listening ON agent_trigger (workspace_id, kind, event) WHERE is_on;

-- The next time of a trigger of time: claimed when it is due, and moved on in the transaction that makes its occasions.
CREATE TABLE trigger_tick (
    trigger_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    due_at timestamptz NOT NULL,
    FOREIGN KEY (workspace_id, trigger_id) REFERENCES agent_trigger (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX trigger_tick_due ON trigger_tick (due_at, trigger_id);

-- One occasion, and what became of it; it is never carried out twice under one key. `contact_id` NULL: about nobody, or
-- about everybody who fits (`spreads`, from `position` on). `depth`: how many triggers stand behind it. `reason`: why it
-- fired or not. `did`: what each action came to. `cause_id`: the conversation that it came of, `conversation_id`: the one
-- that it began. No reference to the trigger: it would make turns lock its row.
CREATE TABLE trigger_run (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    trigger_id uuid NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 300),
    source text NOT NULL CHECK (length(source) <= 40),
    contact_id uuid,
    cause_id uuid,
    conversation_id uuid,
    spreads boolean NOT NULL DEFAULT false,
    position uuid,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    data jsonb NOT NULL DEFAULT '{}',
    depth smallint NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'fired', 'not_fired', 'failed')),
    reason text NOT NULL DEFAULT '',
    did jsonb NOT NULL DEFAULT '[]',
    attempts integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now(),
    done_at timestamptz,
    UNIQUE (trigger_id, key),
    FOREIGN KEY (workspace_id, contact_id) REFERENCES contact (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX trigger_run_waiting ON trigger_run (next_at, id) WHERE state = 'waiting';
CREATE INDEX trigger_run_log ON trigger_run (trigger_id, id DESC);
CREATE INDEX trigger_run_fired ON trigger_run (trigger_id, contact_id, done_at) WHERE state = 'fired';
CREATE INDEX trigger_run_of_contact ON trigger_run (contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX trigger_run_began ON trigger_run (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX trigger_run_age ON trigger_run (workspace_id, at);

CREATE FUNCTION forget_runs_of_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM trigger_run WHERE trigger_id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER agent_trigger_deleted AFTER DELETE ON agent_trigger FOR EACH ROW EXECUTE FUNCTION forget_runs_of_trigger();

-- Notes that triggers leave for members. `member_id` NULL: for everybody.
CREATE TABLE trigger_note (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    trigger_id uuid NOT NULL,
    contact_id uuid,
    member_id uuid REFERENCES member ON DELETE SET NULL,
    text text NOT NULL CHECK (length(text) <= 4000),
    created_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    FOREIGN KEY (workspace_id, trigger_id) REFERENCES agent_trigger (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, contact_id) REFERENCES contact (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX trigger_note_open ON trigger_note (workspace_id, id DESC) WHERE closed_at IS NULL;
