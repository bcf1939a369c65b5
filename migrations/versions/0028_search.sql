-- Searching half a million passages. What was slow: the vector lay outside its row, so comparing one by one read three
-- pages for each; a word that is in a third of all passages was looked up for the whole installation before the base was
-- looked at; every word was counted up to 2000 rows; and counting what a filter leaves read every row of it.

-- Inside the row while it fits into a page; texts and words, which few passages of a search need, go outside first.
ALTER TABLE knowledge_passage ALTER COLUMN embedding SET STORAGE MAIN;

DROP INDEX knowledge_passage_by_base;
CREATE INDEX knowledge_passage_by_base ON knowledge_passage (knowledge_base_id, category_id, language);

DROP INDEX knowledge_passage_words;
-- Entries of new passages wait in a list of at most a megabyte and are merged together: a passage has two hundred, many of
-- them the same as its neighbour's. A search reads the list in a fraction of a millisecond.
CREATE INDEX knowledge_passage_words ON knowledge_passage USING gin (words, (ARRAY[knowledge_base_id, category_id]))
    WITH (fastupdate = on, gin_pending_list_limit = 1024);
ALTER INDEX IF EXISTS knowledge_word_alike SET (fastupdate = on, gin_pending_list_limit = 1024);

-- Half-precision in the index: half of its size, so half of the pages of a walk. The order within a result is exact.
DO $$
DECLARE dims integer;
BEGIN
    FOREACH dims IN ARRAY ARRAY[256, 384, 512, 768, 1024, 1536] LOOP
        EXECUTE format('DROP INDEX knowledge_passage_%s', dims);
        EXECUTE format('CREATE INDEX knowledge_passage_%1$s ON knowledge_passage'
            ' USING hnsw ((embedding::halfvec(%1$s)) halfvec_cosine_ops) WHERE embedding_dims = %1$s', dims);
    END LOOP;
END $$;

DROP FUNCTION search_passage_vectors(uuid[], text, text, integer, uuid[], text[], timestamptz, integer, integer);

-- Cosine similarity of vectors of one model. `is_exact`: they were compared one by one. `p_one_by_one`: up to how many
-- passages are; NULL: what is quicker. To walk the index to p_limit passages of n among all N costs about p_limit * N / n
-- steps. Each reads a page for every neighbour of a passage, which is as much as twenty comparisons in rows that lie side
-- by side: they are even at n = sqrt(20 * p_limit * N). A walk gives thirty at most.
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
    chosen text := 'SELECT n.id, 1 - (n.embedding <=> $3::vector) AS likeness FROM (
        SELECT p.id, p.embedding, %s AS distance %s ORDER BY distance LIMIT %s) n ORDER BY 2 DESC, n.id LIMIT $8';
BEGIN
    IF p_dims IN (256, 384, 512, 768, 1024, 1536) THEN
        SELECT greatest(0, c.reltuples) INTO everything FROM pg_class c
            WHERE c.oid = ('public.knowledge_passage_' || p_dims)::regclass;
        -- Among ten times as many passages a walk has to look at more to find as many of the nearest.
        PERFORM set_config('hnsw.ef_search', greatest(
            current_setting('hnsw.ef_search')::integer, least(1000, everything / 500)::integer)::text, true);
        IF most IS NULL THEN
            most := least(12000, greatest(2000, sqrt(20 * least(p_limit, 30) * everything)))::integer;
        END IF;
        -- Only what the index by base holds: a guide to the quicker way, not to what may be seen.
        EXECUTE format('SELECT count(*) FROM (SELECT 1 FROM knowledge_passage p WHERE p.knowledge_base_id = ANY ($1)
            AND ($2 IS NULL OR p.category_id = ANY ($2)) AND ($3 IS NULL OR p.language = ANY ($3)) LIMIT %s) n', most + 1)
            INTO asked USING p_bases, p_categories, p_languages;
        IF asked > most THEN
            -- Thirty are enough to be fused with words: with a filter, each more makes the walk longer.
            PERFORM set_config('enable_sort', 'off', true);  -- else the planner may sort thousands of rows after all
            EXECUTE format('SELECT array_agg(f.id), array_agg(f.likeness) FROM (' || chosen || ') f',
                format('p.embedding::halfvec(%s) <=> $3::halfvec(%s)', p_dims, p_dims), narrowed, least(p_limit, 30) + 10)
                INTO ids, likenesses USING w, p_model, p_vector, p_bases, p_categories, p_languages, p_since, p_limit;
            PERFORM set_config('enable_sort', 'on', true);
            IF cardinality(ids) >= least(p_limit, 30) THEN
                RETURN QUERY SELECT u.id, u.likeness, false FROM unnest(ids, likenesses) u (id, likeness);
                RETURN;
            END IF;
        END IF;
    END IF;
    RETURN QUERY EXECUTE format('SELECT f.id, f.likeness, true FROM (' || chosen || ') f', 'p.embedding <=> $3::vector',
            narrowed, p_limit)
        USING w, p_model, p_vector, p_bases, p_categories, p_languages, p_since, p_limit;
