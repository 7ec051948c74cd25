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
-- A submission of a batch is no twin: a person does not wait in the lane of batches.
--
-- A submission whose verdict its contest withholds is a twin within the window, finished or not: otherwise the answer to
-- the same program would tell that its judging has ended. inflight_of counts it likewise (migration 048).
--
-- $18: the contest for which it is; NULL: practice. Who may submit what is in submission_terms (migration 039), which batches
-- ask, too (submit_lines).
--
-- $19: the caller brings the event to the stream itself, so dispatchers are not notified and leave it alone for so many
-- seconds, as if one of them had taken it. The event is returned, unless judging of its problem is paused.
WITH
terms AS MATERIALIZED (SELECT * FROM submission_terms($2, $3, $4, $18)),
same_key AS MATERIALIZED (
    SELECT k.job_id, s.job_id IS NOT NULL AS is_seen,
           k.problem_id = $3 AND k.language = $4 AND k.code_hash = $6 AND s.contest_id IS NOT DISTINCT FROM $18 AS same_body
    FROM submission_of_key($2, $8) AS k LEFT JOIN submissions AS s ON s.job_id = k.job_id WHERE $8::text IS NOT NULL
),
twin AS (
    SELECT id, job_id,
           created_at > now() - make_interval(secs => $11) AND contest_id IS NOT DISTINCT FROM $18
               AND NOT in_batch AS fresh
    FROM submissions
    WHERE user_id = $2 AND problem_id = $3 AND language = $4 AND code_hash = $6
      -- as in idx_submissions_twin (migration 041)
      AND deduplicates AND CASE state WHEN 'pending' THEN true WHEN 'processing' THEN true END
),
withheld AS (
    -- by idx_submissions_contest_user (migration 048)
    SELECT job_id FROM submissions
    WHERE $18::bigint IS NOT NULL AND contest_id IS NOT NULL
      AND user_id = $2 AND created_at > now() - make_interval(secs => $11)
      AND contest_id IS NOT DISTINCT FROM $18 AND problem_id = $3 AND language = $4 AND code_hash = $6
      AND is_judging_withheld(contest_id, id, judging)
    ORDER BY id DESC LIMIT 1
),
fresh_twin AS MATERIALIZED (
    SELECT job_id FROM withheld UNION ALL SELECT job_id FROM twin WHERE fresh LIMIT 1
),
decision AS MATERIALIZED (
    SELECT CASE
        -- this is the second try of a call whose first answer was lost
        WHEN EXISTS (SELECT FROM submissions WHERE job_id = $1) THEN 'taken'
        -- the function waits for a request with the same key, and sees what that committed after this statement began
        WHEN EXISTS (SELECT FROM same_key WHERE NOT is_seen) THEN 'raced'
        WHEN EXISTS (SELECT FROM same_key WHERE NOT same_body) THEN 'IDEMPOTENCY_KEY_REUSED'
        WHEN EXISTS (SELECT FROM same_key) THEN 'same_key'
        WHEN (SELECT refusal FROM terms) IS NOT NULL THEN (SELECT refusal FROM terms)
        WHEN EXISTS (SELECT FROM fresh_twin) THEN 'twin'
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
    SELECT $1, problem_id, $2, $5, $4, time_limit_ms, memory_limit_kb, $6, true, $8, $7, $12, $14, $15::jsonb,
           $16, $18, team_id
    FROM terms
    -- counting the retired rows makes their update run first
    WHERE (SELECT word FROM decision) = 'accepted' AND (SELECT count(*) FROM retired) >= 0
    ON CONFLICT DO NOTHING
    RETURNING *
),
sent AS (
    INSERT INTO outbox_events (event_type, job_id, user_id, stream_key, enqueue_ts, priority, payload, attempts, next_attempt_at)
    SELECT 'submit', job_id, user_id, stream_key, floor(extract(epoch FROM created_at) * 1000)::bigint,
           submission_priority(taken::submissions),
           $9::jsonb || jsonb_build_object(
               'job_id', job_id, 'time_limit', time_limit, 'memory_limit', memory_limit,
               'submit_time', floor(extract(epoch FROM created_at) * 1000)::bigint),
           CASE WHEN $19::float8 IS NULL THEN 0 ELSE 1 END, now() + make_interval(secs => coalesce($19::float8, 0))
    FROM taken
    RETURNING id, enqueue_ts, priority, payload::text, $19::float8 IS NOT NULL AND isfinite(next_attempt_at) AS is_returned,
              CASE WHEN $19::float8 IS NULL THEN pg_notify('deepoj_outbox', '') END
)
SELECT CASE WHEN word = 'accepted' AND NOT EXISTS (SELECT FROM sent) THEN 'raced'
            WHEN word = 'twin' AND $8 IS NOT NULL AND NOT keep_submission_key($2, $8, (SELECT job_id FROM fresh_twin))
                THEN 'raced'
            ELSE word END AS word,
       CASE word WHEN 'same_key' THEN (SELECT job_id FROM same_key)
                 WHEN 'twin' THEN (SELECT job_id FROM fresh_twin)
                 ELSE $1 END::text AS job_id,
       event.id AS event_id, event.enqueue_ts AS enqueue_ts_ms, event.priority, event.payload
