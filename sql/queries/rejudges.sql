-- name: open_judgings
-- Opens the next judging of each finished job, and returns the reason for the others.
--
-- The current verdict moves to judgings, as it is once the row is locked. $5: the judging to be replaced, whose verdict the
-- caller has seen: two requests for the same open one judging ('repeated'). An open judging no longer deduplicates
-- identical submissions: another one may be under way by then (009). It is sent to the current stream ($4), which may have
-- been renamed since. (Rows are named by arrays: see mark_delivered.) $6: whether this is an administrator's act, and no
-- page of one.
WITH
target AS MATERIALIZED (
    SELECT s.id, s.job_id, s.judging, s.attempt_id, s.status, s.error_code, s.error_message, s.result, s.updated_at,
           CASE
               WHEN s.judging > $5 OR ($5 IS NULL AND s.judging > 1 AND s.state IN ('pending', 'processing'))
                   THEN 'repeated'
               WHEN s.state = 'dead' THEN 'dead'
               WHEN s.is_erased THEN 'erased'
               WHEN s.state <> 'done' OR s.judging < $5 THEN 'not_finished'
           END AS word
    FROM submissions AS s
    WHERE s.id = ANY (ARRAY (SELECT id FROM submissions WHERE job_id = ANY ($1::uuid[])))
    ORDER BY s.id
    FOR NO KEY UPDATE
),
kept AS (
    INSERT INTO judgings (job_id, judging, attempt_id, status, error_code, error_message, result, replaced_in_full,
                          finished_at)
    SELECT job_id, judging, attempt_id, status, error_code, error_message, result, $3::boolean, updated_at
    FROM target WHERE word IS NULL
),
-- The lease is already NULL, but PostgreSQL checks the new row once more against the snapshot's row.
opened AS (
    UPDATE submissions AS s
    SET state = 'pending', status = 'pending', judging = s.judging + 1, judging_attempts = 0, result = NULL,
        lease_owner = NULL, lease_until = NULL, deduplicates = false, stream_key = $4, error_code = NULL,
        error_message = NULL, avoid_owner = NULL, avoid_until = NULL, updated_at = now()
    WHERE s.id = ANY (ARRAY (SELECT id FROM target WHERE word IS NULL))
    RETURNING s.*
),
ledger AS (
    INSERT INTO attempts (job_id, judging, attempt_id, event, node, outcome, detail)
    SELECT o.job_id, o.judging, o.attempt_id, 'rejudged', $2, NULL, CASE WHEN $3 THEN 'in full' END
    FROM opened AS o
    ORDER BY o.id
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT $2, 'submission_rejudged', o.job_id::text, jsonb_build_object('judging', o.judging, 'in_full', $3::boolean)
    FROM opened AS o WHERE $6::boolean
),
sent AS (
    INSERT INTO outbox_events (event_type, job_id, stream_key, enqueue_ts, priority, payload)
    SELECT 'rejudge', o.job_id, o.stream_key, floor(extract(epoch FROM now()) * 1000)::bigint,
           submission_priority(o::submissions), submission_task(o::submissions)
    FROM opened AS o
    ORDER BY o.id
    RETURNING pg_notify('deepoj_outbox', ''), pg_notify('deepoj_live', job_id::text)
)
SELECT target.job_id::text, word, judging + CASE WHEN word IS NULL THEN 1 ELSE 0 END AS judging,
       (SELECT count(*) FROM sent) AS sent
FROM target;

-- name: former_result
-- The newest verdict before judging $2 whose tests may be reused: none from before a judging in full, and no System Error.
SELECT result
FROM judgings AS j
WHERE job_id = $1 AND judging < $2 AND status <> 'System Error'
  AND NOT EXISTS (SELECT FROM judgings AS f
                  WHERE f.job_id = $1 AND f.judging >= j.judging AND f.judging < $2 AND f.replaced_in_full)
ORDER BY judging DESC
LIMIT 1;

-- name: judgings
-- A job's latest $2 superseded verdicts, oldest first.
SELECT * FROM (
    SELECT j.judging, j.attempt_id, j.status, j.error_code, j.error_message, j.result, j.finished_at,
           s.contest_id IS NOT NULL AND is_judging_withheld(s.contest_id, s.id, j.judging) AS is_withheld
    FROM judgings AS j JOIN submissions AS s ON s.job_id = j.job_id
    WHERE j.job_id = $1
    ORDER BY j.judging DESC
    LIMIT $2
) AS latest
ORDER BY judging;

-- name: rejudge_lock
-- A problem's version, locked: orders of one problem run one after the other, and each sees the previous one.
SELECT version FROM problems WHERE id = $1 FOR NO KEY UPDATE;

-- name: rejudge_standing
-- The unfinished order of a problem. The lock waits for the page that another node is processing.
SELECT id, problem_id, problem_version, in_full, ordered_by, submissions, opened, passed, finished_at, verdict, language,
       since, until, upto_id, after_id, late::text[] AS late
FROM rejudges WHERE problem_id = $1 AND finished_at IS NULL FOR NO KEY UPDATE;

-- name: rejudge_end
-- Ends an order that a newer one replaces.
UPDATE rejudges SET finished_at = now() WHERE id = $1;

