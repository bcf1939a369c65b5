-- Contacts: who they are, what they allow, what happened to them; typed fields and segments of a workspace.

-- `name`, `phone` (E.164) and `email` are what people are found by; '' is not known. `time_zone`: IANA name, '' where the
-- phone's or the workspace's counts. `country`: ISO 3166 code. `opted_out_at`: since then nothing is sent to them that they
-- did not ask for. `consent`: purpose → {given, at, source}. `fields` holds what channels told and the workspace's own
-- fields. `merged_into`: the contact that this one became; nothing else is left of it (no reference: a
-- table that refers to itself cannot be restored row by row).
ALTER TABLE contact
    ADD COLUMN name text NOT NULL DEFAULT '' CHECK (length(name) <= 200),
    ADD COLUMN phone text NOT NULL DEFAULT '' CHECK (phone ~ '^(\+[1-9][0-9]{5,14})?$'),
    ADD COLUMN email text NOT NULL DEFAULT '' CHECK (length(email) <= 254),
    ADD COLUMN tags text[] NOT NULL DEFAULT '{}',
    ADD COLUMN time_zone text NOT NULL DEFAULT '' CHECK (length(time_zone) <= 64),
    ADD COLUMN country text NOT NULL DEFAULT '' CHECK (country ~ '^([A-Z]{2})?$'),
    ADD COLUMN opted_out_at timestamptz,
    ADD COLUMN consent jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN merged_into uuid;
CREATE INDEX contact_listed ON contact (workspace_id, id DESC) WHERE merged_into IS NULL;
CREATE INDEX contact_by_phone ON contact (workspace_id, phone) WHERE phone <> '';
CREATE INDEX contact_by_email ON contact (workspace_id, lower(email)) WHERE email <> '';
CREATE INDEX contact_by_tag ON contact USING gin (tags);
CREATE INDEX contact_merged ON contact (merged_into) WHERE merged_into IS NOT NULL;

-- A field of the workspace's own. `options`: the values of a choice.
CREATE TABLE contact_field (
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    key text NOT NULL CHECK (key ~ '^[a-z][a-z0-9_]{0,63}$'),
    label text NOT NULL CHECK (length(label) BETWEEN 1 AND 100),
    type text NOT NULL CHECK (type IN ('text', 'number', 'date', 'yes_no', 'choice', 'phone', 'email')),
    options jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, key)
);

-- Contacts that meet a condition (contract/conditions.py over `contact.…`) whenever somebody asks.
CREATE TABLE segment (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    condition jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, name)
);

