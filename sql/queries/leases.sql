-- name: claim
-- Claims a batch: pending rows and rows whose lease has expired, each once; for the others the reason is returned.
--
-- Rows are locked in the order of their ids (in extend, too). After waiting for a lock, the row is checked again: of two
-- nodes one wins. The reasons come from the statement's snapshot. There, a row that another claim took meanwhile still
-- looks free and is reported as 'leased': it is never acked, so nothing is lost.
--
-- Rows are found by their job ids, here and in all statements that are given some. A session plans a statement once, perhaps
-- while few jobs are unfinished or there are few at all. Left to itself it then reads all unfinished jobs for each claim: with
-- 2,000 of them that took 1.5 ms of CPU instead of 0.5. So the state is checked by CASE, which no partial index matches, and
-- the order is of id + 0, which no index has.
--
-- The commit waits for the disk: a program that brings down the whole host must find its attempt counted, or it does so again
-- without end; and the number of a lost attempt would be given to another one.
-- $6: a job that $3 has just failed at is 'avoided' until its avoid_until, unless it is dead anyway.
-- $7: the languages of node $3; NULL: all. A job in another language is 'unfit', unless it is dead anyway. A job of a
-- problem that its contest has paused is 'unfit', too, on every node: hand_over writes its event again, and the trigger
-- outbox_hold lets that event wait until the pause ends.
WITH
wanted AS MATERIALIZED (
    SELECT entry_id, job_id, row_number() OVER (PARTITION BY job_id ORDER BY position) = 1 AS first
    FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS entry (entry_id, job_id, position)
),
free AS MATERIALIZED (
    SELECT id, job_id, state, judging, attempt_id, judging_attempts, lease_owner, lease_until, updated_at,
           CASE
               WHEN judging_attempts >= $5 THEN NULL
               WHEN (SELECT p.is_paused FROM contest_problems AS p WHERE p.contest_id = submissions.contest_id
                     AND p.problem_id = submissions.problem_id) THEN 'unfit'
               WHEN language <> ALL ($7::text[]) THEN 'unfit'
               WHEN $6::boolean AND avoid_owner = $3 AND avoid_until > now() THEN 'avoided'
           END AS left_as
    FROM submissions
    WHERE job_id = ANY ($2::uuid[])
      AND CASE state WHEN 'pending' THEN true WHEN 'processing' THEN lease_until <= now() END
    ORDER BY id + 0
    FOR NO KEY UPDATE
),
won AS (
    UPDATE submissions AS s
    SET state = 'processing', status = 'running', attempt_id = free.attempt_id + 1,
        judging_attempts = free.judging_attempts + 1, lease_owner = $3,
        lease_until = now() + make_interval(secs => $4), updated_at = now(), avoid_owner = NULL, avoid_until = NULL
    FROM free
    WHERE s.id = free.id AND free.judging_attempts < $5 AND free.left_as IS NULL
    RETURNING s.job_id, s.attempt_id, s.judging, s.lease_until, s.user_id, s.problem_id, s.contest_id, s.language, s.code,
              s.entry_point, s.files, s.trace_id,
              round(extract(epoch FROM now() - CASE WHEN s.judging = 1 THEN s.created_at
                                                    ELSE free.updated_at END) * 1000)::bigint AS waited_ms
),
died AS (
    UPDATE submissions AS s
    SET state = 'dead', status = 'System Error', lease_owner = NULL, lease_until = NULL, updated_at = now(),
        error_code = 'ATTEMPTS_EXHAUSTED',
        error_message = format('judging was begun %s times and gave no verdict', free.judging_attempts)
            || coalesce(', at last: ' || s.error_message, '')
    FROM free
    WHERE s.id = free.id AND free.judging_attempts >= $5
    RETURNING s.job_id, s.attempt_id, s.judging
),
ledger AS (
    INSERT INTO attempts (job_id, judging, attempt_id, event, node, lease_until, stream_entry_id, outcome)
    SELECT job_id, judging, attempt_id, 'lost', lease_owner, lease_until, NULL, NULL
    FROM free WHERE state = 'processing' AND left_as IS NULL
    UNION ALL
    SELECT won.job_id, judging, attempt_id, 'claimed', $3, lease_until, entry_id, NULL
    FROM won JOIN wanted ON wanted.job_id = won.job_id AND first
    UNION ALL
    SELECT died.job_id, judging, attempt_id, 'dead', $3, NULL, entry_id, 'ATTEMPTS_EXHAUSTED'
    FROM died JOIN wanted ON wanted.job_id = died.job_id AND first
)
SELECT wanted.entry_id,
       CASE
           WHEN won.job_id IS NOT NULL AND first THEN 'claimed'
           WHEN died.job_id IS NOT NULL OR seen.state = 'dead' THEN 'dead'
           WHEN seen.job_id IS NULL THEN 'unknown_job'
           WHEN seen.state = 'done' THEN 'already_done'
           WHEN free.left_as IS NOT NULL THEN free.left_as
           ELSE 'leased'
       END AS word,
       wanted.job_id::text, won.attempt_id, won.judging, won.user_id, won.language, won.code,
       won.entry_point, won.files, won.trace_id,
       won.waited_ms, coalesce(NOT k.is_marking, false) AS hides_verdict,
       p.id, p.title, p.description, p.difficulty,
       coalesce(c.time_limit_ms, p.time_limit_ms) AS time_limit_ms,
       coalesce(c.memory_limit_mb, p.memory_limit_mb) AS memory_limit_mb, p.compare,
       p.testcase_minio_path AS data_path, p.testcase_hash AS data_hash, p.version
