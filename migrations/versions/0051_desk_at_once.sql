-- 'desk': nobody here can hold this call; `result` says what there was too much of. The call is over for us, unless its dialplan
-- brings it again.
ALTER TABLE phone_call
    DROP CONSTRAINT phone_call_decision_check,
    ADD CONSTRAINT phone_call_decision_check CHECK (decision IN ('', 'again', 'transfer', 'hangup', 'desk'));

-- Until when new calls do not depend on this account of a vendor of speech, which asked for a pause or keeps failing.
ALTER TABLE credential ADD COLUMN hears_again_at timestamptz, ADD COLUMN speaks_again_at timestamptz;
