-- Passages by meaning, again. One index serves everybody, so a small base of a large installation could get fewer passages
-- than it has: the index is walked only so far. Now the size of what is asked decides; and whoever gets too few gets them
-- one by one.

DROP INDEX knowledge_passage_by_base;
CREATE INDEX knowledge_passage_by_base ON knowledge_passage (knowledge_base_id, category_id);

DROP FUNCTION search_passage_vectors(uuid[], text, text, integer, uuid[], text[], timestamptz, integer);

-- Cosine similarity of vectors of one model. `is_exact`: they were compared one by one. `p_one_by_one`: up to how many
-- passages are; NULL: what is quicker. To walk the index to p_limit passages of n among all N costs about p_limit * N / n
-- steps, each as much as four comparisons: they are even at n = sqrt(4 * p_limit * N). Vectors beyond 480 dimensions lie
-- outside their rows, which makes a comparison cost about as much as a step.
CREATE FUNCTION search_passage_vectors(
    p_bases uuid[], p_model text, p_vector text, p_dims integer, p_categories uuid[], p_languages text[],
    p_since timestamptz, p_limit integer, p_one_by_one integer DEFAULT NULL)
RETURNS TABLE (passage_id uuid, similarity double precision, is_exact boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET hnsw.iterative_scan = 'relaxed_order' SET hnsw.ef_search = '200' SET hnsw.max_scan_tuples = '40000'
SET hnsw.scan_mem_multiplier = '8' SET enable_seqscan = 'off' SET enable_sort = 'on' SET jit = 'off' AS $$
DECLARE
    w uuid := nullif(current_setting('app.workspace_id', true), '')::uuid;
    everything double precision;
    most integer := p_one_by_one;
    asked bigint := 0;
    ids uuid[];
    likenesses double precision[];
    narrowed text := format($part$
        FROM knowledge_passage p
        WHERE p.embedding_dims = %s AND p.embedding_model = $2 AND p.workspace_id = $1 AND p.knowledge_base_id = ANY ($4)
          AND ($5 IS NULL OR p.category_id = ANY ($5)) AND ($6 IS NULL OR p.language = ANY ($6))
          AND ($7 IS NULL OR p.document_id IN (
                SELECT d.id FROM knowledge_document d WHERE d.workspace_id = $1 AND d.updated_at >= $7))
    $part$, p_dims);
    chosen text := 'SELECT n.id, 1 - n.distance AS likeness FROM (SELECT p.id, %s AS distance %s ORDER BY distance LIMIT $8) n
        ORDER BY n.distance, n.id';
BEGIN
    IF p_dims IN (256, 384, 512, 768, 1024, 1536) THEN
        IF most IS NULL THEN
            SELECT greatest(0, c.reltuples) INTO everything FROM pg_class c
                WHERE c.oid = ('public.knowledge_passage_' || p_dims)::regclass;
            most := least(20000, greatest(2000, sqrt(CASE WHEN p_dims > 480 THEN 1 ELSE 4 END * p_limit * everything)))::integer;
        END IF;
        EXECUTE format('SELECT count(*) FROM (SELECT 1 %s LIMIT %s) n', narrowed, most + 1)
            INTO asked USING w, p_model, p_vector, p_bases, p_categories, p_languages, p_since, p_limit;
        IF asked > most THEN
            PERFORM set_config('enable_sort', 'off', true);  -- else the planner may sort thousands of rows after all
            EXECUTE format('SELECT array_agg(f.id), array_agg(f.likeness) FROM (' || chosen || ') f',
                format('p.embedding::vector(%s) <=> $3::vector(%s)', p_dims, p_dims), narrowed)
                INTO ids, likenesses USING w, p_model, p_vector, p_bases, p_categories, p_languages, p_since, p_limit;
            PERFORM set_config('enable_sort', 'on', true);
            IF cardinality(ids) >= p_limit THEN
                RETURN QUERY SELECT u.id, u.likeness, false FROM unnest(ids, likenesses) u (id, likeness);
                RETURN;
            END IF;
        END IF;
    END IF;
    RETURN QUERY EXECUTE format('SELECT f.id, f.likeness, true FROM (' || chosen || ') f', 'p.embedding <=> $3::vector', narrowed)
        USING w, p_model, p_vector, p_bases, p_categories, p_languages, p_since, p_limit;
END $$;

GRANT CREATE ON SCHEMA public TO patchcord_system;
ALTER FUNCTION search_passage_vectors(uuid[], text, text, integer, uuid[], text[], timestamptz, integer, integer)
    OWNER TO patchcord_system;
REVOKE CREATE ON SCHEMA public FROM patchcord_system;
REVOKE ALL ON FUNCTION search_passage_vectors(uuid[], text, text, integer, uuid[], text[], timestamptz, integer, integer)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_passage_vectors(uuid[], text, text, integer, uuid[], text[], timestamptz, integer, integer)
    TO patchcord_app;

-- Passages by the words of a query, again: a base counts as a hundred passages at least. Of two or three, a word that is in
-- all of them would tell nothing, and what was asked about would not be sure.
CREATE OR REPLACE FUNCTION search_passage_words(
    p_bases uuid[], p_words text[], p_stems text[], p_weights double precision[], p_categories uuid[], p_languages text[],
    p_since timestamptz, p_limit integer)
RETURNS TABLE (passage_id uuid, score double precision, covered double precision, terms integer[], found integer[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
    WITH scope AS (
        SELECT nullif(current_setting('app.workspace_id', true), '')::uuid AS workspace
    ), size AS (
        SELECT greatest(100, coalesce(sum(d.passages), 0))::double precision AS total
        FROM knowledge_document d, scope WHERE d.workspace_id = scope.workspace AND d.knowledge_base_id = ANY (p_bases)
    ), term AS (
        SELECT u.place::integer AS place, u.weight,
            plainto_tsquery('simple', u.word) || plainto_tsquery('english', u.word) || plainto_tsquery('russian', u.word)
                || plainto_tsquery('simple', u.stem) AS query
        FROM unnest(p_words, p_stems, p_weights) WITH ORDINALITY u (word, stem, weight, place)
    ), hit AS MATERIALIZED (
        SELECT term.place, h.id, h.word_count FROM scope, term, LATERAL (
            SELECT p.id, p.word_count FROM knowledge_passage p
            WHERE p.words @@ term.query AND p.workspace_id = scope.workspace AND p.knowledge_base_id = ANY (p_bases)
              AND (p_categories IS NULL OR p.category_id = ANY (p_categories))
              AND (p_languages IS NULL OR p.language = ANY (p_languages))
              AND (p_since IS NULL OR p.document_id IN (
                    SELECT d.id FROM knowledge_document d WHERE d.workspace_id = scope.workspace AND d.updated_at >= p_since))
            LIMIT 2000) h
    ), weighed AS (
        SELECT term.place, term.query, coalesce(n.found, 0)::integer AS found,
            -- A word that is nowhere weighs as one that is in a single passage.
            term.weight * ln(1 + (greatest(size.total, n.found) - greatest(n.found, 1) + 0.5) / (greatest(n.found, 1) + 0.5)) AS idf
        FROM size, term LEFT JOIN (SELECT hit.place, count(*) AS found FROM hit GROUP BY 1) n USING (place)
    ), telling AS (
        SELECT w.place, w.idf FROM weighed w
        WHERE w.found BETWEEN 1 AND 1999 OR NOT EXISTS (SELECT FROM weighed o WHERE o.found BETWEEN 1 AND 1999)
    ), candidate AS (
        SELECT hit.id, min(hit.word_count) AS word_count, sum(telling.idf) AS raw, array_agg(hit.place ORDER BY hit.place) AS places
        FROM hit JOIN telling USING (place) GROUP BY hit.id ORDER BY 3 DESC, 2 LIMIT greatest(200, p_limit)
    ), complete AS (
        SELECT c.id, c.word_count, c.raw + coalesce(more.raw, 0) AS raw, c.places || coalesce(more.places, '{}') AS places
        FROM candidate c JOIN knowledge_passage p ON p.id = c.id, LATERAL (
            SELECT sum(w.idf) AS raw, array_agg(w.place) AS places FROM weighed w
            WHERE w.place <> ALL (SELECT t.place FROM telling t) AND p.words @@ w.query) more
    )
    SELECT c.id, c.raw / (0.75 + 0.25 * least(3, c.word_count / 90.0)),
        c.raw / (SELECT greatest(sum(w.idf), 0.001) FROM weighed w), c.places,
        (SELECT array_agg(w.found ORDER BY w.place) FROM weighed w)
    FROM complete c ORDER BY 2 DESC, c.id LIMIT p_limit
$$;
