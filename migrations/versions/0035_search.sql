-- Settings of an extension can be named once it is loaded.
DO $$ BEGIN PERFORM '[1]'::vector; END $$;

DROP FUNCTION search_passage_words(uuid[], text[], text[], double precision[], uuid[], text[], timestamptz, integer);

-- For each query that is asked up to p_most passages: its place, from 1, the passage, and how long it is. A small part of
-- the installation is found in the index of words together with the word. In a large one that costs more than looking at
-- the rows, which are read anyway; so no index may serve its conditions (IS TRUE). Nobody but the function below calls it.
CREATE FUNCTION passages_with_words(
    p_queries tsquery[], p_is_asked boolean[], p_is_small boolean, p_most integer, p_bases uuid[], p_categories uuid[],
    p_languages text[], p_documents uuid[], OUT places integer[], OUT ids uuid[], OUT counts integer[])
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
DECLARE
    w uuid := nullif(current_setting('app.workspace_id', true), '')::uuid;
    narrowest uuid[] := coalesce(p_categories, p_bases);
BEGIN
    IF p_is_small THEN
        SELECT array_agg(t.place::integer), array_agg(h.passage_id), array_agg(h.word_count) INTO places, ids, counts
        FROM unnest(p_queries) WITH ORDINALITY t (query, place), LATERAL (
            SELECT p.passage_id, p.word_count FROM knowledge_lookup p
            WHERE p.words @@ t.query AND ARRAY[p.knowledge_base_id, p.category_id] && narrowest
              AND (p.knowledge_base_id = ANY (p_bases)) IS TRUE AND (p.workspace_id = w) IS TRUE AND (p_languages IS NULL OR p.language = ANY (p_languages))
              AND (p_documents IS NULL OR (p.document_id = ANY (p_documents)) IS TRUE)
            LIMIT p_most) h
        WHERE p_is_asked[t.place];
    ELSE
        SELECT array_agg(t.place::integer), array_agg(h.passage_id), array_agg(h.word_count) INTO places, ids, counts
        FROM unnest(p_queries) WITH ORDINALITY t (query, place), LATERAL (
            SELECT p.passage_id, p.word_count FROM knowledge_lookup p
            WHERE p.words @@ t.query AND (p.knowledge_base_id = ANY (p_bases)) IS TRUE
              AND (p_categories IS NULL OR (p.category_id = ANY (p_categories)) IS TRUE)
              AND (p.workspace_id = w) IS TRUE AND (p_languages IS NULL OR p.language = ANY (p_languages))
              AND (p_documents IS NULL OR (p.document_id = ANY (p_documents)) IS TRUE)
            LIMIT p_most) h
        WHERE p_is_asked[t.place];
    END IF;
END $$;

-- Passages by the words of a query. Each word is one term: the word, its stems in the configurations, and a stem of our
-- own. A term weighs what it tells apart (inverse document frequency). What terms bring that are in fewer than 500 passages
-- is looked at whole. The others, the frequent ones, bring what has several of them: all, then all but one, and so on,
-- until there is enough; the best of all candidates are then looked at for every frequent term. So the work is bounded
-- however large a base is. `covered`: 0…1, how much of the query's weight the passage has. `terms`: which of the words,
-- from 1. `found`: passages per word, exact below 500.
CREATE FUNCTION search_passage_words(
    p_bases uuid[], p_words text[], p_stems text[], p_weights double precision[], p_categories uuid[], p_languages text[],
    p_since timestamptz, p_limit integer)
