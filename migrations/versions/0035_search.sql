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
-- own. A term weighs what it tells apart (inverse document frequency). Terms found in 500 passages and more bring no
-- candidates of their own; the best of those that rarer terms brought are looked at for them. Only when the rarer ones
-- brought fewer than are asked for, passages that have all of the frequent ones are added; so the work is bounded however
-- large a base is. `covered`: 0…1, how much of the query's weight the passage has. `terms`: which of the words, from 1.
-- `found`: passages per word, exact below 500.
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
    more_places integer[];
    more_ids uuid[];
    more_counts integer[];
    frequent integer[];
    brought integer;
    at integer;
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
        SELECT array_agg(CASE WHEN e.rows > 2 * most AND is_asked[e.place] THEN e.rows::integer ELSE 0 END ORDER BY e.place)
            INTO founds FROM (
                SELECT p.place, least(1, searched / everything) * (p.plan ->> 'Plan Rows')::double precision AS rows
                FROM json_array_elements(CASE WHEN cardinality(queries) = 1 THEN json_build_array(plan -> 0 -> 'Plan')
                    ELSE plan -> 0 -> 'Plan' -> 'Plans' END) WITH ORDINALITY p (plan, place)) e;
        is_asked := ARRAY(SELECT u.a AND founds[u.place] = 0 FROM unnest(is_asked) WITH ORDINALITY u (a, place) ORDER BY u.place);
    END IF;
    SELECT * INTO places, ids, counts FROM passages_with_words(queries, is_asked, is_small, most, p_bases, p_categories, p_languages, since);
    SELECT array_agg(greatest(t.found, n.found) ORDER BY t.place) INTO founds
        FROM unnest(founds) WITH ORDINALITY t (found, place)
        LEFT JOIN (SELECT h.place, count(*)::integer AS found FROM unnest(places) h (place) GROUP BY 1) n USING (place);
    SELECT array_agg(t.place::integer) FILTER (WHERE t.found >= most), coalesce(sum(t.found) FILTER (WHERE t.found < most), 0)
        INTO frequent, brought FROM unnest(founds) WITH ORDINALITY t (found, place);
    IF frequent IS NOT NULL THEN
        -- What a frequent word brought by itself is left out again.
        SELECT array_agg(h.place), array_agg(h.id), array_agg(h.word_count) INTO places, ids, counts
            FROM unnest(places, ids, counts) h (place, id, word_count) WHERE h.place <> ALL (frequent);
        IF brought < p_limit THEN
            FOREACH at IN ARRAY frequent LOOP
                together := CASE WHEN together IS NULL THEN queries[at] ELSE together && queries[at] END;
            END LOOP;
            SELECT * INTO more_places, more_ids, more_counts FROM passages_with_words(
                ARRAY[together], ARRAY[true], is_small, most, p_bases, p_categories, p_languages, since);
            IF brought = 0 AND coalesce(cardinality(more_ids), 0) < p_limit THEN  -- whatever has one of the frequent words
                SELECT * INTO places, ids, counts FROM passages_with_words(queries,
                    ARRAY(SELECT u.place = ANY (frequent) FROM unnest(queries) WITH ORDINALITY u (q, place) ORDER BY u.place),
                    is_small, most, p_bases, p_categories, p_languages, since);
            END IF;
        END IF;
    END IF;
    RETURN QUERY
    WITH weighed AS (
        -- A word that is nowhere weighs as one that is in a single passage.
        SELECT t.place::integer AS place, queries[t.place] AS query,
            p_weights[t.place] * ln(1 + (greatest(total, t.found) - greatest(t.found, 1) + 0.5) / (greatest(t.found, 1) + 0.5)) AS idf
        FROM unnest(founds) WITH ORDINALITY t (found, place)
    ), brought_by_own AS (
        SELECT h.id, min(h.word_count) AS word_count, sum(weighed.idf) AS raw, array_agg(h.place ORDER BY h.place) AS places
        FROM unnest(places, ids, counts) h (place, id, word_count) JOIN weighed USING (place) GROUP BY h.id
    ), best AS (
        SELECT b.* FROM brought_by_own b ORDER BY b.raw / (0.75 + 0.25 * least(3, b.word_count / 90.0)) DESC, b.id LIMIT 2 * p_limit
    ), complete AS (
        SELECT b.id, b.word_count, b.raw + coalesce(more.raw, 0) AS raw, b.places || coalesce(more.places, '{}') AS places
        FROM best b LEFT JOIN LATERAL (
            SELECT sum(f.idf) AS raw, array_agg(f.place) AS places
            FROM (SELECT strip(p.words) AS words FROM knowledge_lookup p WHERE p.passage_id = b.id OFFSET 0) l
                JOIN weighed f ON f.place = ANY (frequent) AND f.place <> ALL (b.places) AND l.words @@ f.query) more
            ON frequent IS NOT NULL
        UNION ALL
        SELECT m.id, m.word_count, (SELECT sum(f.idf) FROM weighed f WHERE f.place = ANY (frequent)), frequent
        FROM unnest(more_ids, more_counts) m (id, word_count) WHERE NOT EXISTS (SELECT FROM best b WHERE b.id = m.id)
    )
    SELECT c.id, c.raw / (0.75 + 0.25 * least(3, c.word_count / 90.0)),
        c.raw / (SELECT greatest(sum(f.idf), 0.001) FROM weighed f), ARRAY(SELECT u.place FROM unnest(c.places) u (place) ORDER BY 1), founds
    FROM complete c ORDER BY 2 DESC, c.id LIMIT p_limit;
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
        AND p.proname IN ('similar_words', 'search_passage_words', 'passages_with_words') LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO patchcord_system', one);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', one);
        IF one::text NOT LIKE 'passages_with_words%' THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO patchcord_app', one);
        END IF;
    END LOOP;
END $$;
REVOKE CREATE ON SCHEMA public FROM patchcord_system;
