-- Who found nothing to do does not wait for the disk: a row that was only locked, and a lease that was given back because nothing
-- waits, may be forgotten by a server that loses its power. What was leased, folded or committed waits as before.

CREATE OR REPLACE FUNCTION lease_turn(
    p_workspace uuid, p_conversation uuid, p_owner bigint, p_epoch integer, p_seconds integer
) RETURNS SETOF leased_turn
LANGUAGE plpgsql AS $$
DECLARE
    c conversation%ROWTYPE;
    i inbox%ROWTYPE;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    SELECT * INTO c FROM conversation WHERE id = p_conversation FOR UPDATE;
    IF NOT FOUND OR NOT is_free(c, p_owner, p_epoch) THEN
        PERFORM set_config('synchronous_commit', 'off', true);
        RETURN;
    END IF;
    SELECT * INTO i FROM inbox x WHERE x.conversation_id = c.id AND x.state = 'pending' ORDER BY x.id LIMIT 1;
    IF NOT FOUND THEN
        UPDATE conversation SET pending_since = NULL, lease_owner = NULL, lease_until = NULL WHERE id = c.id;
        PERFORM set_config('synchronous_commit', 'off', true);
        RETURN;
    END IF;
    UPDATE inbox SET attempts = attempts + 1, first_run_at = coalesce(first_run_at, clock_timestamp())
        WHERE id = i.id RETURNING * INTO i;
    UPDATE conversation SET lease_owner = p_owner, lease_epoch = lease_epoch + 1,
        lease_until = clock_timestamp() + make_interval(secs => p_seconds)
        WHERE id = c.id;
    RETURN NEXT turn_start(c, i);
END $$;

CREATE OR REPLACE FUNCTION gather_messages(
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
        EXIT WHEN x.kind <> 'message' OR x.payload ? 'alone' OR i.payload ? 'alone' OR more ->> 'option_id' <> ''
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
    ELSE
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    RETURN QUERY SELECT i.payload, i.seq, n;
END $$;
