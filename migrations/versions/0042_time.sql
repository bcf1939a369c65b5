-- What a chain writes belongs to a contact and to no conversation.
ALTER TABLE crm_write ALTER COLUMN conversation_id DROP NOT NULL, ALTER COLUMN turn_id DROP NOT NULL,
    ADD COLUMN contact_id uuid REFERENCES contact ON DELETE CASCADE,
    ADD CHECK (conversation_id IS NOT NULL OR contact_id IS NOT NULL);
CREATE INDEX crm_write_of_contact ON crm_write (contact_id, id) WHERE contact_id IS NOT NULL;

CREATE OR REPLACE FUNCTION claim_crm_writes(p_limit integer, p_seconds integer)
RETURNS TABLE (workspace_id uuid, write_id uuid, attempts integer)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE crm_write SET leased_until = clock_timestamp() + make_interval(secs => p_seconds), attempts = attempts + 1
        WHERE id = ANY (ARRAY(
            SELECT w.id FROM crm_write w
            WHERE w.state = 'waiting' AND w.next_at <= clock_timestamp()
              AND (w.leased_until IS NULL OR w.leased_until < clock_timestamp())
              AND NOT EXISTS (SELECT FROM crm_write e WHERE e.conversation_id = w.conversation_id AND e.state = 'waiting'
                AND e.id < w.id)
              AND NOT EXISTS (SELECT FROM crm_write e WHERE e.contact_id = w.contact_id AND e.state = 'waiting' AND e.id < w.id)
              AND NOT EXISTS (SELECT FROM restore_guard g WHERE g.state = 'held')
            ORDER BY w.next_at, w.id LIMIT p_limit FOR UPDATE SKIP LOCKED))
        RETURNING crm_write.workspace_id, crm_write.id, crm_write.attempts
$$;

-- What is to be sent is found by its index, however many wait. Believing that the table is as small as it was when it was last
-- looked at, the planner reads and sorts the whole backlog of a broadcast for each claim.
ALTER FUNCTION claim_deliveries(bigint, text, integer, integer, uuid[])
    SET enable_sort = off SET enable_seqscan = off SET enable_bitmapscan = off;
ALTER FUNCTION claim_events(bigint, integer, integer, uuid[])
    SET enable_sort = off SET enable_seqscan = off SET enable_bitmapscan = off;

-- What chains did with a contact is counted by their limits and shown on the contact's page: one index for both.
CREATE INDEX chain_log_of_contact ON chain_log (contact_id, at);
DROP INDEX chain_log_said;
