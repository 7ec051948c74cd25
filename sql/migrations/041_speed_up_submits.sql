-- What a submit and its event look up costs the same with few and with many unfinished jobs.
--
-- As in 009 and 039; the state is checked by CASE, which matches no other index. A session plans these look-ups once, perhaps
-- while few jobs are unfinished. It then chose idx_submissions_unfinished, and read all unfinished jobs for each line of a
-- batch: a chunk of 500 lines took 438 ms of CPU after 9,500 lines, now 101. A node of the version before does so always.
-- Indexes are dropped first: the other order would wait for claims that wait for this transaction.
DROP INDEX IF EXISTS idx_submissions_twin;
DROP INDEX IF EXISTS idx_submissions_inflight_user;
DROP INDEX IF EXISTS idx_submissions_batch_user;
CREATE UNIQUE INDEX idx_submissions_twin ON submissions (user_id, problem_id, language, code_hash)
    WHERE deduplicates AND CASE state WHEN 'pending' THEN true WHEN 'processing' THEN true END;
CREATE INDEX idx_submissions_inflight_user ON submissions (user_id)
    WHERE CASE state WHEN 'pending' THEN true WHEN 'processing' THEN true END AND judging = 1 AND NOT in_batch;
CREATE INDEX idx_submissions_batch_user ON submissions (user_id)
    WHERE CASE state WHEN 'pending' THEN true WHEN 'processing' THEN true END AND judging = 1 AND in_batch;
CREATE OR REPLACE FUNCTION inflight_of(asked_user_id bigint, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('deepoj.inflight', asked_user_id));
    RETURN (SELECT count(*) FROM (
        SELECT FROM submissions
        WHERE user_id = asked_user_id AND CASE state WHEN 'pending' THEN true WHEN 'processing' THEN true END
          AND judging = 1 AND NOT in_batch
        LIMIT most) AS inflight);
END
$$;

-- As in 038; the submission is found by its job id. Joined to the problems of contests, it was found by reading all
-- submissions of contests where a session had planned that before there were any: such a plan lives as long as the session.
CREATE OR REPLACE FUNCTION outbox_hold() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of_contest bigint;
    of_problem bigint;
    is_held    boolean;
BEGIN
    SELECT s.contest_id, s.problem_id INTO of_contest, of_problem FROM submissions AS s WHERE s.job_id = NEW.job_id;
    SELECT p.is_paused INTO is_held
    FROM contest_problems AS p
    WHERE p.contest_id = of_contest AND p.problem_id = of_problem
    FOR SHARE;
    IF is_held THEN
        NEW.next_attempt_at := 'infinity';
    END IF;
    RETURN NEW;
END
$$;
-- As in 039; jobs of the interactive lane, too, are of no contest (submission_priority).
CREATE OR REPLACE TRIGGER outbox_hold BEFORE INSERT ON outbox_events
    FOR EACH ROW WHEN (NEW.status = 'pending' AND NEW.priority NOT IN (0, -1)) EXECUTE FUNCTION outbox_hold();

-- As in 021; a statement that knows the user names it.
CREATE OR REPLACE FUNCTION outbox_take_turn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.user_id = 0 THEN
        NEW.user_id := coalesce((SELECT s.user_id FROM submissions AS s WHERE s.job_id = NEW.job_id), 0);
    END IF;
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