-- What was changed about a contact, by whom: kind such as 'opted_out', 'edited', 'merged', 'imported'.
CREATE TABLE contact_change (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind text NOT NULL CHECK (length(kind) <= 40),
    actor text NOT NULL CHECK (length(actor) <= 100),
    data jsonb NOT NULL DEFAULT '{}',
    FOREIGN KEY (workspace_id, contact_id) REFERENCES contact (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX contact_change_by_contact ON contact_change (contact_id, id DESC);

-- That somebody was erased, provable to whoever names them and to nobody else: salted hashes of what they were known by.
CREATE TABLE contact_erasure (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL CHECK (length(actor) <= 100),
    salt bytea NOT NULL,
    hashes bytea[] NOT NULL,
    counts jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX contact_erasure_by_workspace ON contact_erasure (workspace_id, id DESC);

-- A file of contacts on its way in. `position`: rows that are done, in one transaction with what they became.
CREATE TABLE contact_import (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    file_name text NOT NULL CHECK (length(file_name) <= 200),
    content bytea,
    mapping jsonb NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed', 'canceled')),
    total integer NOT NULL DEFAULT 0,
    position integer NOT NULL DEFAULT 0,
    created integer NOT NULL DEFAULT 0,
    updated integer NOT NULL DEFAULT 0,
    broken integer NOT NULL DEFAULT 0,
    error text NOT NULL DEFAULT '',
    actor text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    finished_at timestamptz,
    UNIQUE (workspace_id, id)
);
CREATE INDEX contact_import_waiting ON contact_import (id) WHERE state = 'waiting';
CREATE INDEX contact_import_by_workspace ON contact_import (workspace_id, id DESC);

CREATE TABLE contact_import_problem (
    workspace_id uuid NOT NULL,
    import_id uuid NOT NULL,
    row integer NOT NULL,
    problem jsonb NOT NULL,
    PRIMARY KEY (import_id, row),
    FOREIGN KEY (workspace_id, import_id) REFERENCES contact_import (workspace_id, id) ON DELETE CASCADE
);

-- Take the oldest file that nobody works on, for some seconds. Works before a workspace is known.
CREATE FUNCTION claim_contact_import(p_seconds integer) RETURNS TABLE (workspace_id uuid, import_id uuid, attempts integer)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE contact_import SET leased_until = clock_timestamp() + make_interval(secs => p_seconds), attempts = attempts + 1
        WHERE id = (SELECT i.id FROM contact_import i WHERE i.state = 'waiting'
                      AND (i.leased_until IS NULL OR i.leased_until < clock_timestamp())
                    ORDER BY i.id LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING contact_import.workspace_id, contact_import.id, contact_import.attempts
$$;

-- What channels and answers tell ------------------------------------------------------------------------------------------

-- A phone number as E.164, '' when it is not one with its country's code.
CREATE FUNCTION told_phone(p_text text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_text ~ '^\s*\+[0-9 ().-]{6,30}\s*$' AND regexp_replace(p_text, '[^0-9]', '', 'g') ~ '^[1-9][0-9]{5,14}$'
        THEN '+' || regexp_replace(p_text, '[^0-9]', '', 'g') ELSE '' END
$$;

CREATE FUNCTION told_email(p_text text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN length(p_text) <= 254 AND p_text ~ '^\s*[^\s@]+@[^\s@]+\.[^\s@]+\s*$' THEN btrim(p_text) ELSE '' END
$$;

-- A name out of what was told.
CREATE FUNCTION told_name(p_told jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT left(btrim(coalesce(nullif(btrim(p_told ->> 'name'), ''), concat_ws(' ', p_told ->> 'first_name', p_told ->> 'last_name'))), 200)
$$;

-- Name, phone and e-mail follow what channels and answers tell, as long as no person has set something else.
CREATE FUNCTION take_what_was_told() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    told jsonb := NEW.fields || NEW.variables;
    before jsonb := CASE WHEN TG_OP = 'UPDATE' THEN OLD.fields || OLD.variables ELSE '{}' END;
    new_value text;
BEGIN
    new_value := told_name(told);
    IF new_value <> '' AND NEW.name IN ('', coalesce(told_name(before), '')) THEN
        NEW.name := new_value;
    END IF;
    new_value := told_phone(told ->> 'phone');
    IF new_value <> '' AND NEW.phone IN ('', coalesce(told_phone(before ->> 'phone'), '')) THEN
        NEW.phone := new_value;
    END IF;
    new_value := told_email(told ->> 'email');
    IF new_value <> '' AND NEW.email IN ('', coalesce(told_email(before ->> 'email'), '')) THEN
        NEW.email := new_value;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER contact_told_first BEFORE INSERT ON contact FOR EACH ROW
    WHEN (NEW.fields <> '{}' OR NEW.variables <> '{}') EXECUTE FUNCTION take_what_was_told();
CREATE TRIGGER contact_told BEFORE UPDATE OF fields, variables ON contact FOR EACH ROW
    WHEN (NEW.fields <> OLD.fields OR NEW.variables <> OLD.variables) EXECUTE FUNCTION take_what_was_told();
UPDATE contact SET
    name = coalesce(told_name(fields || variables), ''),
    phone = coalesce(told_phone((fields || variables) ->> 'phone'), ''),
    email = coalesce(told_email((fields || variables) ->> 'email'), '')
    WHERE fields <> '{}' OR variables <> '{}';

-- What texts and conditions read as `contact.…`: own columns only where they say something.
CREATE FUNCTION contact_facts(k contact) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT k.fields || jsonb_strip_nulls(jsonb_build_object(
        'name', nullif(k.name, ''), 'phone', nullif(k.phone, ''), 'email', nullif(k.email, ''),
        'language', nullif(k.language, ''), 'time_zone', nullif(k.time_zone, ''), 'country', nullif(k.country, ''),
        'tags', CASE WHEN k.tags <> '{}' THEN to_jsonb(k.tags) END,
        'opted_out', CASE WHEN k.opted_out_at IS NOT NULL THEN true END))
$$;

CREATE OR REPLACE FUNCTION turn_start(c conversation, i inbox) RETURNS leased_turn
LANGUAGE plpgsql STABLE AS $$
DECLARE
    k contact%ROWTYPE;
    known jsonb;
    recipient text;
BEGIN
    SELECT * INTO k FROM contact WHERE id = c.contact_id;
    IF i.attempts > 1 THEN
        SELECT jsonb_object_agg(e.effect_key, e.result) INTO known FROM effect e
            WHERE e.conversation_id = c.id AND e.turn_seq = c.turn_seq + 1 AND e.state = 'done';
    END IF;
    IF c.channel_kind NOT IN ('web_chat', 'api', 'test') THEN
        SELECT x.external_user_id INTO recipient FROM contact_identity x
            WHERE x.contact_id = c.contact_id AND x.source_id = c.channel_id LIMIT 1;
    END IF;
    RETURN ROW(c.lease_epoch + 1, i.id, i.kind, i.payload, i.seq, i.attempts, i.first_run_at,
        c.agent_id, c.channel_id, c.channel_kind, c.contact_id, c.version_id, c.is_test, c.language,
        c.status, c.waits, c.node_id, c.checkpoint, c.turn_seq, c.created_at, contact_facts(k), k.variables, known, recipient
    )::leased_turn;
END $$;

-- Opting out --------------------------------------------------------------------------------------------------------------

-- Why a message is sent: to answer the contact, by itself (time, a chain, a program's wish), or by a person's hand.
ALTER TABLE outbox
    ADD COLUMN initiated_by text NOT NULL DEFAULT 'reply' CHECK (initiated_by IN ('reply', 'proactive', 'member'));

-- A proactive message to somebody who opted out is kept and not sent, whoever put it here. The lock on the contact: an
-- opting out that is being stored is waited for, and one that comes later finds this row.
CREATE FUNCTION respect_opt_out() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    since timestamptz;
BEGIN
    SELECT k.opted_out_at INTO since FROM contact k
        WHERE k.id = (SELECT c.contact_id FROM conversation c WHERE c.id = NEW.conversation_id) FOR SHARE;
    IF since IS NOT NULL THEN
        NEW.state := 'failed';
        NEW.error_class := 'opted_out';
        UPDATE message SET flags = flags || '{"undelivered": "opted_out"}'
            WHERE conversation_id = NEW.conversation_id AND seq = NEW.ordinal;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER outbox_respects_opt_out BEFORE INSERT ON outbox FOR EACH ROW
    WHEN (NEW.initiated_by = 'proactive') EXECUTE FUNCTION respect_opt_out();

-- What still waits to be sent by itself is not sent any more.
CREATE FUNCTION take_back_proactive() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH taken AS (
        UPDATE outbox o SET state = 'failed', error_class = 'opted_out' FROM conversation c
        WHERE c.contact_id = NEW.id AND o.conversation_id = c.id AND o.state = 'pending' AND o.initiated_by = 'proactive'
        RETURNING o.conversation_id, o.ordinal)
    UPDATE message m SET flags = flags || '{"undelivered": "opted_out"}' FROM taken
        WHERE m.conversation_id = taken.conversation_id AND m.seq = taken.ordinal;
    RETURN NULL;
END $$;
CREATE TRIGGER contact_opted_out AFTER UPDATE OF opted_out_at ON contact FOR EACH ROW
    WHEN (NEW.opted_out_at IS NOT NULL AND OLD.opted_out_at IS NULL) EXECUTE FUNCTION take_back_proactive();

-- What a trigger's messages are: a turn of time, or one that nobody but a program asked for, is proactive. What the
-- contact wrote after opting out may be answered for ten minutes, whatever brings the answer.
CREATE FUNCTION initiator_of(c conversation, p_inbox uuid) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    i inbox%ROWTYPE;
BEGIN
    SELECT * INTO i FROM inbox WHERE id = p_inbox;
    IF i.payload ? 'initiated_by' THEN
        RETURN i.payload ->> 'initiated_by';
    ELSIF i.kind IN ('message', 'restart') OR i.payload ? 'reply' THEN
        RETURN 'reply';
    ELSIF i.kind = 'timer' AND EXISTS (
        SELECT FROM message m JOIN contact k ON k.id = c.contact_id
        WHERE m.conversation_id = c.id AND m.role = 'contact' AND m.created_at > k.opted_out_at
          AND m.created_at > now() - interval '10 minutes') THEN
        RETURN 'reply';
    END IF;
    RETURN 'proactive';
END $$;

-- Everything a turn came to, in one transaction, only while the epoch still stands.
-- `p_turn`: {inbox, state, trigger, started_at, ms, attempts, error, steps, messages, events, contact, tags, …}
CREATE OR REPLACE FUNCTION commit_turn(
    p_workspace uuid, p_conversation uuid, p_owner bigint, p_epoch integer, p_inbox uuid,
    p_checkpoint bytea, p_status text, p_waits text, p_node text, p_due timestamptz, p_keep_timer boolean, p_turn jsonb
) RETURNS TABLE (first_seq integer, has_more boolean, at timestamptz)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    c conversation%ROWTYPE;
    said jsonb := p_turn -> 'messages';
    n integer := jsonb_array_length(said);
    more boolean;
    initiator text;
BEGIN
    PERFORM set_config('app.workspace_id', p_workspace::text, true);
    SELECT * INTO c FROM conversation WHERE id = p_conversation FOR UPDATE;
    IF NOT FOUND OR c.lease_epoch <> p_epoch OR c.lease_owner IS DISTINCT FROM p_owner THEN
        RAISE EXCEPTION 'the lease was lost' USING ERRCODE = 'PC001';
    END IF;
    UPDATE inbox SET state = p_turn ->> 'state', done_at = now() WHERE id = p_inbox AND state = 'pending';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the trigger was handled already' USING ERRCODE = 'PC001';
    END IF;
    SELECT EXISTS (SELECT 1 FROM inbox WHERE conversation_id = c.id AND state = 'pending') INTO more;
    IF n > 0 THEN
        INSERT INTO message (workspace_id, conversation_id, seq, role, key, parts, text, node_id, turn_id)
            SELECT p_workspace, c.id, c.message_seq + m.place, 'agent', m.said ->> 'key', m.said -> 'parts',
                   m.said ->> 'text', m.said ->> 'node_id', p_inbox
            FROM jsonb_array_elements(said) WITH ORDINALITY AS m (said, place);
        IF p_turn ? 'recipient' THEN
            initiator := initiator_of(c, p_inbox);
            INSERT INTO outbox (workspace_id, effect_key, conversation_id, channel_id, recipient, ordinal, parts, initiated_by)
                SELECT p_workspace, c.id || '/' || (m.said ->> 'key'), c.id, c.channel_id, p_turn ->> 'recipient',
                       c.message_seq + m.place, m.said -> 'parts', initiator
                FROM jsonb_array_elements(said) WITH ORDINALITY AS m (said, place);
        END IF;
    END IF;
    INSERT INTO turn (conversation_id, seq, workspace_id, inbox_id, trigger, started_at, ms, attempts, error, steps)
        VALUES (c.id, c.turn_seq + 1, p_workspace, p_inbox, p_turn ->> 'trigger', (p_turn ->> 'started_at')::timestamptz,
                (p_turn ->> 'ms')::real, (p_turn ->> 'attempts')::integer, p_turn ->> 'error', p_turn -> 'steps');
    IF p_keep_timer THEN
        UPDATE timer SET turn_seq = c.turn_seq + 1 WHERE conversation_id = c.id;
    ELSE
        DELETE FROM timer WHERE conversation_id = c.id;
    END IF;
    IF p_due IS NOT NULL THEN
        -- Whoever waits for timers waits no longer than for the next one; only an earlier one is news.
        IF NOT EXISTS (SELECT FROM timer WHERE due_at <= p_due) THEN
            PERFORM pg_notify('patchcord_timers', '');
        END IF;
        INSERT INTO timer (workspace_id, conversation_id, due_at, turn_seq)
            VALUES (p_workspace, c.id, p_due, c.turn_seq + 1);
    END IF;
    IF p_turn ? 'events' THEN
        INSERT INTO event (workspace_id, conversation_id, turn_id, at, kind, node_id, data)
            SELECT p_workspace, c.id, p_inbox, (e ->> 'at')::timestamptz, e ->> 'kind', e ->> 'node_id', e -> 'data'
            FROM jsonb_array_elements(p_turn -> 'events') AS e;
    END IF;
    IF p_turn ? 'contact' THEN
        UPDATE contact SET variables = variables || (p_turn -> 'contact'), updated_at = now() WHERE id = c.contact_id;
    END IF;
    IF p_turn ? 'had_effects' THEN
        -- The turn is final: its calls are never repeated, and what they answered is in the messages and variables.
        UPDATE effect SET result = NULL WHERE conversation_id = c.id AND turn_seq = c.turn_seq + 1;
    END IF;
    UPDATE conversation SET checkpoint = p_checkpoint, status = p_status, waits = p_waits, node_id = p_node,
        message_seq = c.message_seq + n, turn_seq = c.turn_seq + 1, updated_at = now(),
        result = coalesce(p_turn ->> 'result', result), goal_value = coalesce((p_turn ->> 'goal_value')::float8, goal_value),
        tags = CASE WHEN p_turn ? 'tags'
            THEN ARRAY(SELECT jsonb_array_elements_text(p_turn -> 'tags')) ELSE tags END,
        ended_at = CASE WHEN p_status = 'ended' THEN coalesce(c.ended_at, now()) END,
        preview = CASE WHEN n > 0 THEN left(said -> (n - 1) ->> 'text', 140) ELSE preview END,
        pending_since = CASE WHEN more THEN pending_since END,
        lease_owner = CASE WHEN more THEN lease_owner END, lease_until = CASE WHEN more THEN lease_until END
        WHERE id = c.id;
    RETURN QUERY SELECT c.message_seq + 1, more, now();
END $$;
