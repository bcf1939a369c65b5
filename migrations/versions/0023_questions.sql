-- A step found nothing, or its answer named no source: said by an event of the turn, so it is kept once, and not in a test.
CREATE FUNCTION knowledge_had_no_answer() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    searched jsonb := NEW.data;
BEGIN
    IF NEW.kind = 'sources_cited' THEN
        SELECT e.data INTO searched FROM event e
            WHERE e.conversation_id = NEW.conversation_id AND e.turn_id = NEW.turn_id AND e.kind = 'knowledge_searched'
              AND e.node_id = NEW.node_id ORDER BY e.id DESC LIMIT 1;
    END IF;
    IF searched IS NOT NULL AND jsonb_array_length(searched -> 'terms') > 0 THEN
        INSERT INTO knowledge_asking (workspace_id, conversation_id, turn_id, node_id, agent_id, reason, bases, text, language,
                                      terms, best, asked_at)
            SELECT NEW.workspace_id, c.id, NEW.turn_id, NEW.node_id, c.agent_id,
                CASE NEW.kind WHEN 'sources_cited' THEN 'uncited' ELSE 'not_found' END,
                ARRAY(SELECT jsonb_array_elements_text(searched -> 'bases')::uuid), left(searched ->> 'query', 500), c.language,
                ARRAY(SELECT jsonb_array_elements_text(searched -> 'terms')), (searched ->> 'best')::real, NEW.at
            FROM conversation c WHERE c.id = NEW.conversation_id AND NOT c.is_test
            ON CONFLICT (conversation_id, turn_id, node_id) DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER knowledge_hears_of_questions AFTER INSERT ON event FOR EACH ROW
    WHEN (NEW.kind IN ('knowledge_searched', 'sources_cited') AND NEW.data -> 'documents' = '[]')
    EXECUTE FUNCTION knowledge_had_no_answer();

-- A question lives as long as somebody's words are under it.
CREATE FUNCTION forget_question() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM knowledge_question q WHERE q.id = OLD.question_id
        AND NOT EXISTS (SELECT FROM knowledge_asking a WHERE a.question_id = q.id);
    RETURN NULL;
END $$;
CREATE TRIGGER knowledge_forgets_a_question AFTER DELETE ON knowledge_asking FOR EACH ROW
    WHEN (OLD.question_id IS NOT NULL) EXECUTE FUNCTION forget_question();
