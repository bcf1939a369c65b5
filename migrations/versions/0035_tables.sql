-- Options of an extension can be named once it is loaded.
DO $$ BEGIN PERFORM '[1]'::vector; END $$;

-- A search by words looks at up to two thousand passages and shows fifty. Their rows hold a text and a vector, four to a
-- page, so it read a page of the table for each. Now what it has to look at lies in rows of its own, fifty to a page; the
-- lexemes themselves, which only the best candidates need, lie outside and are not compressed.
CREATE TABLE knowledge_lookup (
    passage_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    knowledge_base_id uuid NOT NULL,
    document_id uuid NOT NULL,
    category_id uuid,
    word_count integer NOT NULL,
    language text NOT NULL DEFAULT '',
    words tsvector NOT NULL
) WITH (toast_tuple_target = 128);
ALTER TABLE knowledge_lookup ALTER COLUMN words SET STORAGE EXTERNAL;

INSERT INTO knowledge_lookup (passage_id, workspace_id, knowledge_base_id, document_id, category_id, word_count, language, words)
    SELECT id, workspace_id, knowledge_base_id, document_id, category_id, word_count, language, words
    FROM knowledge_passage ORDER BY document_id, place;

CREATE INDEX knowledge_lookup_by_document ON knowledge_lookup (document_id);
ALTER TABLE knowledge_lookup ADD FOREIGN KEY (workspace_id, knowledge_base_id, document_id)
    REFERENCES knowledge_document (workspace_id, knowledge_base_id, id) ON DELETE CASCADE;
CREATE INDEX knowledge_lookup_words ON knowledge_lookup USING gin (words, (ARRAY[knowledge_base_id, category_id]))
    WITH (fastupdate = on, gin_pending_list_limit = 1024);

ALTER TABLE knowledge_lookup ENABLE ROW LEVEL SECURITY;
ALTER TABLE knowledge_lookup FORCE ROW LEVEL SECURITY;
CREATE POLICY of_workspace ON knowledge_lookup
    USING (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid)
    WITH CHECK (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON knowledge_lookup TO patchcord_app;
CREATE POLICY of_system ON knowledge_lookup TO patchcord_system USING (true) WITH CHECK (true);
GRANT SELECT ON knowledge_lookup TO patchcord_system;

DROP INDEX knowledge_passage_words;
ALTER TABLE knowledge_passage DROP COLUMN words, DROP COLUMN word_count;

-- How many passages a search has before it, by base, category and language: read from the index alone.
CREATE INDEX knowledge_document_sizes ON knowledge_document (workspace_id, knowledge_base_id)
    INCLUDE (category_id, language, passages);

-- A mistyped word is compared with the words of its base alone, and before statistics are there, too.
DROP INDEX knowledge_word_of_workspace;
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
        DROP INDEX IF EXISTS knowledge_word_alike;
        CREATE INDEX knowledge_word_alike ON knowledge_word USING gin (word gin_trgm_ops, (ARRAY[knowledge_base_id]))
            WITH (fastupdate = on, gin_pending_list_limit = 1024);
    END IF;
END $$;

-- A passage finds better neighbors when it is added: at half a million ten of the nearest ten are found instead of nine, with a
-- shorter walk. What is in an index already stays as it is until REINDEX.
DO $$
DECLARE dims integer;
BEGIN
    FOREACH dims IN ARRAY ARRAY[256, 384, 512, 768, 1024, 1536] LOOP
        EXECUTE format('ALTER INDEX knowledge_passage_%s SET (ef_construction = 128)', dims);
    END LOOP;
END $$;
