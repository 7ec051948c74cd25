-- name: submit
-- Stores a submission with its outbox row and notifies the dispatcher, or returns the refusal, in one statement.
--
-- An Idempotency-Key answers with its submission as long as that is kept. With another problem, language, sources or
-- callback (the last two are in code_hash) the key is refused. Its submission is the one that was stored under the key, or
-- the unfinished identical one (the twin) that an earlier request with the key got as its answer.
--
-- Of two identical concurrent drafts the unique indexes admit one. The INSERT of the other does nothing and returns
-- 'raced'; when it is tried again, it finds the first. $13: the number of jobs under way, by the caller's estimate. They
-- are not counted here: that would read as many index entries as the cap ($10) allows jobs (count_inflight does it). $17:
-- the cap for this user, whose jobs are few and counted here exactly; NULL: no cap.
--
-- At the cap, a user without an unfinished submission is still admitted, until twice as many jobs are under way: otherwise
-- 25 accounts with 20 submissions each would refuse everyone else.
--
-- $18: the contest for which it is; NULL: practice. In a contest a team sees problems that are open to nobody else. While
-- it runs, its members cannot try its problems elsewhere.
WITH
seat AS MATERIALIZED (
    SELECT c.id AS contest_id, m.team_id, p.time_limit_ms, p.memory_limit_mb,
           c.languages = '{}' OR $4 = ANY (c.languages) AS takes_language, c.start_at <= now() AS has_started,
           contest_moment(c, c.duration_ms + c.late_ms + coalesce(x.extra_ms, 0)) <= now() AS is_over,
           c.removed @> now() AS is_paused
    FROM contest_members AS m
    JOIN contests AS c ON c.id = m.contest_id
    LEFT JOIN contest_extensions AS x ON x.contest_id = m.contest_id AND x.team_id = m.team_id
    JOIN contest_problems AS p ON p.contest_id = c.id AND p.problem_id = $3
    WHERE m.user_id = $2 AND ($18::bigint IS NULL OR c.id = $18)
),
problem AS (
    SELECT id, time_limit_ms, memory_limit_mb * 1024 AS memory_limit_kb,
           languages = '{}' OR $4 = ANY (languages) AS takes_language
    FROM open_problems($2) WHERE id = $3 AND $18::bigint IS NULL
    UNION ALL
    SELECT p.id, coalesce(seat.time_limit_ms, p.time_limit_ms),
           coalesce(seat.memory_limit_mb, p.memory_limit_mb) * 1024,
           seat.takes_language AND (p.languages = '{}' OR $4 = ANY (p.languages))
    FROM problems AS p CROSS JOIN seat
    WHERE p.id = $3 AND $18::bigint IS NOT NULL AND seat.has_started
),
same_key AS MATERIALIZED (
    SELECT job_id, problem_id = $3 AND language = $4 AND code_hash = $6
               AND (SELECT s.contest_id FROM submissions AS s WHERE s.job_id = k.job_id) IS NOT DISTINCT FROM $18 AS same_body
    FROM submission_of_key($2, $8) AS k WHERE $8::text IS NOT NULL
),
twin AS (
    SELECT id, job_id,
           created_at > now() - make_interval(secs => $11) AND contest_id IS NOT DISTINCT FROM $18 AS fresh
    FROM submissions
    WHERE user_id = $2 AND problem_id = $3 AND language = $4 AND code_hash = $6
      AND deduplicates AND state IN ('pending', 'processing')
),
decision AS MATERIALIZED (
    SELECT CASE
        -- this is the second try of a call whose first answer was lost
        WHEN EXISTS (SELECT FROM submissions WHERE job_id = $1) THEN 'taken'
        WHEN EXISTS (SELECT FROM same_key WHERE NOT same_body) THEN 'IDEMPOTENCY_KEY_REUSED'
        WHEN EXISTS (SELECT FROM same_key) THEN 'same_key'
        WHEN $18::bigint IS NOT NULL AND NOT EXISTS (SELECT FROM seat) THEN 'NOT_IN_CONTEST'
        WHEN $18::bigint IS NOT NULL AND NOT EXISTS (SELECT FROM seat WHERE has_started AND NOT is_over)
            THEN 'CONTEST_NOT_RUNNING'
        WHEN $18::bigint IS NOT NULL AND EXISTS (SELECT FROM seat WHERE is_paused) THEN 'CONTEST_PAUSED'
        WHEN $18::bigint IS NULL AND EXISTS (SELECT FROM seat WHERE has_started AND NOT is_over) THEN 'CONTEST_PROBLEM'
        WHEN NOT EXISTS (SELECT FROM problem) THEN 'PROBLEM_NOT_FOUND'
        WHEN NOT (SELECT takes_language FROM problem) THEN 'LANGUAGE_NOT_ALLOWED'
        WHEN EXISTS (SELECT FROM twin WHERE fresh) THEN 'twin'
        WHEN $17::bigint IS NOT NULL AND inflight_of($2, $17) >= $17 THEN 'USER_INFLIGHT_CAP_REACHED'
        WHEN $13::bigint >= $10 AND ($17::bigint IS NULL OR $13::bigint >= 2 * $10::bigint OR inflight_of($2, 1) > 0)
            THEN 'INFLIGHT_CAP_REACHED'
        ELSE 'accepted'
    END AS word
),
-- a twin that is older than the window, or of another contest, gives its place in the index to the new one
retired AS (
    UPDATE submissions SET deduplicates = false
    WHERE id = (SELECT id FROM twin WHERE NOT fresh) AND (SELECT word FROM decision) = 'accepted'
    RETURNING id
),
taken AS (
    INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit, code_hash,
                             deduplicates, idempotency_key, trace_id, stream_key, entry_point, files,
                             callback_url, contest_id, contest_team)
    SELECT $1, problem.id, $2, $5, $4, time_limit_ms, memory_limit_kb, $6, true, $8, $7, $12, $14, $15::jsonb,
           $16, $18, (SELECT team_id FROM seat WHERE $18::bigint IS NOT NULL)
    FROM problem
    -- counting the retired rows makes their update run first
    WHERE (SELECT word FROM decision) = 'accepted' AND (SELECT count(*) FROM retired) >= 0
    ON CONFLICT DO NOTHING
    RETURNING *
),
sent AS (
    INSERT INTO outbox_events (event_type, job_id, stream_key, enqueue_ts, priority, payload)
    SELECT 'submit', job_id, stream_key, floor(extract(epoch FROM created_at) * 1000)::bigint,
           submission_priority(taken::submissions),
           $9::jsonb || jsonb_build_object(
               'job_id', job_id, 'time_limit', time_limit, 'memory_limit', memory_limit,
               'submit_time', floor(extract(epoch FROM created_at) * 1000)::bigint)
    FROM taken
    RETURNING pg_notify('deepoj_outbox', '')
)
SELECT CASE WHEN word = 'accepted' AND NOT EXISTS (SELECT FROM sent) THEN 'raced'
            WHEN word = 'twin' AND $8 IS NOT NULL AND NOT keep_submission_key($2, $8, (SELECT job_id FROM twin))
                THEN 'raced'
            ELSE word END AS word,
       CASE word WHEN 'same_key' THEN (SELECT job_id FROM same_key)
                 WHEN 'twin' THEN (SELECT job_id FROM twin)
                 ELSE $1 END::text AS job_id
