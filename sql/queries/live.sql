-- name: tell_live
-- Stores the tests judged so far, deletes those of finished jobs, and notifies for all: one statement per node.
--
-- $1 to $6: portions of tests, each of one attempt; those of an attempt that is not under way are skipped.
-- $7: jobs to notify for; $8: finished jobs. A notification carries only the job's id.
-- The commit does not wait for the disk (unflushed): a crash of PostgreSQL empties live_tests, which is unlogged, and ends
-- the connections of all listeners, whose streams then read again.
WITH
unflushed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
portions AS MATERIALIZED (
    SELECT t.*
    FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::int[], $5::int[], $6::text[])
        AS t (job_id, attempt_id, first, last, count, tests)
    JOIN submissions AS s ON s.job_id = t.job_id AND s.attempt_id = t.attempt_id
    WHERE s.job_id = ANY ($1::uuid[]) AND CASE s.state WHEN 'processing' THEN true END
),
kept AS (
    INSERT INTO live_tests (job_id, attempt_id, first, last, count, tests)
    SELECT job_id, attempt_id, first, last, count, tests::jsonb FROM portions
    ON CONFLICT DO NOTHING
),
forgotten AS (
    -- a job that is being rejudged keeps the tests of its new attempt
    DELETE FROM live_tests AS l
    WHERE l.job_id = ANY ($8::uuid[]) AND NOT EXISTS (
        SELECT FROM submissions AS s
        WHERE s.job_id = ANY ($8::uuid[]) AND s.job_id = l.job_id AND s.attempt_id = l.attempt_id
          AND CASE s.state WHEN 'processing' THEN true END)
)
SELECT pg_notify('deepoj_live', notified.job_id::text)
FROM (SELECT job_id FROM portions UNION SELECT unnest($7::uuid[]) UNION SELECT unnest($8::uuid[])) AS notified
CROSS JOIN unflushed;

-- name: live
-- For each asked ($1: job, $2: attempt, $3: number of tests), numbered by its place: the job's state, and a row for each
-- portion of its current attempt's tests after $3 (of all its tests, if that attempt is not $2); one row without a portion
-- if there is none, and no row of an unknown job. The columns of a finished submission (f) are NULL before its end.
SELECT asked.place, s.state, s.status, s.judging, s.attempt_id, t.first, t.count, t.tests,
       s.contest_id IS NOT NULL AND is_judging_withheld(s.contest_id, s.id, s.judging) AS is_withheld,
       f.job_id::text, f.user_id, f.problem_id, f.language, f.code, f.entry_point, f.files, f.error_code, f.error_message,
       f.result, f.created_at, f.updated_at, f.callback_url,
       CASE WHEN f.contest_id IS NOT NULL THEN override_of(f.id, f.judging) END AS override
FROM unnest($1::uuid[], $2::bigint[], $3::int[]) WITH ORDINALITY AS asked (job_id, attempt_id, after, place)
JOIN submissions AS s ON s.job_id = asked.job_id
LEFT JOIN submissions AS f ON s.state IN ('done', 'dead') AND f.id = s.id
LEFT JOIN live_tests AS t
    ON s.state = 'processing' AND t.job_id = s.job_id AND t.attempt_id = s.attempt_id
       AND t.last > CASE WHEN s.attempt_id = asked.attempt_id THEN asked.after ELSE 0 END
ORDER BY asked.place, t.last;

-- name: sweep_live
-- Deletes portions that were stored $1 seconds ago, oldest first, $2 at most.
WITH gone AS (
    DELETE FROM live_tests
    WHERE ctid = ANY (ARRAY (SELECT ctid FROM live_tests WHERE told_at <= now() - make_interval(secs => $1)
                             ORDER BY told_at LIMIT $2))
    RETURNING 1
)
SELECT count(*) FROM gone;
