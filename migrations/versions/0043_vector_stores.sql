-- Vectors of a base may be kept in another store, too. What is here stays the truth; there lies a copy.

-- One filling of one store with the vectors of one base. `place`: a digest of where that was; a copy is of no use anywhere
-- else. `dims`: lengths of vectors that may lie there. `total`: passages when filling began. No reference to the base: what is
-- left of a deleted one must be removed too.
CREATE TABLE knowledge_copy (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id uuid NOT NULL,
    knowledge_base_id uuid NOT NULL,
    credential_id uuid NOT NULL,
    place text NOT NULL CHECK (length(place) <= 100),
    state text NOT NULL DEFAULT 'filling' CHECK (state IN ('filling', 'serving', 'leaving')),
    dims integer[] NOT NULL DEFAULT '{}',
    total integer NOT NULL DEFAULT 0,
    error text NOT NULL DEFAULT '' CHECK (length(error) <= 500),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    claim bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id),
    FOREIGN KEY (workspace_id, credential_id) REFERENCES credential (workspace_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX knowledge_copy_of_base ON knowledge_copy (knowledge_base_id, state) WHERE state <> 'leaving';
CREATE INDEX knowledge_copy_by_credential ON knowledge_copy (workspace_id, credential_id);
CREATE INDEX knowledge_copy_due ON knowledge_copy (next_attempt_at);

-- Passages to look at again: what is here goes to the copy, what is not is removed there. `number` grows with each change, so
-- that one which came meanwhile is not taken for carried out.
CREATE TABLE knowledge_copy_change (
    copy_id uuid NOT NULL,
    passage_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    number bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (copy_id, passage_id),
    FOREIGN KEY (workspace_id, copy_id) REFERENCES knowledge_copy (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX knowledge_copy_change_of ON knowledge_copy_change (workspace_id, copy_id);

-- Whoever writes passages of a base and whoever begins to copy it see each other: what the one has not committed, the other
-- waits for.
CREATE FUNCTION lock_of_copies(p_base uuid) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$ SELECT hashtextextended('copies of ' || p_base, 0) $$;

CREATE FUNCTION note_passages_to_copy(p_base uuid, p_passages uuid[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(lock_of_copies(p_base));
    INSERT INTO knowledge_copy_change (copy_id, passage_id, workspace_id)
        SELECT c.id, p.id, c.workspace_id FROM knowledge_copy c, unnest(p_passages) p (id)
        WHERE c.knowledge_base_id = p_base AND c.state <> 'leaving'
        ORDER BY 1, 2
        ON CONFLICT (copy_id, passage_id) DO UPDATE SET number = knowledge_copy_change.number + 1;
    IF FOUND THEN
        PERFORM pg_notify('patchcord_documents', '');
    END IF;
END $$;

-- In the transaction that changes passages, whatever changes them: a reader, a person, a cascade, an erasure.
CREATE FUNCTION note_passages_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    changed record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        FOR changed IN SELECT i.knowledge_base_id AS base, array_agg(i.id) AS ids FROM made i
            WHERE i.embedding IS NOT NULL GROUP BY 1 ORDER BY 1 LOOP
            PERFORM note_passages_to_copy(changed.base, changed.ids);
        END LOOP;
    ELSIF TG_OP = 'DELETE' THEN
        FOR changed IN SELECT o.knowledge_base_id AS base, array_agg(o.id) AS ids FROM gone o
            WHERE o.embedding IS NOT NULL GROUP BY 1 ORDER BY 1 LOOP
            PERFORM note_passages_to_copy(changed.base, changed.ids);
        END LOOP;
    ELSE
        FOR changed IN SELECT i.knowledge_base_id AS base, array_agg(i.id) AS ids FROM made i JOIN gone o USING (id)
            WHERE (i.embedding IS NOT NULL OR o.embedding IS NOT NULL)
              AND (i.category_id IS DISTINCT FROM o.category_id OR i.language <> o.language
                   OR i.embedding_model IS DISTINCT FROM o.embedding_model OR i.embedding_dims IS DISTINCT FROM o.embedding_dims
                   OR i.embedding IS DISTINCT FROM o.embedding)
            GROUP BY 1 ORDER BY 1 LOOP
            PERFORM note_passages_to_copy(changed.base, changed.ids);
        END LOOP;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER passages_made AFTER INSERT ON knowledge_passage REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION note_passages_changed();
CREATE TRIGGER passages_gone AFTER DELETE ON knowledge_passage REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION note_passages_changed();
CREATE TRIGGER passages_changed AFTER UPDATE ON knowledge_passage REFERENCING OLD TABLE AS gone NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION note_passages_changed();

-- A search may ask for what changed lately, so the day of a document lies beside its vectors.
CREATE FUNCTION note_document_touched() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM note_passages_to_copy(NEW.knowledge_base_id, ARRAY(
        SELECT p.id FROM knowledge_passage p WHERE p.document_id = NEW.id AND p.embedding IS NOT NULL));
    RETURN NULL;
END $$;
CREATE TRIGGER document_touched AFTER UPDATE OF updated_at ON knowledge_document FOR EACH ROW
    WHEN (OLD.updated_at IS DISTINCT FROM NEW.updated_at) EXECUTE FUNCTION note_document_touched();

-- Copies of a deleted base are emptied.
CREATE FUNCTION leave_copies() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM knowledge_copy_change WHERE copy_id IN (SELECT c.id FROM knowledge_copy c WHERE c.knowledge_base_id = OLD.id);
    UPDATE knowledge_copy SET state = 'leaving', attempts = 0, next_attempt_at = now() WHERE knowledge_base_id = OLD.id;
    PERFORM pg_notify('patchcord_documents', '');
    RETURN OLD;
END $$;
CREATE TRIGGER base_gone BEFORE DELETE ON knowledge_base FOR EACH ROW EXECUTE FUNCTION leave_copies();

-- Begin to fill a store; one that was being filled is given up, one that serves goes on until this one is full.
CREATE FUNCTION begin_copy(p_base uuid, p_credential uuid, p_place text) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
    made uuid;
    passages integer;
BEGIN
    PERFORM pg_advisory_xact_lock(lock_of_copies(p_base));
    DELETE FROM knowledge_copy_change WHERE copy_id IN (
        SELECT c.id FROM knowledge_copy c WHERE c.knowledge_base_id = p_base AND c.state = 'filling');
    UPDATE knowledge_copy SET state = 'leaving', attempts = 0, next_attempt_at = now()
        WHERE knowledge_base_id = p_base AND state = 'filling';
    INSERT INTO knowledge_copy (workspace_id, knowledge_base_id, credential_id, place)
        VALUES (current_setting('app.workspace_id')::uuid, p_base, p_credential, p_place) RETURNING id INTO made;
    INSERT INTO knowledge_copy_change (copy_id, passage_id, workspace_id)
        SELECT made, p.id, p.workspace_id FROM knowledge_passage p
        WHERE p.knowledge_base_id = p_base AND p.workspace_id = current_setting('app.workspace_id')::uuid AND p.embedding IS NOT NULL;
    GET DIAGNOSTICS passages = ROW_COUNT;
    UPDATE knowledge_copy SET total = passages WHERE id = made;
    PERFORM pg_notify('patchcord_documents', '');
    RETURN made;
END $$;

-- The copy that has waited longest for work, leased. Works before a workspace is known.
CREATE FUNCTION claim_copy(p_seconds integer) RETURNS TABLE (workspace_id uuid, copy_id uuid, claim bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE knowledge_copy k SET claim = k.claim + 1, lease_until = clock_timestamp() + make_interval(secs => p_seconds)
        WHERE k.id = (
            SELECT c.id FROM knowledge_copy c
            WHERE c.next_attempt_at <= clock_timestamp() AND (c.lease_until IS NULL OR c.lease_until < clock_timestamp())
              AND (c.state <> 'serving' OR EXISTS (SELECT FROM knowledge_copy_change q WHERE q.copy_id = c.id))
            ORDER BY c.next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING k.workspace_id, k.id, k.claim
$$;

-- After a restore: the stores hold what another moment, or another installation, put there. They are filled anew under names of
-- their own, and what lies there is left alone: it may still serve where the backup was made.
CREATE FUNCTION renew_copies() RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    wanted record;
    renewed integer := 0;
BEGIN
    FOR wanted IN
        WITH old AS (DELETE FROM knowledge_copy RETURNING *)
        SELECT DISTINCT ON (o.knowledge_base_id) o.* FROM old o WHERE o.state <> 'leaving'
        ORDER BY o.knowledge_base_id, o.created_at DESC
    LOOP
        PERFORM set_config('app.workspace_id', wanted.workspace_id::text, true);
        PERFORM begin_copy(wanted.knowledge_base_id, wanted.credential_id, wanted.place);
        renewed := renewed + 1;
    END LOOP;
    PERFORM set_config('app.workspace_id', '', true);
    RETURN renewed;
END $$;
