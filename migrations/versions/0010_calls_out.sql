-- `request_key`: whoever asks for a call under the same key gets the same call, which is never placed twice.
-- `dial_until`: after it, a call of which nothing was heard holds its line no longer. `result`: how a call out began.
-- `whisper_id`: the audio that an operator is asked over, `whisper`: what they said to it.
ALTER TABLE phone_call
    ADD COLUMN request_key text CHECK (length(request_key) <= 300),
    ADD COLUMN dial_until timestamptz,
    ADD COLUMN result text NOT NULL DEFAULT '' CHECK (length(result) <= 20),
    ADD COLUMN whisper_id uuid,
    ADD COLUMN whisper text NOT NULL DEFAULT '' CHECK (whisper IN ('', 'asked', 'heard', 'accepted', 'declined')),
    DROP CONSTRAINT phone_call_state_check,
    ADD CONSTRAINT phone_call_state_check CHECK (state IN ('dialing', 'announced', 'up', 'moving', 'ended'));
CREATE UNIQUE INDEX phone_call_by_request ON phone_call (channel_id, request_key) WHERE request_key IS NOT NULL;
CREATE UNIQUE INDEX phone_call_by_whisper ON phone_call (whisper_id) WHERE whisper_id IS NOT NULL;

-- Whose an announced call is, by its own id or by that of its operator's audio; works before a workspace is known.
CREATE OR REPLACE FUNCTION find_call(p_id uuid) RETURNS TABLE (workspace_id uuid, channel_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT workspace_id, channel_id FROM phone_call WHERE id = p_id
    UNION ALL
    SELECT workspace_id, channel_id FROM phone_call WHERE whisper_id = p_id AND whisper = 'asked'
$$;
