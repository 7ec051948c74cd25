-- Active days count a submission of a contest when it is sent, not when its judging ends: the end of a judging whose verdict
-- is withheld is hidden, too. First the trigger: it locks out verdicts, so those without one are counted exactly once.
CREATE OR REPLACE FUNCTION activity_of_contest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO daily_activity AS d (user_id, day, submissions)
    VALUES (NEW.user_id, (NEW.created_at AT TIME ZONE 'UTC')::date, 1)
    ON CONFLICT (user_id, day) DO UPDATE SET submissions = d.submissions + 1;
    RETURN NULL;
END
$$;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_trigger
               WHERE tgname = 'submissions_contest_activity' AND tgrelid = 'submissions'::regclass) THEN
        RETURN;
    END IF;
    CREATE TRIGGER submissions_contest_activity AFTER INSERT ON submissions
        FOR EACH ROW WHEN (NEW.contest_id IS NOT NULL) EXECUTE FUNCTION activity_of_contest();
    INSERT INTO daily_activity AS d (user_id, day, submissions)
    SELECT user_id, (created_at AT TIME ZONE 'UTC')::date, count(*)
    FROM submissions WHERE contest_id IS NOT NULL AND state <> 'done' AND judging = 1
    GROUP BY 1, 2
    ON CONFLICT (user_id, day) DO UPDATE SET submissions = d.submissions + excluded.submissions;
END
$$;
-- As in 038 but for the submissions of contests.
CREATE OR REPLACE FUNCTION mark_of_submission() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_shown boolean;
BEGIN
    IF NEW.contest_id IS NOT NULL THEN
        SELECT is_marking INTO is_shown FROM contests WHERE id = NEW.contest_id FOR KEY SHARE;
        IF NOT is_shown THEN
            RETURN NULL;
        END IF;
    ELSIF NEW.judging = 1 THEN
        INSERT INTO daily_activity AS d (user_id, day, submissions)
        VALUES (NEW.user_id, (NEW.created_at AT TIME ZONE 'UTC')::date, 1)
        ON CONFLICT (user_id, day) DO UPDATE SET submissions = d.submissions + 1;
    END IF;
    IF NEW.status = 'Accepted' OR NEW.judging > 1 THEN
        PERFORM settle_mark(NEW, NEW.status);
    END IF;
    RETURN NULL;
END
$$;

-- The cap of a user does not tell that a judging has ended whose verdict a contest withholds (is_judging_withheld). Until its
-- verdict is released, such a submission counts for five minutes from when it was sent, finished, rejudged or not. A count until
-- the release would lock out the members of a homework for weeks; without a count their number would have no bound.
CREATE INDEX IF NOT EXISTS idx_submissions_contest_user ON submissions (user_id, created_at) WHERE contest_id IS NOT NULL;
-- As in 041 but for withheld judgings.
CREATE OR REPLACE FUNCTION inflight_of(asked_user_id bigint, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('deepoj.inflight', asked_user_id));
    RETURN (SELECT count(*) FROM (
        SELECT 1 FROM submissions
        WHERE user_id = asked_user_id AND CASE state WHEN 'pending' THEN true WHEN 'processing' THEN true END
          AND judging = 1 AND NOT in_batch
          AND NOT (contest_id IS NOT NULL AND is_judging_withheld(contest_id, id, judging))
        UNION ALL
        SELECT 1 FROM submissions
        WHERE contest_id IS NOT NULL AND user_id = asked_user_id AND created_at > now() - interval '5 minutes'
          AND is_judging_withheld(contest_id, id, judging)
        LIMIT most) AS inflight);
END
$$;
