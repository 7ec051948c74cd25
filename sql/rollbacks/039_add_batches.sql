-- Batches are lost; their submissions stay, as single ones. Those that wait go on in the lane of single ones.
DROP FUNCTION IF EXISTS submission_terms(bigint, bigint, text, bigint);
CREATE OR REPLACE FUNCTION inflight_of(asked_user_id bigint, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('deepoj.inflight', asked_user_id));
    RETURN (SELECT count(*) FROM (
        SELECT FROM submissions
        WHERE user_id = asked_user_id AND state IN ('pending', 'processing') AND judging = 1
        LIMIT most) AS inflight);
END
$$;
-- as 038 has it
CREATE OR REPLACE FUNCTION submission_priority(s submissions) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN s.judging > 1 THEN -2 WHEN s.contest_id IS NOT NULL THEN 1 ELSE 0 END
$$;
DO $$
BEGIN
    IF to_regproc('outbox_hold') IS NOT NULL THEN
        CREATE OR REPLACE TRIGGER outbox_hold BEFORE INSERT ON outbox_events
            FOR EACH ROW WHEN (NEW.status = 'pending') EXECUTE FUNCTION outbox_hold();
    END IF;
END
$$;
DROP TABLE IF EXISTS batch_lines;
DROP TABLE IF EXISTS batches;
DROP INDEX IF EXISTS idx_submissions_batch_user;
DROP INDEX IF EXISTS idx_submissions_inflight_user;
DROP INDEX IF EXISTS idx_submissions_inflight;
ALTER TABLE submissions DROP COLUMN IF EXISTS in_batch;
CREATE INDEX IF NOT EXISTS idx_submissions_inflight ON submissions (id)
    WHERE state IN ('pending', 'processing') AND judging = 1;
CREATE INDEX IF NOT EXISTS idx_submissions_inflight_user ON submissions (user_id)
    WHERE state IN ('pending', 'processing') AND judging = 1;
