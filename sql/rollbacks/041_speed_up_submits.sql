-- Nothing is lost.
DROP INDEX IF EXISTS idx_submissions_batch_user;
DROP INDEX IF EXISTS idx_submissions_inflight_user;
DROP INDEX IF EXISTS idx_submissions_twin;
-- as 009 has it
CREATE UNIQUE INDEX idx_submissions_twin ON submissions (user_id, problem_id, language, code_hash)
    WHERE deduplicates AND state IN ('pending', 'processing');
-- as 039 and 038 have them
CREATE INDEX idx_submissions_inflight_user ON submissions (user_id)
    WHERE state IN ('pending', 'processing') AND judging = 1 AND NOT in_batch;
CREATE INDEX idx_submissions_batch_user ON submissions (user_id)
    WHERE state IN ('pending', 'processing') AND judging = 1 AND in_batch;
CREATE OR REPLACE FUNCTION inflight_of(asked_user_id bigint, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('deepoj.inflight', asked_user_id));
    RETURN (SELECT count(*) FROM (
        SELECT FROM submissions
        WHERE user_id = asked_user_id AND state IN ('pending', 'processing') AND judging = 1 AND NOT in_batch
        LIMIT most) AS inflight);
END
$$;
CREATE OR REPLACE TRIGGER outbox_hold BEFORE INSERT ON outbox_events
    FOR EACH ROW WHEN (NEW.status = 'pending' AND NEW.priority <> -1) EXECUTE FUNCTION outbox_hold();
CREATE OR REPLACE FUNCTION outbox_hold() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_held boolean;
BEGIN
    SELECT p.is_paused INTO is_held
    FROM submissions AS s
    JOIN contest_problems AS p ON p.contest_id = s.contest_id AND p.problem_id = s.problem_id
    WHERE s.job_id = NEW.job_id
    FOR SHARE OF p;
    IF is_held THEN
        NEW.next_attempt_at := 'infinity';
    END IF;
    RETURN NEW;
END
$$;
-- as 021 has it
CREATE OR REPLACE FUNCTION outbox_take_turn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.user_id := coalesce((SELECT s.user_id FROM submissions AS s WHERE s.job_id = NEW.job_id), 0);
    NEW.turn := 1 + greatest(
        coalesce((SELECT e.turn FROM outbox_events AS e
                  WHERE e.status = 'pending' AND e.priority = NEW.priority AND e.next_attempt_at <= now()
                  ORDER BY e.turn, e.id LIMIT 1), 0),
        coalesce((SELECT e.turn FROM outbox_events AS e
                  WHERE e.status = 'pending' AND e.user_id = NEW.user_id AND e.priority = NEW.priority
                  ORDER BY e.turn DESC LIMIT 1), 0));
    RETURN NEW;
END
$$;
