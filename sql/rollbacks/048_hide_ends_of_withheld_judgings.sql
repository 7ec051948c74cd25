-- Nothing is lost. Active days count submissions of contests without a verdict when they get one.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger
                   WHERE tgname = 'submissions_contest_activity' AND tgrelid = 'submissions'::regclass) THEN
        RETURN;
    END IF;
    DROP TRIGGER submissions_contest_activity ON submissions;
    UPDATE daily_activity AS d SET submissions = d.submissions - waiting.submissions
    FROM (SELECT user_id, (created_at AT TIME ZONE 'UTC')::date AS day, count(*) AS submissions
          FROM submissions WHERE contest_id IS NOT NULL AND state <> 'done' AND judging = 1
          GROUP BY 1, 2) AS waiting
    WHERE d.user_id = waiting.user_id AND d.day = waiting.day;
    DELETE FROM daily_activity WHERE submissions <= 0;
END
$$;
DROP FUNCTION IF EXISTS activity_of_contest();
-- as 038 has it
CREATE OR REPLACE FUNCTION mark_of_submission() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_shown boolean;
BEGIN
    IF NEW.judging = 1 THEN
        INSERT INTO daily_activity AS d (user_id, day, submissions)
        VALUES (NEW.user_id, (NEW.created_at AT TIME ZONE 'UTC')::date, 1)
        ON CONFLICT (user_id, day) DO UPDATE SET submissions = d.submissions + 1;
    END IF;
    IF NEW.contest_id IS NOT NULL THEN
        SELECT is_marking INTO is_shown FROM contests WHERE id = NEW.contest_id FOR KEY SHARE;
        IF NOT is_shown THEN
            RETURN NULL;
        END IF;
    END IF;
    IF NEW.status = 'Accepted' OR NEW.judging > 1 THEN
        PERFORM settle_mark(NEW, NEW.status);
    END IF;
    RETURN NULL;
END
$$;
DROP INDEX IF EXISTS idx_submissions_contest_user;
-- as 041 has it
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
