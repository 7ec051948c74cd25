-- Batches: many submissions of one user that are sent together and judged behind what people wait for (the batch lane).
--
-- A batch is its owner's Idempotency-Key, and a line of it is found again by its number. So a request that is sent again
-- after it broke off stores no line twice. A line whose program is identical to an unfinished submission of its owner names
-- that submission, as a single submit does. Lines go with their submissions, batches with their owners.
CREATE TABLE IF NOT EXISTS batches (
    id              uuid        PRIMARY KEY,
    user_id         bigint      NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    idempotency_key text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (user_id, idempotency_key)
);
CREATE INDEX IF NOT EXISTS idx_batches_user ON batches (user_id, created_at, id);
-- for the deletion of those that have lost their lines
CREATE INDEX IF NOT EXISTS idx_batches_created ON batches (created_at);

CREATE TABLE IF NOT EXISTS batch_lines (
    batch_id uuid    NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    line     integer NOT NULL,
    job_id   uuid    NOT NULL REFERENCES submissions (job_id) ON DELETE CASCADE,
    PRIMARY KEY (batch_id, line)
);
CREATE INDEX IF NOT EXISTS idx_batch_lines_job ON batch_lines (job_id);

-- Whether a submission was stored for a batch. It decides the lane each time its job goes round, so it is in the row.
ALTER TABLE submissions ADD COLUMN IF NOT EXISTS in_batch boolean NOT NULL DEFAULT false;

-- As in 038; a batch waits for people, and a rejudge waits for all.
CREATE OR REPLACE FUNCTION submission_priority(s submissions) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN s.judging > 1 THEN -2 WHEN s.contest_id IS NOT NULL THEN 1 WHEN s.in_batch THEN -1 ELSE 0 END
$$;

-- As in 010 and 021: jobs of batches count towards a quota of their own. Otherwise one batch would refuse everyone else.
DROP INDEX IF EXISTS idx_submissions_inflight;
CREATE INDEX idx_submissions_inflight ON submissions (id)
    WHERE state IN ('pending', 'processing') AND judging = 1 AND NOT in_batch;
DROP INDEX IF EXISTS idx_submissions_inflight_user;
CREATE INDEX idx_submissions_inflight_user ON submissions (user_id)
    WHERE state IN ('pending', 'processing') AND judging = 1 AND NOT in_batch;
CREATE INDEX IF NOT EXISTS idx_submissions_batch_user ON submissions (user_id)
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

-- As in 038; jobs of batches are of no contest, whose problems alone can be held. The look cost a quarter of a chunk.
CREATE OR REPLACE TRIGGER outbox_hold BEFORE INSERT ON outbox_events
    FOR EACH ROW WHEN (NEW.status = 'pending' AND NEW.priority <> -1) EXECUTE FUNCTION outbox_hold();

-- Whether a user may submit a program in a language for a problem, and by which limits it is judged: one row, whose refusal
-- is NULL if the user may. asked_contest_id: the contest for which it is; NULL: practice. In a contest a team sees problems
-- that are open to nobody else. While it runs, or hides verdicts because others still work, its members cannot try its problems
-- elsewhere.
CREATE OR REPLACE FUNCTION submission_terms(
    asked_user_id bigint, asked_problem_id bigint, asked_language text, asked_contest_id bigint
) RETURNS TABLE (refusal text, problem_id bigint, time_limit_ms integer, memory_limit_kb integer, team_id text)
LANGUAGE sql STABLE AS $$
    WITH seat AS MATERIALIZED (
        SELECT c.id AS contest_id, m.team_id, p.time_limit_ms, p.memory_limit_mb,
               c.languages = '{}' OR asked_language = ANY (c.languages) AS takes_language,
               c.start_at <= now() AS has_started,
               contest_moment(c, c.duration_ms + c.late_ms + coalesce(x.extra_ms, 0)) <= now() AS is_over,
               c.removed @> now() AS is_paused, c.feedback = 'hidden' AND c.closed_at IS NULL AS hides
        FROM contest_members AS m
        JOIN contests AS c ON c.id = m.contest_id
        LEFT JOIN contest_extensions AS x ON x.contest_id = m.contest_id AND x.team_id = m.team_id
        JOIN contest_problems AS p ON p.contest_id = c.id AND p.problem_id = asked_problem_id
        WHERE m.user_id = asked_user_id AND (asked_contest_id IS NULL OR c.id = asked_contest_id)
    ),
    problem AS MATERIALIZED (
        SELECT p.id, p.time_limit_ms, p.memory_limit_mb * 1024 AS memory_limit_kb,
               p.languages = '{}' OR asked_language = ANY (p.languages) AS takes_language
        FROM open_problems(asked_user_id) AS p WHERE p.id = asked_problem_id AND asked_contest_id IS NULL
        UNION ALL
        SELECT p.id, coalesce(seat.time_limit_ms, p.time_limit_ms),
               coalesce(seat.memory_limit_mb, p.memory_limit_mb) * 1024,
               seat.takes_language AND (p.languages = '{}' OR asked_language = ANY (p.languages))
        FROM problems AS p CROSS JOIN seat
        WHERE p.id = asked_problem_id AND asked_contest_id IS NOT NULL AND seat.has_started
    )
    SELECT CASE
               WHEN asked_contest_id IS NOT NULL AND NOT EXISTS (SELECT FROM seat) THEN 'NOT_IN_CONTEST'
               WHEN asked_contest_id IS NOT NULL AND NOT EXISTS (SELECT FROM seat WHERE has_started AND NOT is_over)
                   THEN 'CONTEST_NOT_RUNNING'
               WHEN asked_contest_id IS NOT NULL AND EXISTS (SELECT FROM seat WHERE is_paused) THEN 'CONTEST_PAUSED'
               WHEN asked_contest_id IS NULL AND EXISTS (SELECT FROM seat WHERE has_started AND (NOT is_over OR hides))
                   THEN 'CONTEST_PROBLEM'
               WHEN problem.id IS NULL THEN 'PROBLEM_NOT_FOUND'
               WHEN NOT problem.takes_language THEN 'LANGUAGE_NOT_ALLOWED'
           END,
           problem.id, problem.time_limit_ms, problem.memory_limit_kb,
           (SELECT seat.team_id FROM seat WHERE asked_contest_id IS NOT NULL)
    FROM (SELECT) AS one LEFT JOIN problem ON true
$$;