RETURNS TABLE (passage_id uuid, score double precision, covered double precision, terms integer[], found integer[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = 'off' SET work_mem = '32MB' SET jit = 'off' SET max_parallel_workers_per_gather = '0'
SET plan_cache_mode = 'force_generic_plan' AS $$
#variable_conflict use_column
DECLARE
    most CONSTANT integer := 500;
    w uuid := nullif(current_setting('app.workspace_id', true), '')::uuid;
    total double precision;
    searched double precision;
    everything double precision;
    since uuid[];
    is_small boolean;
    queries tsquery[];
    is_asked boolean[];
    founds integer[];
    plan json;
    together tsquery;
    places integer[];
    ids uuid[];
    counts integer[];
    more_ids uuid[] := '{}';
    more_counts integer[] := '{}';
    got record;
    frequent integer[];
    combined integer;
    brought integer;
    steps double precision;
    share double precision;
BEGIN
    SELECT greatest(100, coalesce(sum(d.passages), 0)), coalesce(sum(d.passages) FILTER (WHERE
                (p_categories IS NULL OR d.category_id = ANY (p_categories))
                AND (p_languages IS NULL OR d.language = ANY (p_languages))), 0)
        INTO total, searched FROM knowledge_document d WHERE d.workspace_id = w AND d.knowledge_base_id = ANY (p_bases);
    SELECT greatest(1, c.reltuples) INTO everything FROM pg_class c WHERE c.oid = 'public.knowledge_lookup'::regclass;
    SELECT array_agg(q.query ORDER BY q.place) INTO queries FROM (
        SELECT u.place, (SELECT string_agg(DISTINCT v.q::text, ' | ')::tsquery FROM unnest(ARRAY[
                plainto_tsquery('simple', u.word), plainto_tsquery('english', u.word), plainto_tsquery('russian', u.word),
                plainto_tsquery('simple', u.stem)]) v (q) WHERE numnode(v.q) > 0) AS query
        FROM unnest(p_words, p_stems) WITH ORDINALITY u (word, stem, place)) q;
    IF p_since IS NOT NULL THEN
        since := ARRAY(SELECT d.id FROM knowledge_document d
            WHERE d.workspace_id = w AND d.knowledge_base_id = ANY (p_bases) AND d.updated_at >= p_since);
    END IF;
    is_small := searched < 0.3 * everything;
    founds := array_fill(0, ARRAY[cardinality(queries)]);
    is_asked := ARRAY(SELECT u.q IS NOT NULL FROM unnest(queries) WITH ORDINALITY u (q, place) ORDER BY u.place);
    -- Of a word that is in very many passages the planner knows about how many; then it is not counted. (Only a
    -- function that is VOLATILE may ask it.)
    IF searched > 10 * most THEN
        EXECUTE 'EXPLAIN (FORMAT JSON) ' || (
            SELECT string_agg(format('(SELECT 1 FROM knowledge_lookup p WHERE p.words @@ %L::tsquery)', coalesce(u.q, '')), ' UNION ALL '
                ORDER BY u.place)
            FROM unnest(queries) WITH ORDINALITY u (q, place)) INTO plan;
        -- Of a lexeme that is not among the most frequent it says half a percent.
        SELECT array_agg(CASE WHEN is_asked[e.place] AND e.rows > 0.0075 * everything * (numnode(queries[e.place]) + 1) / 2
                AND e.rows * least(1, searched / everything) > 2 * most
                THEN (e.rows * least(1, searched / everything))::integer ELSE 0 END ORDER BY e.place)
            INTO founds FROM (
                SELECT p.place, (p.plan ->> 'Plan Rows')::double precision AS rows
                FROM json_array_elements(CASE WHEN cardinality(queries) = 1 THEN json_build_array(plan -> 0 -> 'Plan')
                    ELSE plan -> 0 -> 'Plan' -> 'Plans' END) WITH ORDINALITY p (plan, place)) e;
        is_asked := ARRAY(SELECT u.a AND founds[u.place] = 0 FROM unnest(is_asked) WITH ORDINALITY u (a, place) ORDER BY u.place);
    END IF;
    SELECT * INTO places, ids, counts FROM passages_with_words(queries, is_asked, is_small, most, p_bases, p_categories, p_languages, since);
    SELECT array_agg(greatest(t.found, n.found) ORDER BY t.place) INTO founds
        FROM unnest(founds) WITH ORDINALITY t (found, place)
        LEFT JOIN (SELECT h.place, count(*)::integer AS found FROM unnest(places) h (place) GROUP BY 1) n USING (place);
    -- Rarest first. More than six would be too many combinations.
    frequent := ARRAY(SELECT t.place::integer FROM unnest(founds) WITH ORDINALITY t (found, place)
        WHERE t.found >= most ORDER BY t.found, t.place LIMIT 6);
    SELECT coalesce(sum(t.found) FILTER (WHERE t.found < most), 0) INTO brought FROM unnest(founds) t (found);
    SELECT array_agg(h.place), array_agg(h.id), array_agg(h.word_count) INTO places, ids, counts
        FROM unnest(places, ids, counts) h (place, id, word_count) WHERE founds[h.place] < most;
    combined := cardinality(frequent);
    WHILE combined > 0 LOOP
        EXIT WHEN combined = 1 AND cardinality(frequent) > 1 AND brought + cardinality(more_ids) > 0;
        -- To find those that have so many of them, the index walks through all but the most frequent.
        SELECT sum(founds[f]) INTO steps FROM unnest(frequent[1 : cardinality(frequent) - combined + 1]) f;
        SELECT exp(sum(ln(founds[f] / greatest(searched, founds[f])))) INTO share FROM unnest(frequent) f;
        EXIT WHEN brought + cardinality(more_ids) >= p_limit AND (combined < 2 OR combined < cardinality(frequent) OR steps > 5000);
        EXIT WHEN combined < cardinality(frequent) AND steps > 30000 AND brought + cardinality(more_ids) > 0;
        SELECT string_agg('(' || (
                SELECT string_agg('(' || queries[frequent[at]]::text || ')', ' & ') FROM generate_series(1, cardinality(frequent)) at
                WHERE mask & (1 << (at - 1)) <> 0) || ')', ' | ')::tsquery INTO together
            FROM generate_series(1, (1 << cardinality(frequent)) - 1) mask WHERE bit_count(mask::bit(8)) = combined;
        IF NOT is_small AND combined = cardinality(frequent) AND 25 * p_limit * everything / (share * searched) < steps THEN
            -- So many have them all that a few hundred rows are read until there are enough.
            SELECT array_agg(h.passage_id) AS ids, array_agg(h.word_count) AS counts INTO got FROM (
                SELECT p.passage_id, p.word_count FROM knowledge_lookup p
                WHERE (p.knowledge_base_id = ANY (p_bases)) IS TRUE AND (p.workspace_id = w) IS TRUE
                  AND (p_categories IS NULL OR (p.category_id = ANY (p_categories)) IS TRUE)
                  AND (p_languages IS NULL OR p.language = ANY (p_languages))
                  AND (since IS NULL OR (p.document_id = ANY (since)) IS TRUE) AND (p.words @@ together) IS TRUE
                LIMIT p_limit) h;
        ELSE
            SELECT * INTO got FROM passages_with_words(
                ARRAY[together], ARRAY[true], is_small, 2 * p_limit, p_bases, p_categories, p_languages, since);
        END IF;
        more_ids := more_ids || got.ids;
        more_counts := more_counts || got.counts;
        combined := combined - 1;
    END LOOP;
    RETURN QUERY
    WITH weighed AS (
        -- A word that is nowhere weighs as one that is in a single passage.
        SELECT t.place::integer AS place, queries[t.place] AS query, t.found,
            p_weights[t.place] * ln(1 + (greatest(total, t.found) - greatest(t.found, 1) + 0.5) / (greatest(t.found, 1) + 0.5)) AS idf
        FROM unnest(founds) WITH ORDINALITY t (found, place)
    ), brought_by_own AS (
        SELECT h.id, min(h.word_count) AS word_count, sum(weighed.idf) AS raw, array_agg(h.place) AS places
        FROM unnest(places, ids, counts) h (place, id, word_count) JOIN weighed USING (place) GROUP BY h.id
    ), best AS (
        (SELECT b.* FROM brought_by_own b ORDER BY b.raw / (0.75 + 0.25 * least(3, b.word_count / 90.0)) DESC, b.id LIMIT 2 * p_limit)
        UNION
        SELECT m.id, m.word_count, coalesce(b.raw, 0), coalesce(b.places, '{}')
        FROM unnest(more_ids, more_counts) m (id, word_count) LEFT JOIN brought_by_own b USING (id)
    ), complete AS (
        SELECT b.id, b.word_count, b.raw + coalesce(more.raw, 0) AS raw, b.places || coalesce(more.places, '{}') AS places
        FROM best b LEFT JOIN LATERAL (
            SELECT sum(f.idf) AS raw, array_agg(f.place) AS places
            FROM (SELECT strip(p.words) AS words FROM knowledge_lookup p WHERE p.passage_id = b.id OFFSET 0) l
                JOIN weighed f ON f.found >= most AND l.words @@ f.query) more
            ON cardinality(frequent) > 0
    )
    SELECT c.id, c.raw / (0.75 + 0.25 * least(3, c.word_count / 90.0)),
        c.raw / (SELECT greatest(sum(f.idf), 0.001) FROM weighed f), ARRAY(SELECT u.place FROM unnest(c.places) u (place) ORDER BY 1), founds
    FROM complete c ORDER BY 2 DESC, c.id LIMIT p_limit;
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
            current_setting('hnsw.ef_search')::integer, least(1000, everything / 700)::integer)::text, true);
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

DROP FUNCTION similar_words(uuid[], text[], integer);

-- Words of the bases that look like these; none where pg_trgm is not installed.
CREATE FUNCTION similar_words(p_bases uuid[], p_words text[], p_limit integer)
RETURNS TABLE (word text, alike text, similarity double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = 'off' AS $$
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
            WHERE k.word % u.word AND ARRAY[k.knowledge_base_id] && $2 AND (k.workspace_id = $3) IS TRUE
            ORDER BY similarity DESC, k.word LIMIT $4) a
    $query$ USING p_words, p_bases, w, p_limit;
END $$;

-- The functions belong to the system, which sees every row; each names the workspace itself.
GRANT CREATE ON SCHEMA public TO patchcord_system;
DO $$
DECLARE one regprocedure;
BEGIN
    FOR one IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
        AND p.proname IN ('similar_words', 'search_passage_words', 'search_passage_vectors', 'passages_with_words') LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO patchcord_system', one);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', one);
        IF one::text NOT LIKE 'passages_with_words%' THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO patchcord_app', one);
        END IF;
    END LOOP;
END $$;
REVOKE CREATE ON SCHEMA public FROM patchcord_system;
