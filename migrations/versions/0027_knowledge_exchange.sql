-- What an article has beside its text, bases that travel from one installation to another, and files outside the database.

-- `told_language`: what its author says; '': what is recognised. `attached_to`: the article that a file belongs to.
-- `origin`: the id it had where it was imported from, so that importing twice changes instead of doubling.
ALTER TABLE knowledge_document
    ADD COLUMN told_language text NOT NULL DEFAULT '' CHECK (length(told_language) <= 10),
    ADD COLUMN attached_to uuid,
    ADD COLUMN origin text NOT NULL DEFAULT '' CHECK (length(origin) <= 100),
    ADD FOREIGN KEY (workspace_id, knowledge_base_id, attached_to)
        REFERENCES knowledge_document (workspace_id, knowledge_base_id, id) ON DELETE CASCADE;
CREATE INDEX knowledge_document_attached ON knowledge_document (workspace_id, knowledge_base_id, attached_to)
    WHERE attached_to IS NOT NULL;
CREATE UNIQUE INDEX knowledge_document_origin ON knowledge_document (knowledge_base_id, origin) WHERE origin <> '';
CREATE INDEX knowledge_document_titled ON knowledge_document (knowledge_base_id, kind, md5(lower(title)));

-- "See also", from both sides.
CREATE TABLE knowledge_relation (
    document_id uuid NOT NULL,
    other_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    knowledge_base_id uuid NOT NULL,
    PRIMARY KEY (document_id, other_id),
    CHECK (document_id < other_id),
    FOREIGN KEY (workspace_id, knowledge_base_id, document_id)
        REFERENCES knowledge_document (workspace_id, knowledge_base_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, knowledge_base_id, other_id)
        REFERENCES knowledge_document (workspace_id, knowledge_base_id, id) ON DELETE CASCADE
);
CREATE INDEX knowledge_relation_of_document ON knowledge_relation (workspace_id, knowledge_base_id, document_id);
CREATE INDEX knowledge_relation_of_other ON knowledge_relation (workspace_id, knowledge_base_id, other_id);

