-- What an agent keeps of what contacts say. `document`: contract/update_rules.UpdateRule.
CREATE TABLE update_rule (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    agent_id uuid NOT NULL,
    is_on boolean NOT NULL DEFAULT false,
    document jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id),
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agent (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX update_rule_by_agent ON update_rule (agent_id, id);
CREATE INDEX update_rule_on ON update_rule (agent_id) WHERE is_on;

-- What a contact wrote in one turn, or to a person, and is to be looked at: messages `first_seq` to `last_seq`, each in one
-- check only. `turn_seq`: the turn that was the last when it was written. `attempts` is also the epoch of the lease.
-- `outcomes`: rule → what it came to.
CREATE TABLE update_check (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    conversation_id uuid NOT NULL REFERENCES conversation ON DELETE CASCADE,
    first_seq integer NOT NULL,
    last_seq integer NOT NULL,
    turn_seq integer NOT NULL,
    inbox_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed')),
    reason text NOT NULL DEFAULT '' CHECK (length(reason) <= 100),
    outcomes jsonb NOT NULL DEFAULT '{}',
    attempts integer NOT NULL DEFAULT 0,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_at timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz,
    done_at timestamptz,
    UNIQUE (conversation_id, last_seq)
);
CREATE INDEX update_check_waiting ON update_check (next_at, id) WHERE state = 'waiting';
CREATE INDEX update_check_in_order ON update_check (conversation_id, id) WHERE state = 'waiting';
CREATE INDEX update_check_failed ON update_check (workspace_id, at) WHERE state = 'failed';
CREATE INDEX update_check_age ON update_check (workspace_id, at);

-- What a rule changed, or would change: the value before and after, the sentence that caused it, and who decided. Rows stay
-- when the rule is deleted: `rule` is its document as it was. `applied_by`, `closed_by`: "member:<id>", "api_key:<id>",
-- "rule:<id>". `by_model`: the model that read it, '' when it was read without one.
CREATE TABLE update_change (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    rule_id uuid NOT NULL,
    check_id uuid NOT NULL,
    conversation_id uuid REFERENCES conversation ON DELETE SET NULL,
    message_seq integer NOT NULL,
    rule jsonb NOT NULL,
    field text NOT NULL CHECK (length(field) <= 200),
    label text NOT NULL CHECK (length(label) <= 200),
    before jsonb,
    after jsonb NOT NULL,
    sentence text NOT NULL CHECK (length(sentence) <= 2000),
    confidence real NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    by_model text NOT NULL DEFAULT '' CHECK (length(by_model) <= 200),
    state text NOT NULL CHECK (state IN ('applied', 'proposed', 'rejected', 'replaced', 'undone', 'noted')),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_at timestamptz,
    applied_by text NOT NULL DEFAULT '' CHECK (length(applied_by) <= 100),
    closed_at timestamptz,
    closed_by text NOT NULL DEFAULT '' CHECK (length(closed_by) <= 100),
    UNIQUE (rule_id, check_id),
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agent (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, contact_id) REFERENCES contact (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX update_change_by_agent ON update_change (agent_id, id DESC);
CREATE INDEX update_change_by_contact ON update_change (contact_id, id DESC);
CREATE INDEX update_change_proposed ON update_change (agent_id, id DESC) WHERE state = 'proposed';
CREATE INDEX update_change_of_conversation ON update_change (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX update_change_age ON update_change (workspace_id, created_at);
