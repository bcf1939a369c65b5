-- `revision` grows with every change that what is remembered of a channel must not survive.
ALTER TABLE channel
    ADD COLUMN label text NOT NULL DEFAULT '' CHECK (length(label) <= 200),
    ADD COLUMN secrets jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN secrets_version integer NOT NULL DEFAULT 0,
    ADD COLUMN previous_until timestamptz,
    ADD COLUMN revision integer NOT NULL DEFAULT 1,
    ADD COLUMN paused_until timestamptz,
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();

-- `place`: the order in which messages were committed, in which each recipient gets them. `owner`: number of the
-- process that sends. `unknown_since`: begin of the newest attempt that may have arrived. `done_parts`: requests of
-- this message that were answered. `evidence_id`: the vendor's id, when it told us by itself that the message arrived.
-- `on_unknown` NULL: as the channel is set up.
ALTER TABLE outbox
    ADD COLUMN place bigint GENERATED ALWAYS AS IDENTITY,
    ADD COLUMN queue text NOT NULL DEFAULT 'chat' CHECK (queue IN ('chat', 'bulk')),
    ADD COLUMN on_unknown text CHECK (on_unknown IN ('at_least_once', 'at_most_once')),
    ADD COLUMN expires_at timestamptz NOT NULL DEFAULT now() + interval '24 hours',
    ADD COLUMN owner bigint,
    ADD COLUMN first_send_at timestamptz,
    ADD COLUMN unknown_since timestamptz,
    ADD COLUMN possibly_duplicate boolean NOT NULL DEFAULT false,
    ADD COLUMN done_parts integer NOT NULL DEFAULT 0,
    ADD COLUMN evidence_id text NOT NULL DEFAULT '',
    ADD COLUMN error text NOT NULL DEFAULT '',
    ADD COLUMN sent_at timestamptz;
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (queue, channel_id, next_attempt_at, place) WHERE state = 'pending';
CREATE INDEX outbox_line ON outbox (channel_id, recipient, queue, place) WHERE state IN ('pending', 'sending');
CREATE INDEX outbox_sending ON outbox (send_started_at) WHERE state = 'sending';
CREATE INDEX outbox_expiry ON outbox (expires_at) WHERE state = 'pending';
CREATE INDEX outbox_by_key ON outbox (vendor_key) WHERE state IN ('pending', 'sending') AND vendor_key <> '';
CREATE INDEX outbox_by_conversation ON outbox (conversation_id);

-- What was given up, until somebody decides. `ref`: the inbox or outbox row, which holds what it was about.
CREATE TABLE dead_letter (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    source text NOT NULL CHECK (source IN ('inbox', 'outbox')),
    ref uuid NOT NULL,
    conversation_id uuid NOT NULL REFERENCES conversation ON DELETE CASCADE,
    agent_id uuid NOT NULL,
    channel_id uuid,
    channel_kind text NOT NULL,
    reason text NOT NULL,
    error text NOT NULL DEFAULT '',
    attempts integer NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    resolved_at timestamptz,
    resolved_by text NOT NULL DEFAULT '',
    resolved_how text NOT NULL DEFAULT '' CHECK (resolved_how IN ('', 'replayed', 'discarded'))
);
CREATE UNIQUE INDEX dead_letter_once ON dead_letter (source, ref) WHERE resolved_at IS NULL;
CREATE INDEX dead_letter_open ON dead_letter (workspace_id, id DESC) WHERE resolved_at IS NULL;
CREATE INDEX dead_letter_by_conversation ON dead_letter (conversation_id);