-- A file on its way into a base. `position`: entries that are done, in one transaction with what they became.
CREATE TABLE knowledge_import (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    knowledge_base_id uuid NOT NULL,
    file_name text NOT NULL CHECK (length(file_name) <= 200),
    content bytea,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed', 'canceled')),
    total integer NOT NULL DEFAULT 0,
    position integer NOT NULL DEFAULT 0,
    created integer NOT NULL DEFAULT 0,
    updated integer NOT NULL DEFAULT 0,
    unchanged integer NOT NULL DEFAULT 0,
    broken integer NOT NULL DEFAULT 0,
    error text NOT NULL DEFAULT '',
    member_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    finished_at timestamptz,
    UNIQUE (workspace_id, id),
    FOREIGN KEY (workspace_id, knowledge_base_id) REFERENCES knowledge_base (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX knowledge_import_waiting ON knowledge_import (id) WHERE state = 'waiting';
CREATE INDEX knowledge_import_of_base ON knowledge_import (workspace_id, knowledge_base_id, id DESC);

CREATE TABLE knowledge_import_problem (
    import_id uuid NOT NULL,
    entry integer NOT NULL,
    workspace_id uuid NOT NULL,
    about text NOT NULL CHECK (length(about) <= 200),
    message text NOT NULL CHECK (length(message) <= 500),
    PRIMARY KEY (import_id, entry, message),
    FOREIGN KEY (workspace_id, import_id) REFERENCES knowledge_import (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX knowledge_import_problem_of ON knowledge_import_problem (workspace_id, import_id);

-- Take the oldest file that nobody works on, for some seconds. Works before a workspace is known.
CREATE FUNCTION claim_knowledge_import(p_seconds integer)
RETURNS TABLE (workspace_id uuid, import_id uuid, attempts integer)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE knowledge_import SET leased_until = clock_timestamp() + make_interval(secs => p_seconds), attempts = attempts + 1
        WHERE id = (SELECT i.id FROM knowledge_import i WHERE i.state = 'waiting'
                      AND (i.leased_until IS NULL OR i.leased_until < clock_timestamp())
                    ORDER BY i.id LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING knowledge_import.workspace_id, knowledge_import.id, knowledge_import.attempts
$$;

-- Files outside the database ----------------------------------------------------------------------------------------------

-- `place`: where the bytes lie, '' for here.
ALTER TABLE knowledge_source
    ADD COLUMN place text NOT NULL DEFAULT '' CHECK (length(place) <= 300),
    ALTER COLUMN content DROP NOT NULL,
    ADD CHECK ((place = '') = (content IS NOT NULL));
ALTER TABLE file
    ADD COLUMN place text NOT NULL DEFAULT '' CHECK (length(place) <= 300),
    ALTER COLUMN content DROP NOT NULL,
    ADD CHECK ((place = '') = (content IS NOT NULL));

-- What lies outside and belongs to no row: written before it gets a row, and after its row is gone. A worker removes it
-- when its time has come. No reference to a workspace: what is left of a deleted one must be removed too.
CREATE TABLE stored_object (
    place text PRIMARY KEY CHECK (length(place) <= 300),
    workspace_id uuid NOT NULL,
    remove_at timestamptz NOT NULL,
    is_going boolean NOT NULL DEFAULT false
);
CREATE INDEX stored_object_due ON stored_object (remove_at);

CREATE FUNCTION note_object_gone() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF OLD.place <> '' AND (TG_OP = 'DELETE' OR NEW.place IS DISTINCT FROM OLD.place) THEN
        INSERT INTO stored_object (place, workspace_id, remove_at) VALUES (OLD.place, OLD.workspace_id, clock_timestamp())
            ON CONFLICT (place) DO UPDATE SET remove_at = excluded.remove_at;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER object_gone AFTER DELETE OR UPDATE OF place ON knowledge_source FOR EACH ROW EXECUTE FUNCTION note_object_gone();
CREATE TRIGGER object_gone AFTER DELETE OR UPDATE OF place ON file FOR EACH ROW EXECUTE FUNCTION note_object_gone();

-- Objects to remove; from now on no row can get them. They are told again after p_seconds if they were not forgotten.
CREATE FUNCTION claim_removals(p_limit integer, p_seconds integer) RETURNS TABLE (place text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE stored_object SET is_going = true, remove_at = clock_timestamp() + make_interval(secs => p_seconds)
        WHERE stored_object.place IN (SELECT o.place FROM stored_object o WHERE o.remove_at <= clock_timestamp()
                                      ORDER BY o.remove_at LIMIT p_limit FOR UPDATE SKIP LOCKED)
        RETURNING stored_object.place
$$;
CREATE FUNCTION forget_removed(p_places text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DELETE FROM stored_object WHERE place = ANY (p_places) AND is_going
$$;

-- How fetching ended. `p_error` "": the file is `p_content`, or lies at `p_place`. `p_again` NULL with an error: given up.
DROP FUNCTION finish_fetch(uuid, uuid, bigint, text, bytea, text, double precision);
CREATE FUNCTION finish_fetch(
    p_workspace uuid, p_id uuid, p_owner bigint, p_mime text, p_content bytea, p_place text, p_size integer, p_error text,
    p_again double precision
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    f file_fetch%ROWTYPE;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    SELECT * INTO f FROM file_fetch WHERE id = p_id AND owner = p_owner AND state = 'fetching' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF p_error = '' THEN
        IF p_place <> '' THEN
            DELETE FROM stored_object WHERE place = p_place AND NOT is_going;
            IF NOT FOUND THEN
                RETURN false;
            END IF;
        END IF;
        INSERT INTO file (id, workspace_id, conversation_id, name, mime, size, content, place)
            VALUES (f.id, p_workspace, f.conversation_id, f.name, p_mime, p_size, p_content, p_place)
            ON CONFLICT (id) DO NOTHING;
        DELETE FROM file_fetch WHERE id = p_id;
    ELSIF p_again IS NOT NULL THEN
        UPDATE file_fetch SET state = 'pending', owner = NULL, error = p_error,
            next_attempt_at = clock_timestamp() + make_interval(secs => p_again) WHERE id = p_id;
    ELSE
        UPDATE file_fetch SET state = 'failed', owner = NULL, error = p_error WHERE id = p_id;
        UPDATE message SET flags = flags || jsonb_build_object('files_failed',
                coalesce(flags -> 'files_failed', '[]') || to_jsonb(p_id::text))
            WHERE conversation_id = f.conversation_id AND seq = f.seq;
    END IF;
    RETURN true;
END $$;
