-- Several messages in a row become one turn: the later ones are folded into the first, which then carries all of them.

ALTER TABLE inbox ADD COLUMN merged_into uuid;

-- Fold the messages that wait behind a leased one into it, up to the first that is something else (a button, a timer).
-- `p_anew`: the turn is begun anew with them, so what models answered to the shorter question is forgotten.
-- No row: the lease is gone. `folded` 0: nothing waited.
CREATE FUNCTION gather_messages(
    p_workspace uuid, p_conversation uuid, p_owner bigint, p_epoch integer, p_inbox uuid, p_anew boolean
) RETURNS TABLE (payload jsonb, seq integer, folded integer)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    c conversation%ROWTYPE;
    i inbox%ROWTYPE;
    x inbox%ROWTYPE;
    reply jsonb;
    more jsonb;
    n integer := 0;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    SELECT * INTO c FROM conversation WHERE id = p_conversation FOR UPDATE;
    IF NOT FOUND OR c.lease_epoch <> p_epoch OR c.lease_owner IS DISTINCT FROM p_owner THEN
        RETURN;
    END IF;
    SELECT * INTO i FROM inbox WHERE id = p_inbox;
    reply := i.payload -> 'reply';
    FOR x IN SELECT * FROM inbox WHERE conversation_id = c.id AND state = 'pending' AND id > p_inbox ORDER BY id LOOP
        more := x.payload -> 'reply';
        EXIT WHEN x.kind <> 'message' OR more ->> 'option_id' <> ''
            OR length(reply ->> 'text') + length(more ->> 'text') > 60000;
        reply := reply || jsonb_build_object(
            'text', concat_ws(E'\n', nullif(reply ->> 'text', ''), nullif(more ->> 'text', '')),
            'attachments', (reply -> 'attachments') || (more -> 'attachments'),
            'language', coalesce(nullif(more ->> 'language', ''), reply ->> 'language'),
            'at', more -> 'at');
        i.seq := x.seq;
        UPDATE inbox SET state = 'done', done_at = now(), merged_into = p_inbox WHERE id = x.id;
        n := n + 1;
    END LOOP;
    IF n > 0 THEN
        i.payload := i.payload || jsonb_build_object('reply', reply);
        UPDATE inbox SET payload = i.payload, seq = i.seq WHERE id = p_inbox;
        IF p_anew THEN
            DELETE FROM effect WHERE conversation_id = c.id AND turn_seq = c.turn_seq + 1 AND kind = 'model';
        END IF;
    END IF;
    RETURN QUERY SELECT i.payload, i.seq, n;
END $$;
