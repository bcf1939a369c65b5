-- Where conversations wait for a person. `number`: where calls are transferred; `goal_seconds`: to be accepted within.
CREATE TABLE queue (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    number text NOT NULL DEFAULT '' CHECK (length(number) <= 200),
    goal_seconds integer NOT NULL DEFAULT 120 CHECK (goal_seconds BETWEEN 10 AND 86400),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id)
);
CREATE UNIQUE INDEX queue_name ON queue (workspace_id, lower(name));

-- Who answers a queue. One without members is everybody's.
CREATE TABLE queue_member (
    queue_id uuid NOT NULL,
    member_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    PRIMARY KEY (queue_id, member_id),
    FOREIGN KEY (workspace_id, queue_id) REFERENCES queue (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, member_id) REFERENCES member (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX queue_member_by_member ON queue_member (member_id);

-- A conversation that a person has or is to have. `node_id`: the step that asked; "" taken over without being asked.
-- `kept_due_at`: the time at which the flow would have gone on by itself, put aside until the conversation comes back.
CREATE TABLE hand_off (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    conversation_id uuid NOT NULL REFERENCES conversation ON DELETE CASCADE,
    queue_id uuid,
    node_id text NOT NULL DEFAULT '',
    state text NOT NULL CHECK (state IN ('waiting', 'accepted', 'returned', 'timed_out', 'ended')),
    priority integer NOT NULL DEFAULT 1 CHECK (priority BETWEEN 0 AND 3),
    summary text NOT NULL DEFAULT '',
    return_by text NOT NULL DEFAULT 'queue' CHECK (return_by IN ('holder', 'queue', 'nobody')),
    member_id uuid,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    accepted_at timestamptz,
    closed_at timestamptz,
    note text NOT NULL DEFAULT '',
    outcome text NOT NULL DEFAULT '',
    kept_due_at timestamptz,
    FOREIGN KEY (workspace_id, queue_id) REFERENCES queue (workspace_id, id) ON DELETE SET NULL (queue_id),
    FOREIGN KEY (workspace_id, member_id) REFERENCES member (workspace_id, id) ON DELETE SET NULL (member_id)
);
CREATE UNIQUE INDEX hand_off_open ON hand_off (conversation_id) WHERE closed_at IS NULL;
CREATE INDEX hand_off_by_conversation ON hand_off (conversation_id, id);
CREATE INDEX hand_off_waiting ON hand_off (workspace_id, state, priority DESC, requested_at) WHERE closed_at IS NULL;
CREATE INDEX hand_off_by_queue ON hand_off (queue_id);
CREATE INDEX hand_off_by_member ON hand_off (member_id);

-- The open hand-off of a conversation; while there is one, what the contact writes starts no turn.
ALTER TABLE conversation ADD COLUMN hand_off_id uuid;
ALTER TABLE inbox DROP CONSTRAINT inbox_kind_check;
ALTER TABLE inbox ADD CONSTRAINT inbox_kind_check
    CHECK (kind IN ('start', 'message', 'timer', 'restart', 'hand_off'));

-- What members write for each other; no contact ever sees it.
CREATE TABLE conversation_note (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    conversation_id uuid NOT NULL REFERENCES conversation ON DELETE CASCADE,
    member_id uuid,
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 4000),
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (workspace_id, member_id) REFERENCES member (workspace_id, id) ON DELETE SET NULL (member_id)
);
CREATE INDEX conversation_note_place ON conversation_note (conversation_id, id);
CREATE INDEX conversation_note_by_member ON conversation_note (member_id);

-- Ready replies. `texts`: language → text.
CREATE TABLE canned_reply (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    shortcut text NOT NULL CHECK (shortcut ~ '^[[:alnum:]_-]{1,40}$'),
    texts jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX canned_reply_shortcut ON canned_reply (workspace_id, lower(shortcut));

-- Whether a member answers now. `seen_at`: when their Inbox was last open.
CREATE TABLE presence (
    member_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    is_online boolean NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (workspace_id, member_id) REFERENCES member (workspace_id, id) ON DELETE CASCADE
);

-- How far a member has read a conversation.
CREATE TABLE read_mark (
    conversation_id uuid NOT NULL REFERENCES conversation ON DELETE CASCADE,
    member_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    seq integer NOT NULL,
    PRIMARY KEY (conversation_id, member_id),
    FOREIGN KEY (workspace_id, member_id) REFERENCES member (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX read_mark_by_member ON read_mark (member_id);
