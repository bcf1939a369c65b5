-- A connection that is deleted takes its writes along; without this they are looked for one by one.
CREATE INDEX crm_write_of_connection ON crm_write (credential_id) WHERE credential_id IS NOT NULL;

-- A connection to Kommo that was made before changes could be heard gets an address, and a worker tells it to the account. Whoever
-- decided against listening is left alone.
INSERT INTO crm_link (workspace_id, credential_id, connector, public_id, state, problem)
    SELECT c.workspace_id, c.id, c.connector, replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'failed',
        'The account has not been told our address yet. That happens by itself within minutes.'
    FROM credential c
    WHERE c.connector = 'kommo' AND NOT EXISTS (
        SELECT FROM audit a WHERE a.workspace_id = c.workspace_id AND a.action = 'credential.listens_no_more'
            AND a.ids ->> 'credential_id' = c.id::text)
    ON CONFLICT (credential_id) DO NOTHING;