FROM decision LEFT JOIN sent AS event ON event.is_returned;

-- name: submission
-- One submission by its job id.
SELECT job_id::text, user_id, problem_id, language, code, entry_point, files, state, status, attempt_id, judging, error_code,
       error_message, result, created_at, updated_at, callback_url,
       contest_id IS NOT NULL AND is_judging_withheld(contest_id, id, judging) AS is_withheld,
       CASE WHEN contest_id IS NOT NULL THEN override_of(id, judging) END AS override
FROM submissions WHERE job_id = $1;

-- name: accounts_and_submissions
-- For each asked pair, in order: the account that a request's token names ($1), and a submission ($2). Always one row, with
-- NULLs for a missing account or submission.
SELECT u.id, u.username, u.email, u.is_admin, u.roles, u.password_hash, u.token_epoch, u.is_disabled,
       login_networks(u.id, u.is_admin, u.roles) AS networks,
       s.job_id::text, s.user_id, s.problem_id, s.language, s.code, s.entry_point, s.files, s.state, s.status,
       s.attempt_id, s.judging, s.error_code, s.error_message, s.result, s.created_at, s.updated_at,
       s.callback_url, s.contest_id IS NOT NULL AND is_judging_withheld(s.contest_id, s.id, s.judging) AS is_withheld,
       CASE WHEN s.contest_id IS NOT NULL THEN override_of(s.id, s.judging) END AS override
FROM unnest($1::bigint[], $2::uuid[]) WITH ORDINALITY AS asked (user_id, job_id, place)
LEFT JOIN users u ON u.id = asked.user_id
LEFT JOIN submissions s ON s.job_id = asked.job_id
ORDER BY asked.place;

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
-- The number of jobs under way, counted to at most $1. Without rejudges and batches, which would otherwise lock contestants
-- out.
SELECT count(*) FROM (
    SELECT FROM submissions WHERE state IN ('pending', 'processing') AND judging = 1 AND NOT in_batch
    ORDER BY id LIMIT $1) AS inflight;

-- name: count_before
-- How many waiting first judgings go before the one of $1, counted to $2; no row if it does not wait or is a rejudge. Those
-- of its lane that are older (of a batch: those of its owner, because users take turns); before practice also those of
-- contests, and before a batch both, that are not in the stream yet.
SELECT least($2, CASE WHEN s.in_batch THEN (SELECT count(*) FROM (
                      SELECT FROM submissions AS b
                      WHERE b.user_id = s.user_id AND CASE b.state WHEN 'pending' THEN true WHEN 'processing' THEN true END
                        AND b.judging = 1 AND b.in_batch AND b.state = 'pending' AND b.id < s.id
                      LIMIT $2) AS older)
                 ELSE (SELECT count(*) FROM (
                      SELECT FROM submissions AS b
                      WHERE b.state IN ('pending', 'processing') AND b.judging = 1 AND NOT b.in_batch AND b.id < s.id
                        AND b.state = 'pending' AND (b.contest_id IS NULL) = (s.contest_id IS NULL)
                      ORDER BY b.id LIMIT $2) AS older) END
               + (SELECT count(*) FROM (
                      SELECT FROM outbox_events AS e
                      WHERE e.status = 'pending' AND e.priority = 1 AND s.contest_id IS NULL LIMIT $2) AS sooner)
               + (SELECT count(*) FROM (
                      SELECT FROM outbox_events AS e
                      WHERE e.status = 'pending' AND e.priority = 0 AND s.in_batch LIMIT $2) AS interactive)) AS before
FROM submissions AS s
WHERE s.job_id = $1 AND CASE s.state WHEN 'pending' THEN s.judging = 1 END;
