-- Who wants to be told what. `agent_ids` NULL: about every agent. `revision` grows with every change that what is
-- remembered of a subscription must not survive. `failing_since`: the first failure after the last success.
CREATE TABLE event_subscription (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    description text NOT NULL DEFAULT '' CHECK (length(description) <= 200),
    url text NOT NULL CHECK (length(url) <= 2000),
    allow_private_host boolean NOT NULL DEFAULT false,
    types text[] NOT NULL,
    agent_ids uuid[],
    is_on boolean NOT NULL DEFAULT true,
    off_reason text NOT NULL DEFAULT '' CHECK (off_reason IN ('', 'member', 'failing', 'gone')),
    off_at timestamptz,
    secrets jsonb NOT NULL DEFAULT '{}',
    secrets_version integer NOT NULL DEFAULT 1,
    previous_until timestamptz,
    revision integer NOT NULL DEFAULT 1,
    paused_until timestamptz,
    failing_since timestamptz,
    last_ok_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX event_subscription_by_workspace ON event_subscription (workspace_id, id);

-- One event on its way to one subscription. `line`: what is told in order (a conversation, else the event itself), by
-- `place`. `event_id`: the same for all subscriptions and all attempts. `owner`: number of the process that sends.
-- No reference to the subscription: it would make the turns of a workspace lock the same row.
CREATE TABLE event_delivery (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    conversation_id uuid REFERENCES conversation ON DELETE CASCADE,
    line uuid NOT NULL,
    place bigint GENERATED ALWAYS AS IDENTITY,
    payload jsonb NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sending', 'sent', 'failed', 'held')),
    attempt integer NOT NULL DEFAULT 0,
    claim_epoch integer NOT NULL DEFAULT 0,
    owner bigint,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL DEFAULT now() + interval '72 hours',
    send_started_at timestamptz,
    sent_at timestamptz,
    status integer,
    ms integer,
    answer text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    error text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX event_delivery_due ON event_delivery (subscription_id, next_attempt_at, place) WHERE state = 'pending';
CREATE INDEX event_delivery_line ON event_delivery (subscription_id, line, place) WHERE state IN ('pending', 'sending');
CREATE INDEX event_delivery_sending ON event_delivery (send_started_at) WHERE state = 'sending';
CREATE INDEX event_delivery_expiry ON event_delivery (expires_at) WHERE state = 'pending';
CREATE INDEX event_delivery_held ON event_delivery (id) WHERE state = 'held';
CREATE INDEX event_delivery_log ON event_delivery (subscription_id, id);
CREATE INDEX event_delivery_age ON event_delivery (workspace_id, created_at);
CREATE INDEX event_delivery_by_conversation ON event_delivery (conversation_id);

CREATE FUNCTION forget_events_of_subscription() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM event_delivery WHERE subscription_id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER event_subscription_deleted AFTER DELETE ON event_subscription FOR EACH ROW
    EXECUTE FUNCTION forget_events_of_subscription();