-- name: rejudge_begin
-- Creates an order for the submissions that the problem has now: those with the verdict $5, in the language $6, submitted
-- since $7 and before $8; NULL: any. Those that are being judged may get the verdict.
WITH made AS (
    INSERT INTO rejudges (problem_id, problem_version, in_full, ordered_by, submissions, upto_id, verdict, language, since,
                          until)
    SELECT $1, $2, $3, $4, count(*), coalesce(max(id), 0), $5::text, $6::text, $7::timestamptz, $8::timestamptz
    FROM submissions
    WHERE problem_id = $1 AND NOT is_erased
      AND ($5::text IS NULL OR state = 'processing' OR (state = 'done' AND status = $5))
      AND ($6::text IS NULL OR language = $6)
      AND ($7::timestamptz IS NULL OR created_at >= $7) AND ($8::timestamptz IS NULL OR created_at < $8)
    RETURNING id, problem_id, problem_version, in_full, ordered_by, submissions, opened, passed, finished_at, verdict,
              language, since, until
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT ordered_by, 'problem_rejudged', problem_id::text,
           jsonb_build_object('submissions', submissions, 'in_full', in_full) || jsonb_strip_nulls(jsonb_build_object(
               'verdict', verdict, 'language', language, 'since', since, 'until', until))
    FROM made
)
SELECT id, problem_id, problem_version, in_full, ordered_by, submissions, opened, passed, finished_at, verdict, language,
       since, until
FROM made;

-- name: rejudge_latest
-- The newest order of a problem.
SELECT id, problem_id, problem_version, in_full, ordered_by, submissions, opened, passed, finished_at, verdict, language,
       since, until
FROM rejudges WHERE problem_id = $1 ORDER BY id DESC LIMIT 1;

-- name: verdict_changes
-- Counts the verdicts before and after the latest judging that a rejudge opened since the order, of the order's newest $2
-- submissions. A preview that was applied later opened judgings of its own.
WITH
newest AS MATERIALIZED (
    SELECT s.job_id, s.judging, s.state, s.status, o.ordered_at
    FROM rejudges AS o JOIN submissions AS s ON s.problem_id = o.problem_id AND s.id <= o.upto_id
    WHERE o.id = $1
    ORDER BY s.id DESC
    LIMIT $2
)
SELECT j.status AS before,
       CASE WHEN n.judging > o.judging THEN k.status WHEN n.state IN ('done', 'dead') THEN n.status END AS after,
       count(*) AS count
FROM newest AS n
CROSS JOIN LATERAL (
    SELECT max(judging) AS judging
    FROM attempts
    WHERE job_id = n.job_id AND event = 'rejudged' AND created_at >= n.ordered_at
      AND (detail IS NULL OR NOT starts_with(detail, 'preview '))
) AS o
JOIN judgings AS j ON j.job_id = n.job_id AND j.judging = o.judging - 1
LEFT JOIN judgings AS k ON k.job_id = n.job_id AND k.judging = o.judging
WHERE n.judging > 1
GROUP BY 1, 2
ORDER BY count DESC, before, after;

-- name: rejudge_take
-- The next order to continue, for one node: oldest first, then those that only wait for submissions being judged.
SELECT id, problem_id, problem_version, in_full, ordered_by, submissions, opened, passed, finished_at, verdict, language,
       since, until, upto_id, after_id, late::text[] AS late
FROM rejudges WHERE finished_at IS NULL
ORDER BY after_id >= upto_id, id
LIMIT 1
FOR NO KEY UPDATE SKIP LOCKED;

-- name: rejudge_page
-- The next $4 submissions of a problem, up to the id $3; locked, so that their states do not change. is_asked: whether the
-- order concerns it, as in rejudge_begin ($5 to $8).
SELECT id, job_id::text, state,
       ($5::text IS NULL OR state = 'processing' OR (state = 'done' AND status = $5))
       AND ($6::text IS NULL OR language = $6)
       AND ($7::timestamptz IS NULL OR created_at >= $7) AND ($8::timestamptz IS NULL OR created_at < $8) AS is_asked
FROM submissions
WHERE problem_id = $1 AND id > $2 AND id <= $3 AND NOT is_erased
ORDER BY id
LIMIT $4
FOR NO KEY UPDATE;

-- name: rejudge_late
-- The submissions that were being judged when their page was read, in their current state. is_asked: whether the order
-- still concerns it, whose verdict is $2.
SELECT id, job_id::text, state,
       $2::text IS NULL OR state = 'processing' OR (state = 'done' AND status = $2) AS is_asked
FROM submissions
WHERE id = ANY (ARRAY (SELECT id FROM submissions WHERE job_id = ANY ($1::uuid[])))
ORDER BY id
FOR NO KEY UPDATE;

-- name: rejudge_note
-- Stores the progress of an order.
UPDATE rejudges
SET after_id = $2, late = $3::uuid[], opened = opened + $4, passed = passed + $5,
    finished_at = CASE WHEN $6::boolean THEN now() END
WHERE id = $1
RETURNING id, problem_id, problem_version, in_full, ordered_by, submissions, opened, passed, finished_at, verdict, language,
          since, until;
