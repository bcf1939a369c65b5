-- Searching and reading. Functions of the system see every row, so each names the workspace itself.

-- The next document to read, leased: one that waits, one whose reader died, a web page whose time has come.
CREATE FUNCTION claim_document(p_owner bigint, p_seconds integer)
RETURNS TABLE (workspace_id uuid, document_id uuid, claim bigint, attempts integer)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH waiting AS (
        SELECT w.id, w.queued_at AS due FROM knowledge_document w
        WHERE w.state IN ('waiting', 'reading', 'embedding')
          AND (w.state = 'waiting' OR w.lease_until < clock_timestamp())
        ORDER BY w.queued_at LIMIT 1 FOR UPDATE SKIP LOCKED
    ), again AS (
        SELECT w.id, w.next_read_at AS due FROM knowledge_document w
        WHERE w.next_read_at <= clock_timestamp() AND w.state IN ('ready', 'failed')
        ORDER BY w.next_read_at LIMIT 1 FOR UPDATE SKIP LOCKED
    ), next AS (
        SELECT n.id FROM (SELECT * FROM waiting UNION ALL SELECT * FROM again) n ORDER BY n.due LIMIT 1
    )
    UPDATE knowledge_document d SET
        attempts = CASE WHEN d.state IN ('waiting', 'ready', 'failed') THEN 1 ELSE d.attempts + 1 END,
        state = CASE WHEN d.state = 'embedding' THEN d.state ELSE 'reading' END,
        claim = d.claim + 1, owner = p_owner, lease_until = clock_timestamp() + make_interval(secs => p_seconds),
        next_read_at = NULL
    FROM next WHERE d.id = next.id
    RETURNING d.workspace_id, d.id, d.claim, d.attempts
$$;

-- A document that clients may open, by its public id.
CREATE FUNCTION find_source_page(p_public_id text) RETURNS TABLE (workspace_id uuid, document_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT d.workspace_id, d.id FROM knowledge_document d JOIN knowledge_base b ON b.id = d.knowledge_base_id
    WHERE d.public_id = p_public_id AND b.is_public AND d.read_at IS NOT NULL
$$;

-- Passages by the words of a query. Each word is one term: the word, its stems in the configurations, and a stem of our
-- own. A term weighs what it tells apart (inverse document frequency). Terms found in more than 2000 passages do not
-- bring candidates, they only add to those that others brought; so the work is bounded however large a base is.
-- `covered`: 0…1, how much of the query's weight the passage has. `terms`: which of the words, from 1.
CREATE FUNCTION search_passage_words(
    p_bases uuid[], p_words text[], p_stems text[], p_weights double precision[], p_categories uuid[], p_languages text[],
    p_since timestamptz, p_limit integer)
RETURNS TABLE (passage_id uuid, score double precision, covered double precision, terms integer[], found integer[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
    WITH scope AS (
        SELECT nullif(current_setting('app.workspace_id', true), '')::uuid AS workspace
    ), size AS (
        SELECT greatest(1, coalesce(sum(d.passages), 0))::double precision AS total
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

-- Passages by meaning: cosine similarity of vectors of one model. Few passages are compared one by one.
CREATE FUNCTION search_passage_vectors(
    p_bases uuid[], p_model text, p_vector text, p_dims integer, p_categories uuid[], p_languages text[],
    p_since timestamptz, p_limit integer)
RETURNS TABLE (passage_id uuid, similarity double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET hnsw.iterative_scan = 'relaxed_order' SET hnsw.ef_search = '100' SET hnsw.max_scan_tuples = '60000' AS $$
DECLARE
    w uuid := nullif(current_setting('app.workspace_id', true), '')::uuid;
    total bigint;
    place text;
BEGIN
    SELECT coalesce(sum(d.passages), 0) INTO total FROM knowledge_document d
        WHERE d.workspace_id = w AND d.knowledge_base_id = ANY (p_bases);
    place := CASE
        WHEN p_dims IN (256, 384, 512, 768, 1024, 1536) AND total > 2000
            THEN format('p.embedding::vector(%s) <=> $3::vector(%s)', p_dims, p_dims)
        ELSE 'p.embedding <=> $3::vector' END;
    RETURN QUERY EXECUTE format($query$
        SELECT n.id, 1 - n.distance FROM (
            SELECT p.id, %s AS distance FROM knowledge_passage p
            WHERE p.embedding_dims = %s AND p.embedding_model = $2 AND p.workspace_id = $1 AND p.knowledge_base_id = ANY ($4)
              AND ($5 IS NULL OR p.category_id = ANY ($5)) AND ($6 IS NULL OR p.language = ANY ($6))
              AND ($7 IS NULL OR p.document_id IN (
                    SELECT d.id FROM knowledge_document d WHERE d.workspace_id = $1 AND d.updated_at >= $7))
            ORDER BY distance LIMIT $8) n
        ORDER BY n.distance, n.id
    $query$, place, p_dims) USING w, p_model, p_vector, p_bases, p_categories, p_languages, p_since, p_limit;
END $$;

-- Words of the bases that look like these; none where pg_trgm is not installed.
CREATE FUNCTION similar_words(p_bases uuid[], p_words text[], p_limit integer)
RETURNS TABLE (word text, alike text, similarity double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET pg_trgm.similarity_threshold = '0.3' AS $$
#variable_conflict use_column
DECLARE
    w uuid := nullif(current_setting('app.workspace_id', true), '')::uuid;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE $query$
        SELECT u.word, a.word, a.similarity FROM unnest($1) u (word), LATERAL (
            SELECT k.word, similarity(k.word, u.word)::double precision AS similarity FROM knowledge_word k
            WHERE k.word % u.word AND k.knowledge_base_id = ANY ($2) AND k.workspace_id = $3
            ORDER BY similarity DESC, k.word LIMIT $4) a
    $query$ USING p_words, p_bases, w, p_limit;
END $$;