FROM wanted
LEFT JOIN submissions AS seen ON seen.job_id = wanted.job_id
LEFT JOIN won ON won.job_id = wanted.job_id AND first
LEFT JOIN problems AS p ON p.id = won.problem_id
LEFT JOIN contest_problems AS c ON c.contest_id = won.contest_id AND c.problem_id = won.problem_id
LEFT JOIN contests AS k ON k.id = won.contest_id
LEFT JOIN died ON died.job_id = wanted.job_id
LEFT JOIN free ON free.job_id = wanted.job_id;

-- name: extend
-- Extends all leases of a node that are still valid, in one statement; never shortens one.
-- (The update names its rows by an array, single-row updates by a value: see mark_delivered.)
WITH held AS MATERIALIZED (
    SELECT s.id
    FROM submissions AS s
    JOIN unnest($1::uuid[], $2::bigint[]) AS h (job_id, attempt_id)
      ON h.job_id = s.job_id AND h.attempt_id = s.attempt_id
    WHERE s.job_id = ANY ($1::uuid[])
      AND CASE s.state WHEN 'processing' THEN s.lease_owner = $3 AND s.lease_until > now() END
    ORDER BY s.id + 0
    FOR NO KEY UPDATE OF s
)
UPDATE submissions AS s
SET lease_until = greatest(s.lease_until, now() + make_interval(secs => $4)), updated_at = now()
WHERE s.id = ANY (ARRAY (SELECT id FROM held))
RETURNING s.job_id::text;

-- name: finalize
-- Writes the verdict of the attempt that holds the lease, or returns the refusal; both write a ledger row.
-- Triggers add what follows from a verdict: a webhook's delivery, the solved mark and the active day (marks.sql).
-- $8: this is the second try of a call whose first answer was lost; a verdict of this attempt is then its own.
WITH
target AS MATERIALIZED (
    SELECT id, lease_until,
           CASE
               WHEN attempt_id <> $2 THEN 'stale_attempt'
               WHEN state = 'done' THEN 'already_finished'
               WHEN state <> 'processing' THEN 'not_in_expected_state'
               WHEN lease_owner <> $3 OR lease_until <= now() THEN 'lease_lost_or_owner_mismatch'
           END AS refusal
    FROM submissions WHERE job_id = $1
    FOR NO KEY UPDATE
),
decision AS MATERIALIZED (
    SELECT CASE WHEN target.id IS NULL THEN 'not_in_expected_state' ELSE refusal END AS refusal,
           $8::boolean AND EXISTS (SELECT FROM attempts WHERE job_id = $1 AND attempt_id = $2 AND event = 'finalized')
               AS applied_before,
           target.id, target.lease_until
    FROM (SELECT) AS one LEFT JOIN target ON true
),
written AS (
    UPDATE submissions AS s
    SET state = 'done', status = $4, result = $5::jsonb, error_code = NULL, error_message = NULL,
        lease_owner = NULL, lease_until = NULL, updated_at = now()
    WHERE s.id = (SELECT id FROM decision WHERE refusal IS NULL)
),
ledger AS (
    INSERT INTO attempts (job_id, judging, attempt_id, event, node, lease_until, stream_entry_id, isolation, outcome,
                          detail)
    SELECT $1, $6, $2, CASE WHEN refusal IS NULL THEN 'finalized' ELSE 'refused' END, $3, lease_until, $7, $9,
           coalesce(refusal, $4), CASE WHEN refusal IS NOT NULL THEN 'finalize ' || $4 END
    FROM decision WHERE NOT applied_before
)
SELECT CASE WHEN NOT applied_before THEN refusal END AS refusal FROM decision;

