-- Contests are lost, with their boards and events. Their submissions stay, as submissions of practice, with the marks that
-- were hidden until now.
DO $$
BEGIN
    IF to_regclass('contests') IS NULL THEN
        RETURN;
    END IF;
    LOCK TABLE submissions IN SHARE ROW EXCLUSIVE MODE;  -- no verdict may be between the marks and the old trigger
    INSERT INTO solved AS s (user_id, problem_id, job_id, solved_at)
    SELECT DISTINCT ON (user_id, problem_id) user_id, problem_id, job_id, created_at
    FROM submissions
    WHERE contest_id IS NOT NULL AND state = 'done' AND coalesce(override_of(id, judging), status) = 'Accepted'
    ORDER BY user_id, problem_id, created_at, id
    ON CONFLICT (user_id, problem_id) DO UPDATE SET job_id = excluded.job_id, solved_at = excluded.solved_at
    WHERE excluded.solved_at < s.solved_at;
END
$$;
DROP TRIGGER IF EXISTS submissions_contest_verdict ON submissions;
DROP TRIGGER IF EXISTS submissions_contest_new ON submissions;
DROP TRIGGER IF EXISTS submissions_contest_note_new ON submissions;
DROP TRIGGER IF EXISTS submissions_contest_note ON submissions;
DROP FUNCTION IF EXISTS note_contest_of_submission();
DROP FUNCTION IF EXISTS tell_contest_of_submission();
DROP FUNCTION IF EXISTS contest_judgement_data(submissions, boolean);
DROP FUNCTION IF EXISTS contest_score_data(submissions);
DROP TRIGGER IF EXISTS outbox_hold ON outbox_events;
DROP FUNCTION IF EXISTS outbox_hold();
UPDATE outbox_events SET next_attempt_at = now() WHERE status = 'pending' AND next_attempt_at = 'infinity';
-- as 021 has it
CREATE OR REPLACE FUNCTION submission_priority(s submissions) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN s.judging > 1 THEN -2 ELSE 0 END
$$;
-- as 026 has it
CREATE OR REPLACE FUNCTION mark_of_submission() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    mark solved;
    heir record;
BEGIN
    IF NEW.judging = 1 THEN
        INSERT INTO daily_activity AS d (user_id, day, submissions)
        VALUES (NEW.user_id, (NEW.created_at AT TIME ZONE 'UTC')::date, 1)
        ON CONFLICT (user_id, day) DO UPDATE SET submissions = d.submissions + 1;
    END IF;
    IF NEW.status = 'Accepted' THEN
        INSERT INTO solved AS s (user_id, problem_id, job_id, solved_at)
        VALUES (NEW.user_id, NEW.problem_id, NEW.job_id, NEW.created_at)
        ON CONFLICT (user_id, problem_id) DO UPDATE SET job_id = excluded.job_id, solved_at = excluded.solved_at
        WHERE excluded.solved_at < s.solved_at;
    ELSIF NEW.judging > 1 THEN
        SELECT * INTO mark FROM solved WHERE user_id = NEW.user_id AND problem_id = NEW.problem_id FOR UPDATE;
        IF FOUND AND mark.job_id = NEW.job_id THEN
            SELECT job_id, created_at INTO heir
            FROM submissions
            WHERE user_id = NEW.user_id AND problem_id = NEW.problem_id AND state = 'done' AND status = 'Accepted'
            ORDER BY created_at, id LIMIT 1;
            IF FOUND THEN
                UPDATE solved SET job_id = heir.job_id, solved_at = heir.created_at
                WHERE user_id = NEW.user_id AND problem_id = NEW.problem_id;
            ELSIF NOT mark.is_settled THEN
                DELETE FROM solved WHERE user_id = NEW.user_id AND problem_id = NEW.problem_id;
            END IF;
        END IF;
    END IF;
    RETURN NULL;
END
$$;
DROP INDEX IF EXISTS idx_submissions_contest;
ALTER TABLE submissions DROP COLUMN IF EXISTS contest_team;
ALTER TABLE submissions DROP COLUMN IF EXISTS contest_id;
-- as 023 has it
CREATE OR REPLACE FUNCTION webhook_of_submission() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO webhook_deliveries (job_id, user_id, judging, attempt_id, event, verdict, error_code, target)
    VALUES (NEW.job_id, NEW.user_id, NEW.judging, NEW.attempt_id, NEW.state, NEW.status, NEW.error_code,
            substring(NEW.callback_url FROM '^[a-z]+://[^/?]+'));
    RETURN NULL;
END
$$;
UPDATE webhook_deliveries SET next_attempt_at = now(), begun_at = now()
WHERE status = 'pending' AND next_attempt_at = 'infinity';
DROP FUNCTION IF EXISTS release_contest(bigint, bigint);
DROP FUNCTION IF EXISTS is_judging_withheld(bigint, bigint, integer);
DROP FUNCTION IF EXISTS settle_mark(submissions, text);
DROP FUNCTION IF EXISTS override_of(bigint, integer);
DROP TABLE IF EXISTS reruns;
DROP TABLE IF EXISTS contest_reviews;
DROP FUNCTION IF EXISTS mark_contest(bigint);
DROP FUNCTION IF EXISTS contest_hides_results(bigint);
DROP FUNCTION IF EXISTS advance_contest(bigint);
DROP FUNCTION IF EXISTS contest_open_ms(contests);
DROP FUNCTION IF EXISTS contest_elapsed_ms(contests, timestamptz);
DROP FUNCTION IF EXISTS contest_moment(contests, bigint);
DROP FUNCTION IF EXISTS contest_data(contests);
DROP FUNCTION IF EXISTS contest_state_data(contests);
DROP FUNCTION IF EXISTS contest_time_text(timestamptz);
DROP FUNCTION IF EXISTS tell_contest(bigint, text, text, jsonb);
DROP INDEX IF EXISTS idx_previews_contest_rejudge;
ALTER TABLE previews DROP COLUMN IF EXISTS contest_rejudge_id;
DROP TABLE IF EXISTS contest_rejudges;
DROP TABLE IF EXISTS contest_events;
DROP FUNCTION IF EXISTS contest_events_are_append_only();
DROP TABLE IF EXISTS contest_counters;
DROP TABLE IF EXISTS contest_extensions;
DROP TABLE IF EXISTS contest_intervals;
DROP TABLE IF EXISTS contest_members;
DROP TABLE IF EXISTS contest_files;
DROP TABLE IF EXISTS contest_statement_edits;
DROP TABLE IF EXISTS contest_texts;
DROP TABLE IF EXISTS contest_problems;
DROP TABLE IF EXISTS contests;
