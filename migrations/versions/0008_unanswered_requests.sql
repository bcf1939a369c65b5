CREATE INDEX idempotency_unanswered ON idempotency (created_at) WHERE status IS NULL;

-- Requests that were begun under an Idempotency-Key by a process that is gone: whoever repeats one begins anew, and
-- nobody may do so. `p_owner` asks, and ends its own itself. A living process holds its number locked.
CREATE FUNCTION drop_unanswered(p_owner bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    dropped integer;
BEGIN
    DELETE FROM idempotency
        WHERE status IS NULL
          AND (response ->> 'owner')::bigint <> p_owner
          AND pg_try_advisory_xact_lock((response ->> 'owner')::bigint);
    GET DIAGNOSTICS dropped = ROW_COUNT;
    RETURN dropped;
END $$;
