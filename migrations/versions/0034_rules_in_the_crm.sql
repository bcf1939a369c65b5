-- A write of an update rule names its connection itself, and the change that it belongs to. `revived_at`: when somebody asked to
-- try it again. "dropped": its change was undone before it was written.
ALTER TABLE crm_write
    ADD COLUMN credential_id uuid,
    ADD COLUMN change_id uuid REFERENCES update_change ON DELETE CASCADE,
    ADD COLUMN revived_at timestamptz,
    ADD CONSTRAINT crm_write_of_credential
        FOREIGN KEY (workspace_id, credential_id) REFERENCES credential (workspace_id, id) ON DELETE CASCADE,
    DROP CONSTRAINT crm_write_state_check,
    ADD CONSTRAINT crm_write_state_check CHECK (state IN ('waiting', 'done', 'failed', 'dropped'));
CREATE INDEX crm_write_of_change ON crm_write (change_id) WHERE change_id IS NOT NULL;

-- What a customer system did not take is a dead letter as well.
ALTER TABLE dead_letter
    DROP CONSTRAINT dead_letter_source_check,
    ADD CONSTRAINT dead_letter_source_check CHECK (source IN ('inbox', 'outbox', 'crm'));
