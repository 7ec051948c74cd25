-- formerly 42123772c32de677557ddcbd6876b12f2e2240af7103f9f47211dc2f3a35d0ad
-- What a user has achieved, for the marks in the list of problems and for profiles. It is kept when retention deletes
-- submissions.
CREATE TABLE IF NOT EXISTS solved (
    user_id    bigint      NOT NULL,
    problem_id bigint      NOT NULL,
    -- the first accepted submission, and when it was submitted; retention may have deleted it since
    job_id     uuid        NOT NULL,
    solved_at  timestamptz NOT NULL,
    -- retention has deleted an accepted submission: no rejudge can take the mark away
    is_settled boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (user_id, problem_id)
);
-- for the deletion of a problem
CREATE INDEX IF NOT EXISTS idx_solved_problem_id ON solved (problem_id);

-- How many submissions a user made on a day (UTC) that got a verdict. A rejudge and deletions change nothing.
CREATE TABLE IF NOT EXISTS daily_activity (
    user_id     bigint  NOT NULL,
    day         date    NOT NULL,
    submissions integer NOT NULL,
    PRIMARY KEY (user_id, day)
);

-- Triggers, as for webhooks: no statement that ends a judging (finalize, the discard of a dead letter) can forget them,
-- nor can a node of the version before.
--
-- Each statement of the function has a snapshot of its own, so after the lock it sees what the holder before has
-- committed. A job that was accepted before it is rejudged loses its mark to the next accepted one when it ends with
-- another verdict; while it waits, and as a dead letter, it keeps the mark.
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

-- Locks in the order of the key, so that no two deletions wait for each other.
CREATE OR REPLACE FUNCTION settle_marks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM solved AS s
    WHERE (s.user_id, s.problem_id) IN (
        SELECT user_id, problem_id FROM gone WHERE state = 'done' AND status = 'Accepted') AND NOT s.is_settled
    ORDER BY s.user_id, s.problem_id
    FOR UPDATE;
    UPDATE solved AS s SET is_settled = true
    WHERE (s.user_id, s.problem_id) IN (
        SELECT user_id, problem_id FROM gone WHERE state = 'done' AND status = 'Accepted') AND NOT s.is_settled;
    RETURN NULL;
END
$$;

-- Submissions of before, once. All of them are read while verdicts go on: a lock on the table for so long would keep
-- every node waiting. So a place in the ledger is noted first, at a moment without an unfinished verdict. After the
-- reading, the triggers are made; that lock keeps verdicts away until the end of this migration, which counts anew what
-- the ledger has got since that place, and only that.
DO $$
DECLARE
    place bigint;
BEGIN
    IF EXISTS (SELECT FROM pg_trigger WHERE tgname = 'submissions_mark' AND tgrelid = 'submissions'::regclass) THEN
        RETURN;
    END IF;
    BEGIN
        LOCK TABLE submissions IN SHARE ROW EXCLUSIVE MODE;
        SELECT coalesce(max(id), 0) INTO place FROM attempts;
        RAISE EXCEPTION USING ERRCODE = 'DJ026';  -- ends the lock; the place is kept
    EXCEPTION WHEN SQLSTATE 'DJ026' THEN
        NULL;
    END;

    INSERT INTO solved (user_id, problem_id, job_id, solved_at)
    SELECT DISTINCT ON (user_id, problem_id) user_id, problem_id, job_id, created_at
    FROM submissions WHERE state = 'done' AND status = 'Accepted'
    ORDER BY user_id, problem_id, created_at, id
    ON CONFLICT DO NOTHING;
    INSERT INTO daily_activity (user_id, day, submissions)
    SELECT user_id, (created_at AT TIME ZONE 'UTC')::date, count(*)
    FROM submissions WHERE state = 'done' OR judging > 1
    GROUP BY 1, 2
    ON CONFLICT DO NOTHING;

    -- What was read is not read again if this lock takes long: others pass meanwhile.
    FOR tried IN 1..100 LOOP
        BEGIN
            LOCK TABLE users, problems, submissions IN SHARE ROW EXCLUSIVE MODE;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(1);
        END;
    END LOOP;
    CREATE TRIGGER submissions_mark AFTER UPDATE OF state ON submissions
        FOR EACH ROW WHEN (NEW.state = 'done' AND OLD.state <> 'done')
        EXECUTE FUNCTION mark_of_submission();
    CREATE TRIGGER submissions_settle AFTER DELETE ON submissions REFERENCING OLD TABLE AS gone
        FOR EACH STATEMENT EXECUTE FUNCTION settle_marks();

    CREATE TEMPORARY TABLE judged_meanwhile ON COMMIT DROP AS
    SELECT DISTINCT s.user_id, s.problem_id, (s.created_at AT TIME ZONE 'UTC')::date AS day
    FROM submissions AS s
    WHERE s.job_id IN (SELECT job_id FROM attempts WHERE id > place);
    DELETE FROM solved AS s USING judged_meanwhile AS j
    WHERE s.user_id = j.user_id AND s.problem_id = j.problem_id;
    INSERT INTO solved (user_id, problem_id, job_id, solved_at)
    SELECT j.user_id, j.problem_id, first.job_id, first.created_at
    FROM (SELECT DISTINCT user_id, problem_id FROM judged_meanwhile) AS j
    CROSS JOIN LATERAL (
        SELECT job_id, created_at FROM submissions AS s
        WHERE s.user_id = j.user_id AND s.problem_id = j.problem_id AND state = 'done' AND status = 'Accepted'
        ORDER BY created_at, id LIMIT 1) AS first;
    DELETE FROM daily_activity AS d USING judged_meanwhile AS j WHERE d.user_id = j.user_id AND d.day = j.day;
    INSERT INTO daily_activity (user_id, day, submissions)
    SELECT j.user_id, j.day, count(*)
    FROM (SELECT DISTINCT user_id, day FROM judged_meanwhile) AS j
    JOIN submissions AS s ON s.user_id = j.user_id AND s.created_at >= j.day::timestamp AT TIME ZONE 'UTC'
        AND s.created_at < (j.day + 1)::timestamp AT TIME ZONE 'UTC'
    WHERE s.state = 'done' OR s.judging > 1
    GROUP BY 1, 2;
    DROP TABLE judged_meanwhile;
END
$$;

-- Last, because they lock accounts and problems. Those that were deleted meanwhile leave nothing.
DELETE FROM solved AS s
WHERE NOT EXISTS (SELECT FROM users AS u WHERE u.id = s.user_id)
    OR NOT EXISTS (SELECT FROM problems AS p WHERE p.id = s.problem_id);
DELETE FROM daily_activity AS d WHERE NOT EXISTS (SELECT FROM users AS u WHERE u.id = d.user_id);
ALTER TABLE solved DROP CONSTRAINT IF EXISTS solved_user_id_fkey, DROP CONSTRAINT IF EXISTS solved_problem_id_fkey;
ALTER TABLE solved
    ADD CONSTRAINT solved_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    ADD CONSTRAINT solved_problem_id_fkey FOREIGN KEY (problem_id) REFERENCES problems (id) ON DELETE CASCADE;
ALTER TABLE daily_activity DROP CONSTRAINT IF EXISTS daily_activity_user_id_fkey;
ALTER TABLE daily_activity
    ADD CONSTRAINT daily_activity_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;
