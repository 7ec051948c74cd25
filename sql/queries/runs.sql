-- name: take_run
-- Stores a custom run, unless its author already has $9 unfinished ones, or is in a team of a contest that is running and
-- allows none.
--
-- Two concurrent runs of one author may choose the same place: the index admits one, the other returns 'raced' and is tried
-- again.
WITH
seen AS MATERIALIZED (SELECT FROM runs WHERE run_id = $1),
barred AS MATERIALIZED (
    SELECT FROM contest_members AS m JOIN contests AS c ON c.id = m.contest_id
    WHERE m.user_id = $2 AND NOT c.allows_custom_runs AND c.started_at IS NOT NULL AND c.ended_at IS NULL
),
free AS MATERIALIZED (
    SELECT one.place
    FROM generate_series(1, $9::int) AS one (place)
    WHERE NOT EXISTS (
        SELECT FROM runs AS r
        WHERE r.user_id = $2 AND r.place = one.place AND r.state IN ('pending', 'processing'))
    ORDER BY one.place
    LIMIT 1
),
taken AS (
    INSERT INTO runs (run_id, user_id, place, language, code, stdin, time_limit_ms, memory_limit_kb, trace_id)
    SELECT $1, $2, free.place, $3, $4, $5, $6, $7, $8
    FROM free
    WHERE NOT EXISTS (SELECT FROM seen) AND NOT EXISTS (SELECT FROM barred)
    ON CONFLICT DO NOTHING
    RETURNING id
)
SELECT CASE
           -- the second try of a call whose first answer was lost
           WHEN EXISTS (SELECT FROM seen) OR EXISTS (SELECT FROM taken) THEN 'taken'
           WHEN EXISTS (SELECT FROM barred) THEN 'CONTEST_WITHOUT_RUNS'
           WHEN NOT EXISTS (SELECT FROM free) THEN 'INFLIGHT_CAP_REACHED'
           ELSE 'raced'
       END AS word,
       floor(extract(epoch FROM now()) * 1000)::bigint AS at_ms;

-- name: drop_run
-- Deletes a run that could not be sent; an attempt that claimed it meanwhile is refused everything.
DELETE FROM runs WHERE run_id = $1;

-- name: custom_run
-- One run, while it is kept ($2 seconds after its end).
SELECT run_id::text, user_id, language, time_limit_ms, memory_limit_kb, state, status, attempt_id, error_code, result,
       stdout, stderr
FROM runs
WHERE run_id = $1 AND (finished_at IS NULL OR finished_at > now() - make_interval(secs => $2));

-- name: custom_runs
-- The runs of user $2 among $1, while they are kept ($3 seconds after their end).
SELECT run_id::text, user_id, language, time_limit_ms, memory_limit_kb, state, status, attempt_id, error_code, result,
       stdout, stderr
FROM runs
WHERE run_id = ANY ($1::uuid[]) AND user_id = $2
      AND (finished_at IS NULL OR finished_at > now() - make_interval(secs => $3));

-- name: custom_program
-- The program and the input of a run, while it is kept ($2 seconds after its end).
SELECT code, stdin FROM runs
WHERE run_id = $1 AND (finished_at IS NULL OR finished_at > now() - make_interval(secs => $2));

-- name: claim_run
-- Claims the run that has been due longest: pending or with an expired lease, in a language of $4, with fewer than $3
-- attempts. A run that is being claimed elsewhere is skipped.
WITH
free AS MATERIALIZED (
    SELECT id
    FROM runs
    WHERE state IN ('pending', 'processing') AND due_at <= now() AND attempts < $3 AND language = ANY ($4::text[])
    ORDER BY due_at, id
    LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE runs
SET state = 'processing', status = 'running', attempt_id = attempt_id + 1, attempts = attempts + 1, lease_owner = $1,
    due_at = now() + make_interval(secs => $2)
WHERE id = (SELECT id FROM free)
RETURNING run_id::text, attempt_id, user_id, language, code, stdin, time_limit_ms, memory_limit_kb, trace_id,
          floor(extract(epoch FROM created_at) * 1000)::bigint AS at_ms,
          floor(extract(epoch FROM now() - created_at) * 1000)::bigint AS waited_ms,
          pg_notify('deepoj_live', run_id::text) AS notified;

-- name: extend_runs
-- Extends all leases of a node's runs that are still valid, in one statement; never shortens one. (Rows are named by an
-- array: a join that was planned over an empty table would scan a full one.)
WITH
named AS MATERIALIZED (SELECT id FROM runs WHERE run_id = ANY ($1::uuid[])),
held AS MATERIALIZED (
    SELECT r.id, r.run_id, r.attempt_id, r.state = 'processing' AND r.lease_owner = $3 AND r.due_at > now() AS is_valid
    FROM runs AS r
    WHERE r.id = ANY (ARRAY (SELECT id FROM named))
    ORDER BY r.id
    FOR NO KEY UPDATE
),
ours AS MATERIALIZED (
    SELECT held.id
    FROM held JOIN unnest($1::uuid[], $2::bigint[]) AS h (run_id, attempt_id)
      ON h.run_id = held.run_id AND h.attempt_id = held.attempt_id
    WHERE held.is_valid
)
UPDATE runs AS r
SET due_at = greatest(r.due_at, now() + make_interval(secs => $4))
WHERE r.id = ANY (ARRAY (SELECT id FROM ours))
RETURNING r.run_id::text;

