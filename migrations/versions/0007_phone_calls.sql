-- One phone call. `id`: the telephone system's, known to both sides. `epoch`: how often audio was attached; only the
-- newest attachment may speak for the call. `heard_seq`: messages up to here were played to the end or cut to what was
-- heard. `silences`: in a row. `decision`: what the dialplan is told when it asks next. `moves`: transfers tried.
CREATE TABLE phone_call (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    channel_id uuid NOT NULL,
    conversation_id uuid REFERENCES conversation ON DELETE CASCADE,
    from_number text NOT NULL DEFAULT '' CHECK (length(from_number) <= 80),
    did text NOT NULL DEFAULT '' CHECK (length(did) <= 80),
    direction text NOT NULL DEFAULT 'in' CHECK (direction IN ('in', 'out')),
    state text NOT NULL DEFAULT 'announced' CHECK (state IN ('announced', 'up', 'moving', 'ended')),
    epoch integer NOT NULL DEFAULT 0,
    heard_seq integer NOT NULL DEFAULT 0,
    silences integer NOT NULL DEFAULT 0,
    decision text NOT NULL DEFAULT '' CHECK (decision IN ('', 'again', 'transfer', 'hangup')),
    transfer_to text NOT NULL DEFAULT '' CHECK (length(transfer_to) <= 200),
    transfer_result text NOT NULL DEFAULT '',
    moves integer NOT NULL DEFAULT 0,
    recording text NOT NULL DEFAULT '' CHECK (length(recording) <= 1000),
    cause integer,
    started_at timestamptz NOT NULL DEFAULT now(),
    answered_at timestamptz,
    ended_at timestamptz,
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agent (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX phone_call_by_conversation ON phone_call (conversation_id);
CREATE INDEX phone_call_by_age ON phone_call (workspace_id, started_at);
CREATE INDEX phone_call_of_line ON phone_call (channel_id, started_at DESC);
CREATE INDEX phone_call_open ON phone_call (channel_id, started_at) WHERE state <> 'ended';

ALTER TABLE phone_call ENABLE ROW LEVEL SECURITY;
ALTER TABLE phone_call FORCE ROW LEVEL SECURITY;
CREATE POLICY of_workspace ON phone_call
    USING (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid)
    WITH CHECK (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid);
CREATE POLICY of_system ON phone_call FOR SELECT TO patchcord_system USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON phone_call TO patchcord_app;
GRANT SELECT ON phone_call TO patchcord_system;

-- Whose an announced call is; works before a workspace is known.
CREATE FUNCTION find_call(p_id uuid) RETURNS TABLE (workspace_id uuid, channel_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT workspace_id, channel_id FROM phone_call WHERE id = p_id
$$;

-- What texts and conditions read as `call`. The first turn may begin before the call knows its conversation; the key of
-- that turn's trigger ("start:call:<id>") then tells which call it is.
CREATE FUNCTION call_facts(p_workspace uuid, p_conversation uuid) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    p phone_call%ROWTYPE;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    SELECT * INTO p FROM phone_call WHERE conversation_id = p_conversation ORDER BY started_at DESC LIMIT 1;
    IF NOT FOUND THEN
        SELECT c.* INTO p FROM inbox i JOIN phone_call c ON c.id = substr(i.dedupe_key, 12)::uuid
            WHERE i.conversation_id = p_conversation AND i.state = 'pending' AND i.dedupe_key LIKE 'start:call:%';
    END IF;
    IF p.id IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN jsonb_build_object('id', p.id, 'from', p.from_number, 'to', p.did, 'direction', p.direction,
                              'started_at', p.started_at);
END $$;

-- As in 0003, but what stands for itself on a call (keys, a silence, the end) is never folded into an utterance.
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
    END IF;
    RETURN QUERY SELECT i.payload, i.seq, n;
END $$;