-- name: give_back
-- Releases the claim and writes an outbox event, or returns the refusal.
-- $8: as in finalize; a give-back of this attempt is then its own. $10: for so many seconds after the job is due again,
-- its owner avoids it.
WITH
target AS MATERIALIZED (
    SELECT id, lease_until,
           CASE
               WHEN attempt_id <> $2 THEN 'stale_attempt'
               WHEN state = 'done' THEN 'already_finished'
               WHEN state <> 'processing' THEN 'not_in_expected_state'
               WHEN lease_owner <> $3 OR lease_until <= now() THEN 'lease_lost_or_owner_mismatch'
           END AS refusal
    FROM submissions WHERE job_id = $1
    FOR NO KEY UPDATE
),
decision AS MATERIALIZED (
    SELECT CASE WHEN target.id IS NULL THEN 'not_in_expected_state' ELSE refusal END AS refusal,
           $8::boolean AND EXISTS (SELECT FROM attempts WHERE job_id = $1 AND attempt_id = $2 AND event = 'given_back')
               AS applied_before,
           target.id, target.lease_until
    FROM (SELECT) AS one LEFT JOIN target ON true
),
released AS (
    UPDATE submissions AS s
    SET state = 'pending', status = 'pending', lease_owner = NULL, lease_until = NULL, updated_at = now(),
        error_message = $4, judging_attempts = s.judging_attempts - CASE WHEN $5::boolean THEN 0 ELSE 1 END,
        avoid_owner = CASE WHEN $10::float8 > 0 THEN $3 END,
        avoid_until = CASE WHEN $10::float8 > 0 THEN now() + make_interval(secs => $6 + $10) END
    WHERE s.id = (SELECT id FROM decision WHERE refusal IS NULL)
    RETURNING s.*
),
ledger AS (
    INSERT INTO attempts (job_id, judging, attempt_id, event, node, lease_until, stream_entry_id, outcome, detail)
    SELECT $1, $9, $2, CASE WHEN refusal IS NULL THEN 'given_back' ELSE 'refused' END, $3, lease_until, $7,
           coalesce(refusal, $4), CASE WHEN refusal IS NOT NULL THEN 'give_back ' || $4 END
    FROM decision WHERE NOT applied_before
),
sent AS (
    INSERT INTO outbox_events (event_type, job_id, stream_key, enqueue_ts, priority, payload, next_attempt_at)
    SELECT 'give_back', r.job_id, r.stream_key, floor(extract(epoch FROM now()) * 1000)::bigint,
           submission_priority(r::submissions), submission_task(r::submissions), now() + make_interval(secs => $6)
    FROM released AS r
    RETURNING pg_notify('deepoj_outbox', ''), pg_notify('deepoj_live', job_id::text)
)
SELECT CASE WHEN NOT applied_before THEN refusal END AS refusal, (SELECT count(*) FROM sent) AS sent FROM decision;

-- name: hand_over
-- Writes an outbox event for each job without a valid lease, and returns the reason for the others. Rows stay unchanged.
-- A job with an undelivered event gets one, too. That event may be the one whose entry is given up here: published a
-- moment ago and not marked yet. So each given-up entry is replaced by one event.
-- $2: for how long the node that failed at a job avoids it. The first offer goes out at once, because the node that has
-- waited longest for work takes it. Each later offer waits half as long as the job has been offered so far, at most 4 s;
-- the random factor keeps offers out of step with the nodes' reads.
-- $3: the node may not judge these jobs ('unfit'). The next offer waits half as long as the job has waited so far, plus 0.1 s: at
-- most 1.5 s while a live node can judge it, 30 s while none can.
WITH
wanted AS MATERIALIZED (SELECT DISTINCT job_id FROM unnest($1::uuid[]) AS w (job_id)),
free AS MATERIALIZED (
    SELECT s.*
    FROM submissions AS s
    WHERE s.job_id = ANY ($1::uuid[])
      AND CASE s.state WHEN 'pending' THEN true WHEN 'processing' THEN s.lease_until <= now() END
    ORDER BY s.id + 0
    FOR NO KEY UPDATE
),
sent AS (
    INSERT INTO outbox_events (event_type, job_id, stream_key, enqueue_ts, priority, payload, next_attempt_at)
    SELECT 'hand_over', f.job_id, f.stream_key, floor(extract(epoch FROM now()) * 1000)::bigint,
           submission_priority(f::submissions), submission_task(f::submissions),
           now() + make_interval(secs => CASE WHEN $3::boolean THEN (0.75 + 0.5 * random()) * least(
               CASE WHEN EXISTS (SELECT FROM node_languages AS n
                                 WHERE n.live_until > now() AND n.languages ? f.language) THEN 1.5 ELSE 30 END,
               0.1 + extract(epoch FROM now() - f.updated_at)::float8 / 2) WHEN f.avoid_until > now() THEN (0.75 + 0.5 * random()) * least(
               4, greatest(0, $2::float8 - extract(epoch FROM f.avoid_until - now())::float8) / 2) ELSE 0 END)
    FROM free AS f
    RETURNING pg_notify('deepoj_outbox', '')
)
SELECT wanted.job_id::text,
       CASE WHEN free.job_id IS NOT NULL THEN NULL
            WHEN seen.job_id IS NULL THEN 'unknown_job'
            WHEN seen.state = 'done' THEN 'already_done'
            WHEN seen.state = 'dead' THEN 'dead'
            ELSE 'leased'
       END AS word,
       (SELECT count(*) FROM sent) AS sent
FROM wanted
LEFT JOIN free ON free.job_id = wanted.job_id
LEFT JOIN submissions AS seen ON seen.job_id = wanted.job_id;