-- name: finish_run
-- Writes the outcome of a run for the attempt that holds the lease, or returns the refusal. If this attempt has already
-- written (its first answer was lost), nothing changes. Also deletes the oldest results of the same author, with their
-- programs and inputs, until at most $8 bytes are left; a row that is being deleted elsewhere is skipped. (The length of a
-- bytea or text is known without reading it.)
WITH
target AS MATERIALIZED (
    SELECT id, user_id, octet_length(code) + octet_length(stdin) AS sent_bytes,
           CASE
               WHEN attempt_id <> $2 THEN 'stale_attempt'
               WHEN state = 'done' AND lease_owner = $3 THEN 'written'
               WHEN state = 'done' THEN 'already_finished'
               WHEN state <> 'processing' THEN 'not_in_expected_state'
               WHEN lease_owner <> $3 OR due_at <= now() THEN 'lease_lost_or_owner_mismatch'
           END AS refusal
    FROM runs WHERE run_id = $1
    FOR NO KEY UPDATE
),
kept AS MATERIALIZED (
    SELECT id,
           sum(octet_length(code) + octet_length(stdin) + coalesce(octet_length(stdout), 0)
               + coalesce(octet_length(stderr), 0) + coalesce(pg_column_size(result), 0))
               OVER (ORDER BY finished_at DESC, id DESC) AS bytes
    FROM runs
    WHERE user_id = (SELECT user_id FROM target WHERE refusal IS NULL) AND state = 'done'
),
crowded AS MATERIALIZED (
    SELECT id
    FROM runs
    WHERE id = ANY (ARRAY (
        SELECT id FROM kept
        WHERE bytes + (SELECT sent_bytes FROM target) + octet_length($6::bytea) + octet_length($7::bytea)
              + octet_length($5::text) > $8::bigint))
    FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM runs WHERE id = ANY (ARRAY (SELECT id FROM crowded))
),
written AS (
    UPDATE runs
    SET state = 'done', status = $4, result = $5::jsonb, stdout = $6, stderr = $7, finished_at = now()
    WHERE id = (SELECT id FROM target WHERE refusal IS NULL)
    RETURNING pg_notify('deepoj_live', run_id::text)
)
SELECT CASE WHEN target.id IS NULL THEN 'not_in_expected_state' ELSE nullif(refusal, 'written') END AS refusal,
       (SELECT count(*) FROM written) AS notified
FROM (SELECT) AS one LEFT JOIN target ON true;

-- name: give_back_run
-- Releases the claim: due again after $5 seconds. If the attempt counts ($4) and was the last of $6, the run is finished
-- as a System Error.
WITH
target AS MATERIALIZED (
    SELECT id, attempts,
           CASE
               WHEN attempt_id <> $2 THEN 'stale_attempt'
               WHEN state = 'done' THEN 'already_finished'
               WHEN state <> 'processing' THEN 'not_in_expected_state'
               WHEN lease_owner <> $3 OR due_at <= now() THEN 'lease_lost_or_owner_mismatch'
           END AS refusal
    FROM runs WHERE run_id = $1
    FOR NO KEY UPDATE
),
released AS (
    UPDATE runs AS r
    SET state = 'pending', status = 'pending', lease_owner = NULL, due_at = now() + make_interval(secs => $5),
        attempts = r.attempts - CASE WHEN $4::boolean THEN 0 ELSE 1 END
    WHERE r.id = (SELECT id FROM target WHERE refusal IS NULL AND NOT ($4::boolean AND attempts >= $6))
    RETURNING pg_notify('deepoj_live', r.run_id::text)
),
ended AS (
    UPDATE runs AS r
    SET state = 'done', status = 'System Error', error_code = 'ATTEMPTS_EXHAUSTED', lease_owner = NULL,
        finished_at = now()
    WHERE r.id = (SELECT id FROM target WHERE refusal IS NULL AND $4::boolean AND attempts >= $6)
    RETURNING pg_notify('deepoj_live', r.run_id::text)
)
SELECT CASE WHEN target.id IS NULL THEN 'not_in_expected_state' ELSE refusal END AS refusal,
       (SELECT count(*) FROM released) + (SELECT count(*) FROM ended) AS notified
FROM (SELECT) AS one LEFT JOIN target ON true;

-- name: sweep_runs
-- Ends runs that will not be finished, and deletes those past their retention; at most $4 of each.
--
-- A run will not be finished if its attempts ($1) are used up and the last lease has expired, or if it has waited for $2
-- seconds. $3: how long a finished run is kept.
WITH
hopeless AS MATERIALIZED (
    SELECT id
    FROM runs
    WHERE state IN ('pending', 'processing') AND due_at <= now()
      AND (attempts >= $1 OR created_at <= now() - make_interval(secs => $2))
    ORDER BY due_at, id
    LIMIT $4
    FOR NO KEY UPDATE SKIP LOCKED
),
ended AS (
    UPDATE runs AS r
    SET state = 'done', status = 'System Error', lease_owner = NULL, finished_at = now(),
        error_code = CASE WHEN r.attempts >= $1 THEN 'ATTEMPTS_EXHAUSTED' ELSE 'RUN_EXPIRED' END
    WHERE r.id = ANY (ARRAY (SELECT id FROM hopeless))
    RETURNING r.run_id, pg_notify('deepoj_live', r.run_id::text)
),
stale AS MATERIALIZED (
    SELECT id
    FROM runs
    WHERE state = 'done' AND finished_at <= now() - make_interval(secs => $3)
    ORDER BY finished_at, id
    LIMIT $4
    FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM runs WHERE id = ANY (ARRAY (SELECT id FROM stale)) RETURNING id
)
SELECT ARRAY (SELECT run_id::text FROM ended) AS ended, (SELECT count(*) FROM gone) AS deleted;
