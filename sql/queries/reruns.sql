-- name: take_rerun
-- Stores a rerun of the test $2 of the job $1, asked for by the account $3, which may have $4 unfinished ones and keeps $5
-- finished ones; older ones are deleted. An unfinished one of the same test is returned again.
--
-- The lock on the submission waits for an erasure of its source. Two concurrent reruns of one account may choose the same
-- place: the index admits one, the other returns 'raced' and is tried again.
WITH
source AS MATERIALIZED (SELECT job_id, language FROM submissions WHERE job_id = $1 AND NOT is_erased FOR SHARE),
standing AS MATERIALIZED (
    SELECT id FROM reruns
    WHERE asked_by = $3 AND job_id = $1 AND test = $2 AND state IN ('pending', 'processing')
    LIMIT 1
),
free AS MATERIALIZED (
    SELECT one.place
    FROM generate_series(1, $4::int) AS one (place)
    WHERE NOT EXISTS (
        SELECT FROM reruns AS r
        WHERE r.asked_by = $3 AND r.place = one.place AND r.state IN ('pending', 'processing'))
    ORDER BY one.place
    LIMIT 1
),
taken AS (
    INSERT INTO reruns (job_id, test, language, asked_by, place)
    SELECT source.job_id, $2, source.language, $3, free.place
    FROM source CROSS JOIN free
    WHERE NOT EXISTS (SELECT FROM standing)
    ON CONFLICT DO NOTHING
    RETURNING id
),
crowded AS MATERIALIZED (
    SELECT id FROM reruns WHERE asked_by = $3 AND state = 'done' ORDER BY id DESC OFFSET $5::int
),
gone AS (
    DELETE FROM reruns WHERE id = ANY (ARRAY (SELECT id FROM crowded))
)
SELECT coalesce((SELECT id FROM standing), (SELECT id FROM taken)) AS id,
       CASE
           WHEN NOT EXISTS (SELECT FROM source) THEN 'unknown'
           WHEN NOT EXISTS (SELECT FROM free) THEN 'too_many'
           ELSE 'raced'
       END AS word;

-- name: rerun
-- A rerun, while it is kept ($2 seconds after its end).
SELECT r.id, r.job_id::text, r.test, r.state, r.result::text AS result, r.input, r.answer, r.output, r.error, u.username
FROM reruns AS r JOIN users AS u ON u.id = r.asked_by
WHERE r.id = $1 AND (r.finished_at IS NULL OR r.finished_at > now() - make_interval(secs => $2));

-- name: claim_rerun
-- Claims the oldest rerun that is due, in a language of $4, with fewer than $3 attempts. The limits are those of the
-- submission's contest; NULL: the problem's.
WITH
free AS MATERIALIZED (
    SELECT id
    FROM reruns
    WHERE state IN ('pending', 'processing') AND due_at <= now() AND attempts < $3 AND language = ANY ($4::text[])
    ORDER BY id
    LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED
),
claimed AS (
    UPDATE reruns
    SET state = 'processing', attempt_id = attempt_id + 1, attempts = attempts + 1, lease_owner = $1,
        due_at = now() + make_interval(secs => $2)
    WHERE id = (SELECT id FROM free)
    RETURNING *
)
SELECT c.id, c.place, c.attempt_id, c.attempts, c.test, s.problem_id, p.version AS problem_version, c.language, s.code,
       s.entry_point, s.files, cp.time_limit_ms, cp.memory_limit_mb
FROM claimed AS c JOIN submissions AS s ON s.job_id = c.job_id JOIN problems AS p ON p.id = s.problem_id
LEFT JOIN contest_problems AS cp ON cp.contest_id = s.contest_id AND cp.problem_id = s.problem_id;

-- name: extend_rerun
-- Extends the lease of a rerun, if it is still valid.
UPDATE reruns
SET due_at = greatest(due_at, now() + make_interval(secs => $5))
WHERE id = $1 AND place = $2 AND attempt_id = $3 AND lease_owner = $4 AND state = 'processing' AND due_at > now()
RETURNING id;

-- name: finish_rerun
-- Writes what a rerun showed, for the attempt that holds the lease. (As in finish_example, the owner stays.)
WITH
target AS MATERIALIZED (
    SELECT id, state = 'done' AS is_written
    FROM reruns
    WHERE id = $1 AND place = $2 AND attempt_id = $3 AND lease_owner = $4
      AND (state = 'done' OR (state = 'processing' AND due_at > now()))
    FOR NO KEY UPDATE
),
written AS (
    UPDATE reruns AS r
    SET state = 'done', finished_at = now(), result = $5::jsonb, input = $6, answer = $7, output = $8, error = $9
    FROM target
    WHERE r.id = target.id AND NOT target.is_written
)
SELECT (SELECT count(*) FROM target) = 1 AS is_written;

-- name: give_back_rerun
-- Releases the claim: due again after $6 seconds. $5: the attempt counts.
UPDATE reruns
SET state = 'pending', lease_owner = NULL, due_at = now() + make_interval(secs => $6),
    attempts = attempts - CASE WHEN $5::boolean THEN 0 ELSE 1 END
WHERE id = $1 AND place = $2 AND attempt_id = $3 AND lease_owner = $4 AND state = 'processing' AND due_at > now()
RETURNING id;

-- name: sweep_reruns
-- Ends reruns that will not be finished, as sweep_runs does, and deletes those past their retention; at most $4 of each.
-- $1: attempts; $2: seconds of waiting; $3: how long a finished one is kept.
WITH
hopeless AS MATERIALIZED (
    SELECT id
    FROM reruns
    WHERE state IN ('pending', 'processing') AND due_at <= now()
      AND (attempts >= $1 OR created_at <= now() - make_interval(secs => $2))
    ORDER BY id
    LIMIT $4
    FOR NO KEY UPDATE SKIP LOCKED
),
ended AS (
    UPDATE reruns AS r
    SET state = 'done', lease_owner = NULL, finished_at = now(),
        result = jsonb_build_object('failure', CASE WHEN r.attempts >= $1 THEN 'unanswered' ELSE 'not_taken' END)
    WHERE r.id = ANY (ARRAY (SELECT id FROM hopeless))
    RETURNING r.id
),
stale AS MATERIALIZED (
    SELECT id
    FROM reruns
    WHERE state = 'done' AND finished_at <= now() - make_interval(secs => $3)
    ORDER BY finished_at
    LIMIT $4
    FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM reruns WHERE id = ANY (ARRAY (SELECT id FROM stale)) RETURNING id
)
SELECT (SELECT count(*) FROM ended) AS ended, (SELECT count(*) FROM gone) AS deleted;
