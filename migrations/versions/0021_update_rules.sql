-- What contacts say is put aside to be looked at, in the transaction in which it is said; an agent without rules pays one
-- look into an index. Nothing is announced: a NOTIFY makes commits wait for each other, and workers look every second.

-- Messages that a check has already are left out. The caller holds the conversation's row, so two never count at once.
CREATE FUNCTION put_aside_to_check(c conversation, p_inbox uuid, p_first integer, p_last integer) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO update_check (workspace_id, conversation_id, first_seq, last_seq, turn_seq, inbox_id)
        SELECT c.workspace_id, c.id, greatest(p_first, known.seq + 1), p_last, c.turn_seq, p_inbox
        FROM (SELECT coalesce(max(k.last_seq), 0) AS seq FROM update_check k WHERE k.conversation_id = c.id) known
        WHERE p_last > known.seq
$$;

CREATE FUNCTION update_rules_hear_a_turn() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_inbox uuid;
    v_first integer;
    v_last integer;
BEGIN
    IF NOT EXISTS (SELECT FROM update_rule r WHERE r.agent_id = NEW.agent_id AND r.is_on) THEN
        RETURN NULL;
    END IF;
    SELECT t.inbox_id INTO v_inbox FROM turn t WHERE t.conversation_id = NEW.id AND t.seq = NEW.turn_seq;
    SELECT min(m.seq), max(m.seq) INTO v_first, v_last FROM message m
        WHERE m.conversation_id = NEW.id AND m.role = 'contact' AND m.text <> '' AND m.turn_id IN (
            SELECT i.id FROM inbox i WHERE i.conversation_id = NEW.id AND v_inbox IN (i.id, i.merged_into));
    IF v_last IS NOT NULL THEN
        PERFORM put_aside_to_check(NEW, v_inbox, v_first, v_last);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER update_rules_hear_a_turn AFTER UPDATE OF turn_seq ON conversation FOR EACH ROW
    WHEN (NOT NEW.is_test AND NEW.turn_seq <> OLD.turn_seq) EXECUTE FUNCTION update_rules_hear_a_turn();

-- What is written while a person has the conversation starts no turn.
CREATE FUNCTION update_rules_hear_the_held() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    c conversation%ROWTYPE;
BEGIN
    SELECT * INTO c FROM conversation WHERE id = NEW.conversation_id;
    IF NOT c.is_test AND EXISTS (SELECT FROM update_rule r WHERE r.agent_id = c.agent_id AND r.is_on) THEN
        PERFORM put_aside_to_check(c, NEW.id, NEW.seq, NEW.seq);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER update_rules_hear_the_held AFTER INSERT ON inbox FOR EACH ROW
    WHEN (NEW.kind = 'message' AND NEW.state = 'done' AND NEW.payload ? 'held')
    EXECUTE FUNCTION update_rules_hear_the_held();
CREATE TRIGGER update_rules_hear_the_overtaken AFTER UPDATE OF state ON inbox FOR EACH ROW
    WHEN (NEW.kind = 'message' AND NEW.state = 'done' AND OLD.state = 'pending' AND NEW.payload ? 'held')
    EXECUTE FUNCTION update_rules_hear_the_held();

-- Take checks whose time has come, for some seconds; of a conversation the oldest first, and the next one after it.
-- Works before a workspace is known. While a restored backup is being looked at, nothing is taken.
CREATE FUNCTION claim_update_checks(p_limit integer, p_seconds integer)
RETURNS TABLE (workspace_id uuid, check_id uuid, attempts integer)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE update_check SET leased_until = clock_timestamp() + make_interval(secs => p_seconds), attempts = attempts + 1
        WHERE id = ANY (ARRAY(
            SELECT k.id FROM update_check k
            WHERE k.state = 'waiting' AND k.next_at <= clock_timestamp()
              AND (k.leased_until IS NULL OR k.leased_until < clock_timestamp())
              AND NOT EXISTS (SELECT FROM update_check e WHERE e.conversation_id = k.conversation_id AND e.state = 'waiting'
                AND e.id < k.id)
              AND NOT EXISTS (SELECT FROM restore_guard g WHERE g.state = 'held')
            ORDER BY k.next_at, k.id LIMIT p_limit FOR UPDATE SKIP LOCKED))
        RETURNING update_check.workspace_id, update_check.id, update_check.attempts
$$;

-- Exactly what the function above needs.
GRANT SELECT, UPDATE ON update_check TO patchcord_system;
CREATE POLICY of_system ON update_check TO patchcord_system USING (true) WITH CHECK (true);