FROM decision;

-- name: submission
-- One submission by its job id.
SELECT job_id::text, user_id, problem_id, language, code, entry_point, files, state, status, attempt_id, judging, error_code,
       error_message, result, created_at, updated_at, callback_url,
       contest_id IS NOT NULL AND is_judging_withheld(contest_id, id, judging) AS is_withheld,
       CASE WHEN contest_id IS NOT NULL THEN override_of(id, judging) END AS override
FROM submissions WHERE job_id = $1;

-- name: account_and_submission
-- The account that a request's token names ($1), and a submission, in one query. Always one row, with NULLs for a missing
-- account or submission.
SELECT u.id, u.username, u.email, u.is_admin, u.roles, u.password_hash, u.token_epoch, u.is_disabled,
       s.job_id::text, s.user_id, s.problem_id, s.language, s.code, s.entry_point, s.files, s.state, s.status,
       s.attempt_id, s.judging, s.error_code, s.error_message, s.result, s.created_at, s.updated_at,
       s.callback_url, s.contest_id IS NOT NULL AND is_judging_withheld(s.contest_id, s.id, s.judging) AS is_withheld,
       CASE WHEN s.contest_id IS NOT NULL THEN override_of(s.id, s.judging) END AS override
FROM (SELECT $1::bigint AS user_id, $2::uuid AS job_id) AS asked
LEFT JOIN users u ON u.id = asked.user_id
LEFT JOIN submissions s ON s.job_id = asked.job_id;

-- name: withdraw_event
-- Deletes and returns the event of a submission stored in this transaction: the caller sends it to the stream itself.
-- None, if judging of its problem is paused.
DELETE FROM outbox_events WHERE job_id = $1 AND isfinite(next_attempt_at)
RETURNING id, job_id::text, stream_key, enqueue_ts AS enqueue_ts_ms, priority, payload::text, attempts, event_type;

-- name: mark_sent
-- Stores a withdrawn event that has reached the stream, as if a dispatcher had sent it.
INSERT INTO outbox_events (id, event_type, job_id, stream_key, enqueue_ts, priority, payload, status, attempts,
                           dispatched_at, stream_entry_id)
SELECT $1::bigint, $2::text, job_id, $4::text, $5::bigint, $6::int, $7::jsonb, 'delivered', 1, now(), $8::text
FROM submissions WHERE job_id = $3::uuid
ON CONFLICT (id) DO NOTHING;

-- name: count_inflight
-- The number of jobs under way, counted to at most $1. Without rejudges, which would otherwise lock contestants out.
SELECT count(*) FROM (
    SELECT FROM submissions WHERE state IN ('pending', 'processing') AND judging = 1 ORDER BY id LIMIT $1) AS inflight;

-- name: count_before
-- How many waiting first judgings go before the one of $1, counted to $2; no row if it does not wait or is a rejudge. Those
-- of its lane that are older; before practice also those of contests that are not in the stream yet.
SELECT least($2, (SELECT count(*) FROM (
                      SELECT FROM submissions AS b
                      WHERE b.state IN ('pending', 'processing') AND b.judging = 1 AND b.id < s.id AND b.state = 'pending'
                        AND (b.contest_id IS NULL) = (s.contest_id IS NULL)
                      ORDER BY b.id LIMIT $2) AS older)
               + (SELECT count(*) FROM (
                      SELECT FROM outbox_events AS e
                      WHERE e.status = 'pending' AND e.priority = 1 AND s.contest_id IS NULL LIMIT $2) AS sooner)) AS before
FROM submissions AS s
WHERE s.job_id = $1 AND s.state = 'pending' AND s.judging = 1;
