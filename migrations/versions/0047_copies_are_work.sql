-- Since when a passage waits; a further change of it does not make it younger.
ALTER TABLE knowledge_copy_change ADD COLUMN since timestamptz NOT NULL DEFAULT now();

-- Since when a copy is to be emptied, whoever said so.
ALTER TABLE knowledge_copy ADD COLUMN leaves_since timestamptz;
UPDATE knowledge_copy SET leaves_since = now() WHERE state = 'leaving';
CREATE FUNCTION note_copy_leaves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.leaves_since := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER copy_leaves BEFORE UPDATE OF state ON knowledge_copy FOR EACH ROW
    WHEN (NEW.state = 'leaving' AND OLD.state <> 'leaving') EXECUTE FUNCTION note_copy_leaves();

-- How many changes were carried out, by the minute; kept for two hours.
CREATE TABLE knowledge_copied (
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    minute timestamptz NOT NULL,
    changes integer NOT NULL,
    PRIMARY KEY (workspace_id, minute)
);
ALTER TABLE knowledge_copied ENABLE ROW LEVEL SECURITY;
ALTER TABLE knowledge_copied FORCE ROW LEVEL SECURITY;
CREATE POLICY of_workspace ON knowledge_copied
    USING (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid)
    WITH CHECK (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON knowledge_copied TO patchcord_app;

ALTER TABLE work_pause DROP CONSTRAINT work_pause_line_check,
    ADD CONSTRAINT work_pause_line_check CHECK (line IN ('outbox', 'bulk', 'integrations', 'ingest', 'timers', 'copies'));

-- As it was, but not where copies are stopped.
CREATE OR REPLACE FUNCTION claim_copy(p_seconds integer) RETURNS TABLE (workspace_id uuid, copy_id uuid, claim bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE knowledge_copy k SET claim = k.claim + 1, lease_until = clock_timestamp() + make_interval(secs => p_seconds)
        WHERE k.id = (
            SELECT c.id FROM knowledge_copy c
            WHERE c.next_attempt_at <= clock_timestamp() AND (c.lease_until IS NULL OR c.lease_until < clock_timestamp())
              AND (c.state <> 'serving' OR EXISTS (SELECT FROM knowledge_copy_change q WHERE q.copy_id = c.id))
              AND array_position((SELECT paused_in('copies')), c.workspace_id) IS NULL
            ORDER BY c.next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING k.workspace_id, k.id, k.claim
$$;

-- Of all workspaces: passages and copies that wait, since when the first of them does where nobody stopped it, and copies whose
-- last attempt failed.
CREATE FUNCTION figures_of_copies() RETURNS TABLE (name text, label text, value double precision)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH work AS (
        SELECT q.workspace_id, q.since FROM knowledge_copy_change q
        UNION ALL SELECT c.workspace_id, c.leaves_since FROM knowledge_copy c WHERE c.state = 'leaving'
    )
    SELECT 'copies_waiting', '', count(*)::float8 FROM work
    UNION ALL SELECT 'overdue_seconds', 'copies', coalesce(extract(epoch FROM clock_timestamp() - min(w.since)), 0)::float8
        FROM work w WHERE array_position((SELECT paused_in('copies')), w.workspace_id) IS NULL
    UNION ALL SELECT 'copies_failing', '', count(*)::float8 FROM knowledge_copy c WHERE c.error <> ''
$$;
GRANT CREATE ON SCHEMA public TO patchcord_system;
ALTER FUNCTION figures_of_copies() OWNER TO patchcord_system;
REVOKE ALL ON FUNCTION figures_of_copies() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION figures_of_copies() TO patchcord_app;
REVOKE CREATE ON SCHEMA public FROM patchcord_system;
