-- Whether something that the agent said waits for somebody's approval: what it says next waits behind it.
ALTER TABLE conversation ADD COLUMN holds boolean NOT NULL DEFAULT false;

-- What the agent said and nobody has sent yet. It is no row of `message` until then, so nobody but a member can read it.
-- `place`: its place in the order of the outbox, which it keeps when it is sent. `recipient` NULL: the channel pulls.
-- `needs_approval` false: it only waits behind one that does. `due_at`: when `on_timeout` decides; set once it is the first
-- of its conversation. `sent_parts`, `sent_text`: what went out in its place, where somebody changed it. `seq`: the
-- message that it became, or the last one before it was refused.
CREATE TABLE held_message (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    conversation_id uuid NOT NULL REFERENCES conversation ON DELETE CASCADE,
    place bigint NOT NULL DEFAULT nextval('outbox_place_seq'),
    channel_id uuid,
    recipient text,
    key text NOT NULL,
    parts jsonb NOT NULL,
    text text NOT NULL DEFAULT '',
    node_id text NOT NULL DEFAULT '',
    turn_id uuid,
    initiated_by text NOT NULL DEFAULT 'reply',
    needs_approval boolean NOT NULL,
    wait_seconds integer CHECK (wait_seconds > 0),
    on_timeout text NOT NULL DEFAULT 'discard' CHECK (on_timeout IN ('send', 'discard', 'hand_off')),
    queue_id uuid,
    due_at timestamptz,
    state text NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'sent', 'edited', 'replaced', 'rejected', 'withdrawn')),
    decided_by text NOT NULL DEFAULT '' CHECK (decided_by IN ('', 'member', 'time', 'taken', 'ended', 'order')),
    member_id uuid,
    decided_at timestamptz,
    sent_parts jsonb,
    sent_text text,
    seq integer,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (workspace_id, queue_id) REFERENCES queue (workspace_id, id) ON DELETE SET NULL (queue_id),
    FOREIGN KEY (workspace_id, member_id) REFERENCES member (workspace_id, id) ON DELETE SET NULL (member_id)
);
CREATE INDEX held_message_place ON held_message (conversation_id, place);
CREATE INDEX held_message_waiting ON held_message (workspace_id, place) WHERE state = 'waiting' AND needs_approval;
CREATE INDEX held_message_line ON held_message (channel_id, recipient, place) WHERE state = 'waiting';
CREATE INDEX held_message_due ON held_message (due_at) WHERE state = 'waiting' AND due_at IS NOT NULL;
CREATE INDEX held_message_by_queue ON held_message (queue_id) WHERE queue_id IS NOT NULL;
CREATE INDEX held_message_by_member ON held_message (member_id) WHERE member_id IS NOT NULL;
GRANT USAGE ON SEQUENCE outbox_place_seq TO patchcord_app;

-- What a turn is told: how the agent answers (`agent.settings`), and whether something waits before what it will say.
ALTER TYPE leased_turn ADD ATTRIBUTE answering jsonb;
ALTER TYPE leased_turn ADD ATTRIBUTE holds boolean;
