-- One recorded call. `id`: the call's. `secrets`: the key of its sound, sealed by the workspace's; without it the parts are
-- noise. Both sides, 8000 samples a second.
CREATE TABLE call_recording (
    id uuid PRIMARY KEY REFERENCES phone_call ON DELETE CASCADE,
    workspace_id uuid NOT NULL,
    secrets jsonb NOT NULL,
    secrets_version integer NOT NULL DEFAULT 1,
    started_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX call_recording_by_age ON call_recording (workspace_id, started_at);

-- A few seconds of it. `epoch`: of the attachment that recorded them; a part is whole or not there, whatever dies when.
-- `samples`: of each side. `sealed`: G.711 mu-law, caller and agent in turns.
CREATE TABLE call_recording_part (
    recording_id uuid NOT NULL REFERENCES call_recording ON DELETE CASCADE,
    epoch integer NOT NULL,
    part integer NOT NULL,
    workspace_id uuid NOT NULL,
    samples integer NOT NULL CHECK (samples > 0),
    sealed bytea NOT NULL,
    PRIMARY KEY (recording_id, epoch, part)
);
ALTER TABLE call_recording_part ALTER COLUMN sealed SET STORAGE EXTERNAL;

ALTER TABLE call_recording ENABLE ROW LEVEL SECURITY;
ALTER TABLE call_recording FORCE ROW LEVEL SECURITY;
CREATE POLICY of_workspace ON call_recording
    USING (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid)
    WITH CHECK (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid);
ALTER TABLE call_recording_part ENABLE ROW LEVEL SECURITY;
ALTER TABLE call_recording_part FORCE ROW LEVEL SECURITY;
CREATE POLICY of_workspace ON call_recording_part
    USING (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid)
    WITH CHECK (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON call_recording, call_recording_part TO patchcord_app;

ALTER TABLE phone_call DROP COLUMN recording;
