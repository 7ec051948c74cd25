-- name: dead_letters
-- A page of dead letters, newest submission first: rows below the id $1 (NULL: from the top).
SELECT s.id, s.job_id::text, s.user_id, u.username, s.problem_id, s.language, s.judging, s.attempt_id,
       s.judging_attempts AS attempts, s.error_code, s.error_message, s.trace_id, s.created_at, s.updated_at AS died_at
FROM submissions AS s JOIN users AS u ON u.id = s.user_id
WHERE s.state = 'dead' AND s.id < coalesce($1::bigint, 9223372036854775807)
ORDER BY s.id DESC
LIMIT $2;

-- name: dead_letter
-- One dead letter by its job id.
SELECT s.id, s.job_id::text, s.user_id, u.username, s.problem_id, s.language, s.judging, s.attempt_id,
       s.judging_attempts AS attempts, s.error_code, s.error_message, s.trace_id, s.created_at, s.updated_at AS died_at
FROM submissions AS s JOIN users AS u ON u.id = s.user_id
WHERE s.job_id = $1 AND s.state = 'dead';

-- name: ledger_of
-- A job's latest $2 ledger events, oldest first.
SELECT * FROM (
    SELECT id, judging, attempt_id, event, node, lease_until, stream_entry_id, isolation, outcome, detail, created_at
    FROM attempts WHERE job_id = $1
    ORDER BY id DESC
    LIMIT $2
) AS latest
ORDER BY id;

-- name: count_dead_letters
-- The number of dead letters, counted up to $1; over the partial index.
SELECT count(*) FROM (SELECT FROM submissions WHERE state = 'dead' ORDER BY id LIMIT $1) AS dead;

-- name: lock_batches_of
-- Locks the batches of the job's user, as lock_batches does, if the job $1 is of a batch: otherwise a chunk that is being
-- stored would not count the job that is requeued beside it.
SELECT pg_advisory_xact_lock(hashtextextended('deepoj.batches', user_id)) FROM submissions WHERE job_id = $1 AND in_batch;

-- name: requeue_dead_letter
-- Resets a dead letter's attempts and writes an outbox event, or returns the refusal.
--
-- Fenced by the attempt it died with ($2): a decision about one death never applies to a later one, and the same decision
-- made twice counts once ('repeated'). A requeued letter no longer deduplicates identical submissions: another one may be
-- under way by then (009). It is sent to the current stream ($5), which may have been renamed since.
WITH
target AS MATERIALIZED (
    SELECT id, dead_letter_refusal(job_id, state, attempt_id, $2, 'requeued') AS refusal
    FROM submissions WHERE job_id = $1
    FOR NO KEY UPDATE
),
revived AS (
    UPDATE submissions AS s
    SET state = 'pending', status = 'pending', judging_attempts = 0, deduplicates = false, stream_key = $5,
        error_code = NULL, error_message = NULL, avoid_owner = NULL, avoid_until = NULL, updated_at = now()
    WHERE s.id = (SELECT id FROM target WHERE refusal IS NULL)
    RETURNING s.*
),
ledger AS (
    INSERT INTO attempts (job_id, judging, attempt_id, event, node, outcome, detail)
    SELECT r.job_id, r.judging, r.attempt_id, 'requeued', $3, NULL, $4 FROM revived AS r
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT $3, 'dead_letter_requeued', r.job_id::text, jsonb_build_object('attempt_id', r.attempt_id, 'note', $4::text)
    FROM revived AS r
),
-- The job is unfinished again. The bound (migration 044) does not hold it, so the next chunk is to count.
uncounted AS (DELETE FROM batch_backlogs WHERE user_id IN (SELECT r.user_id FROM revived AS r WHERE r.in_batch)),
sent AS (
    INSERT INTO outbox_events (event_type, job_id, stream_key, enqueue_ts, priority, payload)
    SELECT 'requeue', r.job_id, r.stream_key, floor(extract(epoch FROM now()) * 1000)::bigint,
           submission_priority(r::submissions), submission_task(r::submissions)
    FROM revived AS r
    RETURNING pg_notify('deepoj_outbox', ''), pg_notify('deepoj_live', job_id::text)
)
SELECT CASE WHEN target.id IS NULL THEN 'unknown_job' ELSE refusal END AS word, (SELECT count(*) FROM sent) AS sent
FROM (SELECT) AS one LEFT JOIN target ON true;

-- name: discard_dead_letter
-- Ends a dead letter as System Error by a person's decision ($3), or returns the refusal. Fenced and repeatable as above.
WITH
target AS MATERIALIZED (
    SELECT id, dead_letter_refusal(job_id, state, attempt_id, $2, 'discarded') AS refusal
    FROM submissions WHERE job_id = $1
    FOR NO KEY UPDATE
),
ended AS (
    UPDATE submissions AS s
    SET state = 'done', status = 'System Error', error_code = 'DISCARDED', updated_at = now(),
        error_message = format('discarded by %s', $3::text) || coalesce(': ' || nullif($4::text, ''), '')
            || coalesce(' (' || s.error_message || ')', ''),
        result = jsonb_build_object(
            'job_id', s.job_id, 'attempt_id', s.attempt_id, 'status', 'System Error', 'score', 0, 'time_used', 0,
            'memory_used', 0, 'wall_time', 0, 'language', s.language, 'trace_id', s.trace_id, 'problem_version', '',
            'isolation', '', 'compile', NULL, 'tests', '[]'::jsonb,
            'explanation', jsonb_build_array(jsonb_build_object('rule', 'discarded', 'attempts', s.judging_attempts)))
    WHERE s.id = (SELECT id FROM target WHERE refusal IS NULL)
    RETURNING s.job_id, s.judging, s.attempt_id
),
ledger AS (
    INSERT INTO attempts (job_id, judging, attempt_id, event, node, outcome, detail)
    SELECT e.job_id, e.judging, e.attempt_id, 'discarded', $3, 'System Error', $4 FROM ended AS e
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT $3, 'dead_letter_discarded', e.job_id::text, jsonb_build_object('attempt_id', e.attempt_id, 'note', $4::text)
    FROM ended AS e
)
SELECT CASE WHEN target.id IS NULL THEN 'unknown_job' ELSE refusal END AS word
FROM (SELECT) AS one LEFT JOIN target ON true;