END $$;

DROP FUNCTION search_passage_words(uuid[], text[], text[], double precision[], uuid[], text[], timestamptz, integer);

-- Passages by the words of a query. Each word is one term: the word, its stems in the configurations, and a stem of our
-- own. A term weighs what it tells apart (inverse document frequency). Terms found in 500 passages and more bring no
-- candidates of their own, only those that have all of them; else they add to what others brought; so the work is bounded
-- however large a base is. `covered`: 0…1, how much of the query's weight the passage has. `terms`: which of the words,
-- from 1. `found`: passages per word, exact below 500.
CREATE FUNCTION search_passage_words(
    p_bases uuid[], p_words text[], p_stems text[], p_weights double precision[], p_categories uuid[], p_languages text[],
    p_since timestamptz, p_limit integer)
RETURNS TABLE (passage_id uuid, score double precision, covered double precision, terms integer[], found integer[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = 'off' SET work_mem = '32MB' SET jit = 'off' AS $$
#variable_conflict use_column
DECLARE
    most CONSTANT integer := 500;
    w uuid := nullif(current_setting('app.workspace_id', true), '')::uuid;
    total double precision;
    searched double precision;
    everything double precision;
    narrowed text;
    of_each text;
    queries tsquery[];
    is_counted boolean[];
    founds integer[];
    estimate double precision;
    plan json;
    together tsquery;
    places integer[];
    ids uuid[];
    counts integer[];
    more_places integer[];
    more_ids uuid[];
    more_counts integer[];
    telling tsquery;
    brought integer := 0;
BEGIN
    SELECT greatest(100, coalesce(sum(d.passages), 0)), coalesce(sum(d.passages) FILTER (WHERE
                (p_categories IS NULL OR d.category_id = ANY (p_categories))
                AND (p_languages IS NULL OR d.language = ANY (p_languages))), 0)
        INTO total, searched FROM knowledge_document d WHERE d.workspace_id = w AND d.knowledge_base_id = ANY (p_bases);
    SELECT greatest(1, c.reltuples) INTO everything FROM pg_class c WHERE c.oid = 'public.knowledge_passage'::regclass;
    SELECT array_agg(q.query ORDER BY q.place) INTO queries FROM (
        SELECT u.place, (SELECT string_agg(DISTINCT v.q::text, ' | ')::tsquery FROM unnest(ARRAY[
                plainto_tsquery('simple', u.word), plainto_tsquery('english', u.word), plainto_tsquery('russian', u.word),
                plainto_tsquery('simple', u.stem)]) v (q) WHERE numnode(v.q) > 0) AS query
        FROM unnest(p_words, p_stems) WITH ORDINALITY u (word, stem, place)) q;
    -- A small part of the installation is found in the index of words together with the word. In a large one that costs
    -- more than looking at the rows, which are read anyway; so no index may serve these conditions (IS TRUE).
    narrowed := CASE WHEN searched < 0.3 * everything
        THEN 'ARRAY[p.knowledge_base_id, p.category_id] && $2 AND ($3 IS NULL OR ARRAY[p.knowledge_base_id, p.category_id] && $3)'
        ELSE '(p.knowledge_base_id = ANY ($2)) IS TRUE AND ($3 IS NULL OR (p.category_id = ANY ($3)) IS TRUE)' END || '
        AND (p.workspace_id = $1) IS TRUE AND ($4 IS NULL OR p.language = ANY ($4))
        AND ($5 IS NULL OR p.document_id IN (
            SELECT d.id FROM knowledge_document d WHERE d.workspace_id = $1 AND d.updated_at >= $5)) LIMIT ' || most;
    -- Of a word that is in very many passages the planner knows about how many; then it is not counted. (Only a
    -- function that is VOLATILE may ask it.)
    FOR at IN 1 .. cardinality(queries) LOOP
        founds[at] := 0;
        is_counted[at] := queries[at] IS NOT NULL;
        IF searched > 10 * most AND searched >= 0.3 * everything AND is_counted[at] THEN
            EXECUTE format('EXPLAIN (FORMAT JSON) SELECT FROM knowledge_passage p WHERE p.words @@ %L::tsquery', queries[at]) INTO plan;
            estimate := (plan -> 0 -> 'Plan' ->> 'Plan Rows')::double precision * least(1, searched / everything);
            IF estimate > 2 * most THEN
                is_counted[at] := false;
                founds[at] := estimate;
            END IF;
        END IF;
    END LOOP;
    of_each := 'SELECT array_agg(t.place::integer), array_agg(h.id), array_agg(h.word_count)
        FROM unnest($6) WITH ORDINALITY t (query, place),
        LATERAL (SELECT p.id, p.word_count FROM knowledge_passage p WHERE p.words @@ t.query AND ' || narrowed || ') h
        WHERE $7[t.place]';
    EXECUTE of_each
        INTO places, ids, counts USING w, p_bases, p_categories, p_languages, p_since, queries, is_counted;
    SELECT array_agg(greatest(t.found, n.found) ORDER BY t.place) INTO founds
        FROM unnest(founds) WITH ORDINALITY t (found, place)
        LEFT JOIN (SELECT h.place, count(*)::integer AS found FROM unnest(places) h (place) GROUP BY 1) n USING (place);
    FOR at IN 1 .. cardinality(queries) LOOP
        IF founds[at] >= most THEN
            together := CASE WHEN together IS NULL THEN queries[at] ELSE together && queries[at] END;
        ELSIF founds[at] > 0 THEN
            telling := CASE WHEN telling IS NULL THEN queries[at] ELSE telling || queries[at] END;
            brought := brought + founds[at];
        END IF;
        is_counted[at] := founds[at] >= most;
    END LOOP;
    IF together IS NOT NULL THEN
        -- What a frequent word brought by itself is left out again; which of the others have it, the index says.
        SELECT array_agg(h.place), array_agg(h.id), array_agg(h.word_count) INTO places, ids, counts
            FROM unnest(places, ids, counts) h (place, id, word_count) WHERE NOT is_counted[h.place];
        IF telling IS NOT NULL THEN
            EXECUTE of_each INTO more_places, more_ids, more_counts
                USING w, p_bases, p_categories, p_languages, p_since,
                    ARRAY(SELECT telling && u.query FROM unnest(queries) WITH ORDINALITY u (query, place) ORDER BY u.place), is_counted;
            places := places || more_places;
            ids := ids || more_ids;
            counts := counts || more_counts;
        END IF;
        -- Rarer words that bring enough say more than frequent ones that stand together.
        IF brought < 4 * p_limit THEN
            EXECUTE of_each INTO more_places, more_ids, more_counts
                USING w, p_bases, p_categories, p_languages, p_since, ARRAY[together], ARRAY[true];
            SELECT places || array_agg(f.place::integer), ids || array_agg(m.id), counts || array_agg(m.word_count)
                INTO places, ids, counts
                FROM unnest(more_ids, more_counts) m (id, word_count) JOIN unnest(is_counted) WITH ORDINALITY f (is_frequent, place)
                    ON f.is_frequent LEFT JOIN (SELECT DISTINCT u.id FROM unnest(ids) u (id)) k ON k.id = m.id WHERE k.id IS NULL;
        END IF;
        IF telling IS NULL AND coalesce(cardinality(more_ids), 0) < p_limit THEN  -- whatever has one of the frequent words
            EXECUTE of_each INTO places, ids, counts
                USING w, p_bases, p_categories, p_languages, p_since, queries, is_counted;
        END IF;
    END IF;
    RETURN QUERY
    WITH weighed AS (
        -- A word that is nowhere weighs as one that is in a single passage.
        SELECT t.place::integer AS place,
            p_weights[t.place] * ln(1 + (greatest(total, t.found) - greatest(t.found, 1) + 0.5) / (greatest(t.found, 1) + 0.5)) AS idf
        FROM unnest(founds) WITH ORDINALITY t (found, place)
    ), complete AS (
        SELECT h.id, min(h.word_count) AS word_count, sum(weighed.idf) AS raw, array_agg(h.place ORDER BY h.place) AS places
        FROM unnest(places, ids, counts) h (place, id, word_count) JOIN weighed USING (place) GROUP BY h.id
    )
    SELECT c.id, c.raw / (0.75 + 0.25 * least(3, c.word_count / 90.0)),
        c.raw / (SELECT greatest(sum(w.idf), 0.001) FROM weighed w), c.places, founds
    FROM complete c ORDER BY 2 DESC, c.id LIMIT p_limit;
END $$;

-- The functions belong to the system, which sees every row; each names the workspace itself.
GRANT CREATE ON SCHEMA public TO patchcord_system;
DO $$
DECLARE one regprocedure;
BEGIN
    FOR one IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
        AND p.proname IN ('search_passage_vectors', 'search_passage_words') LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO patchcord_system', one);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', one);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO patchcord_app', one);
    END LOOP;
END $$;
REVOKE CREATE ON SCHEMA public FROM patchcord_system;
