-- A talk is a call without a line: `member_id` holds it from the editor. Until its door is used it is 'dialing', with
-- `request_key` the hash of the ticket and `dial_until` the end of its time.
ALTER TABLE phone_call
    ADD COLUMN member_id uuid,
    ALTER COLUMN channel_id DROP NOT NULL,
    ADD CONSTRAINT phone_call_has_line CHECK (channel_id IS NOT NULL OR member_id IS NOT NULL);
CREATE UNIQUE INDEX phone_call_by_ticket ON phone_call (request_key) WHERE member_id IS NOT NULL;
CREATE INDEX phone_call_open_talks ON phone_call (workspace_id) WHERE member_id IS NOT NULL AND state <> 'ended';
