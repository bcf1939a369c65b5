-- One write of a step to a customer system that was away. `key`: of the step's effect, so that a repeated turn puts nothing
-- aside twice. `write`: contract/crm_writing.CrmWrite, emptied when it is done. `made_under`: what → the key under which a
-- record may have been made already. `attempts` is also the epoch of the lease.
CREATE TABLE crm_write (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    agent_id uuid NOT NULL,
    conversation_id uuid NOT NULL REFERENCES conversation ON DELETE CASCADE,
    turn_id uuid NOT NULL,
    node_id text NOT NULL CHECK (length(node_id) <= 200),
    slot text NOT NULL CHECK (length(slot) <= 200),
    key text NOT NULL UNIQUE CHECK (length(key) <= 500),
    write jsonb NOT NULL,
    made_under jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed')),
    error text NOT NULL DEFAULT '' CHECK (length(error) <= 500),
    attempts integer NOT NULL DEFAULT 0,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_at timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz,
    done_at timestamptz,
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agent (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX crm_write_waiting ON crm_write (next_at, id) WHERE state = 'waiting';
CREATE INDEX crm_write_in_order ON crm_write (conversation_id, id);
CREATE INDEX crm_write_age ON crm_write (workspace_id, at);

ALTER TABLE crm_write ENABLE ROW LEVEL SECURITY;
ALTER TABLE crm_write FORCE ROW LEVEL SECURITY;
CREATE POLICY of_workspace ON crm_write
    USING (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid)
    WITH CHECK (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON crm_write TO patchcord_app;

-- Take writes whose time has come, for some seconds; of a conversation the oldest first, and the next one after it.
-- Works before a workspace is known. While a restored backup is being looked at, nothing is taken.
CREATE FUNCTION claim_crm_writes(p_limit integer, p_seconds integer)
RETURNS TABLE (workspace_id uuid, write_id uuid, attempts integer)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE crm_write SET leased_until = clock_timestamp() + make_interval(secs => p_seconds), attempts = attempts + 1
        WHERE id = ANY (ARRAY(
            SELECT w.id FROM crm_write w
            WHERE w.state = 'waiting' AND w.next_at <= clock_timestamp()
              AND (w.leased_until IS NULL OR w.leased_until < clock_timestamp())
              AND NOT EXISTS (SELECT FROM crm_write e WHERE e.conversation_id = w.conversation_id AND e.state = 'waiting'
                AND e.id < w.id)
              AND NOT EXISTS (SELECT FROM restore_guard g WHERE g.state = 'held')
            ORDER BY w.next_at, w.id LIMIT p_limit FOR UPDATE SKIP LOCKED))
        RETURNING crm_write.workspace_id, crm_write.id, crm_write.attempts
$$;

-- Exactly what the function above needs.
GRANT SELECT, UPDATE ON crm_write TO patchcord_system;
CREATE POLICY of_system ON crm_write TO patchcord_system USING (true) WITH CHECK (true);
