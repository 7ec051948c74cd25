-- name: verification_lock
-- A problem's version and time limit, locked: verifications of one problem are started one after the other.
SELECT version, time_limit_ms FROM problems WHERE id = $1 FOR NO KEY UPDATE;

-- name: verification_quota_lock
-- The account of a setter, locked: verifications of one setter's problems are started one after the other.
SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE;

-- name: verification_room
-- Whether a setter $1 may start or go on with a verification of version $3 of the problem $2, by a bound of $4 others.
SELECT EXISTS (
           SELECT FROM verifications WHERE problem_id = $2 AND problem_version = $3 AND state = 'running')
    OR $4 > (SELECT count(*)
             FROM verifications AS v JOIN problems AS p ON p.id = v.problem_id
             WHERE v.state = 'running' AND p.created_by = $1 AND v.problem_id <> $2) AS has_room;

-- name: verification_running
-- The running verification of a problem.
SELECT id, problem_version FROM verifications WHERE problem_id = $1 AND state = 'running' FOR NO KEY UPDATE;

-- name: verification_end
-- Ends a running verification before all was judged; a node that judges for it is refused the outcome.
WITH
ended AS (
    UPDATE verifications SET state = $2, finished_at = now() WHERE id = $1 AND state = 'running'
    RETURNING id, pg_notify('deepoj_live', 'verify-' || problem_id)
)
UPDATE verified_examples
SET state = 'done', lease_owner = NULL, code = '', beside = '[]', changed_at = now()
WHERE verification_id = $1 AND state IN ('pending', 'processing') AND (SELECT count(*) FROM ended) = 1;

-- name: verifications_forget
-- Deletes the verifications of a problem but the newest that was completed.
DELETE FROM verifications AS v
WHERE v.problem_id = $1
  AND v.id <> coalesce((SELECT max(d.id) FROM verifications AS d WHERE d.problem_id = $1 AND d.state = 'done'), 0);

-- name: verification_begin
-- Creates a verification, with the administrator's act $6 (NULL: not an administrator's).
WITH
made AS (
    INSERT INTO verifications (problem_id, problem_version, time_limit_ms, points, left_out, time_factor,
                               time_resolution_ms)
    VALUES ($1, $2, $3, $4, $5, $7, $8)
    RETURNING id, problem_id, problem_version
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT $6, 'problem_verified', problem_id::text, jsonb_build_object('version', problem_version)
    FROM made WHERE $6::text IS NOT NULL
)
SELECT id, pg_notify('deepoj_live', 'verify-' || problem_id) AS notified FROM made;

-- name: verification_example
-- Adds a submission of the package; one that cannot be judged ($8 says why) has ended.
INSERT INTO verified_examples (verification_id, place, example, language, code, entry_point, beside, state, kept, why)
VALUES ($1, $2, $3::jsonb, $4, $5, $6, $7::jsonb, CASE $8 WHEN '' THEN 'pending' ELSE 'done' END,
        CASE $8 WHEN '' THEN NULL ELSE 'skipped' END, $8);

-- name: verifications_of
-- The verifications of a problem, newest first.
SELECT v.id, v.problem_id, v.problem_version, v.time_limit_ms, v.left_out, v.time_factor, v.time_resolution_ms, v.state,
       v.created_at, v.finished_at,
       count(e.place) AS total,
       count(e.place) FILTER (WHERE e.state = 'done') AS ended,
       count(e.place) FILTER (WHERE e.kept = 'ok') AS matched,
       count(e.place) FILTER (WHERE e.kept = 'differs') AS differing,
       count(e.place) FILTER (WHERE e.kept = 'skipped') AS skipped,
       count(e.place) FILTER (WHERE e.kept = 'no promise') AS unpromised
FROM verifications AS v LEFT JOIN verified_examples AS e ON e.verification_id = v.id
WHERE v.problem_id = $1
GROUP BY v.id
ORDER BY v.id DESC;

-- name: verified_examples
-- The submissions of a verification in the order of the package.
SELECT place, example::text AS example, language, state, kept, why, status, score, slowest_test, time_ms, memory_kb
FROM verified_examples WHERE verification_id = $1 ORDER BY place;

-- name: verified_tests
-- The slowest $2 tests of a verification: of each test, the accepted submission that took longest.
SELECT name, time_ms, submission
FROM (
    SELECT DISTINCT ON (test.value ->> 0)
           test.value ->> 0 AS name, (test.value ->> 1)::int AS time_ms, e.example ->> 'name' AS submission
    FROM verified_examples AS e CROSS JOIN jsonb_array_elements(e.tests) AS test (value)
    WHERE e.verification_id = $1 AND e.status = 'Accepted'
    ORDER BY test.value ->> 0, (test.value ->> 1)::int DESC, e.place
) AS worst
ORDER BY time_ms DESC, name
LIMIT $2;

-- name: claim_example
-- Claims the next submission that is due, in a language of $4, with fewer than $3 attempts; the oldest verification first.
-- One that waits still names the node whose attempt failed: another node may take it a minute earlier.
WITH
free AS MATERIALIZED (
    SELECT verification_id, place
    FROM verified_examples
    WHERE state IN ('pending', 'processing') AND due_at <= now() AND attempts < $3 AND language = ANY ($4::text[])
      AND (state = 'processing' OR lease_owner IS DISTINCT FROM $1 OR due_at <= now() - interval '1 minute')
    ORDER BY verification_id, place
    LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED
),
claimed AS (
    UPDATE verified_examples AS e
    SET state = 'processing', attempt_id = e.attempt_id + 1, attempts = e.attempts + 1, lease_owner = $1,
        due_at = now() + make_interval(secs => $2), changed_at = now()
    FROM free
    WHERE e.verification_id = free.verification_id AND e.place = free.place
    RETURNING e.*
)
SELECT c.verification_id, v.problem_id, v.problem_version, v.points, c.place, c.attempt_id, c.attempts,
       c.example::text AS example, c.language, c.code, c.entry_point, c.beside::text AS beside,
       pg_notify('deepoj_live', 'verify-' || v.problem_id) AS notified
FROM claimed AS c JOIN verifications AS v ON v.id = c.verification_id;

-- name: extend_example
-- Extends the lease of a submission that is being judged, if it is still valid.
UPDATE verified_examples
SET due_at = greatest(due_at, now() + make_interval(secs => $5))
WHERE verification_id = $1 AND place = $2 AND attempt_id = $3 AND lease_owner = $4 AND state = 'processing'
  AND due_at > now()
RETURNING place;

-- name: finish_example
-- Writes what judging a submission found, for the attempt that holds the lease. (The lease's owner stays, so that a second
-- try after a lost answer is recognized.)
WITH
target AS MATERIALIZED (
    SELECT verification_id, place, state = 'done' AS is_written
    FROM verified_examples
    WHERE verification_id = $1 AND place = $2 AND attempt_id = $3 AND lease_owner = $4
      AND (state = 'done' OR (state = 'processing' AND due_at > now()))
    FOR NO KEY UPDATE
),
written AS (
    UPDATE verified_examples AS e
    SET state = 'done', kept = $5, why = $6, status = $7, score = $8, slowest_test = $9, time_ms = $10, memory_kb = $11,
        tests = $12::jsonb, code = '', beside = '[]', changed_at = now()
    FROM target
    WHERE e.verification_id = target.verification_id AND e.place = target.place AND NOT target.is_written
    RETURNING pg_notify('deepoj_live', 'verify-' || (SELECT v.problem_id FROM verifications AS v WHERE v.id = $1))
)
SELECT (SELECT count(*) FROM target) = 1 AS is_written, (SELECT count(*) FROM written) AS notified;

-- name: give_back_example
-- Releases the claim: due again after $6 seconds. $5: the attempt counts; then the owner stays, as the node that failed.
UPDATE verified_examples
SET state = 'pending', lease_owner = CASE WHEN $5::boolean THEN lease_owner END, due_at = now() + make_interval(secs => $6), changed_at = now(),
    attempts = attempts - CASE WHEN $5::boolean THEN 0 ELSE 1 END
WHERE verification_id = $1 AND place = $2 AND attempt_id = $3 AND lease_owner = $4 AND state = 'processing'
  AND due_at > now()
RETURNING pg_notify('deepoj_live', 'verify-' || (SELECT v.problem_id FROM verifications AS v WHERE v.id = $1));

-- name: sweep_verifications
-- Ends verifications of an older version of their problem, and those whose submissions have all ended. A submission ends
-- unjudged if its attempts ($1) are used up, or if no node has touched its verification for $2 seconds. That time does not
-- pass while no node takes work, as in sweep_previews.
--
-- Locks the verification, then its submissions, as verification_end does; claims lock submissions alone.
WITH
running AS MATERIALIZED (
    SELECT v.id, p.version <> v.problem_version AS is_outdated
    FROM verifications AS v JOIN problems AS p ON p.id = v.problem_id
    WHERE v.state = 'running'
    ORDER BY v.id
    FOR NO KEY UPDATE OF v SKIP LOCKED
),
live AS MATERIALIZED (
    SELECT array_agg(DISTINCT l.key) AS languages, count(*) > 0 AS is_there
    FROM node_languages AS n LEFT JOIN LATERAL jsonb_object_keys(n.languages) AS l (key) ON true
    WHERE n.live_until > now()
),
-- read once for each verification: a condition on the rows to change would read all of its submissions for each of them
judged AS MATERIALIZED (
    SELECT r.id, r.is_outdated, l.languages, l.is_there AND c.latest <= now() - make_interval(secs => $2) AS is_idle,
           NOT l.is_there AND c.latest <= now() - make_interval(secs => $2 / 10) AS is_touched, c.first_waiting
    FROM running AS r CROSS JOIN live AS l CROSS JOIN LATERAL (
        SELECT max(e.changed_at) AS latest,
               min(e.place) FILTER (WHERE e.state IN ('pending', 'processing') AND e.attempts < $1) AS first_waiting
        FROM verified_examples AS e WHERE e.verification_id = r.id
    ) AS c
),
touched AS (
    UPDATE verified_examples AS e
    SET changed_at = now()
    FROM judged AS r
    WHERE e.verification_id = r.id AND e.place = r.first_waiting AND r.is_touched AND NOT r.is_outdated
),
hopeless AS (
    UPDATE verified_examples AS e
    SET state = 'done', lease_owner = NULL, code = '', beside = '[]', changed_at = now(),
        kept = CASE WHEN r.is_outdated THEN NULL WHEN e.attempts >= $1 THEN 'differs' ELSE 'skipped' END,
        why = CASE WHEN r.is_outdated THEN ''
                   WHEN e.attempts >= $1 THEN 'not judged: each node that tried stopped answering'
                   WHEN e.language = ANY (r.languages) THEN 'no judge node took it in time'
                   ELSE 'no judge node has the language ' || e.language END
    FROM judged AS r
    WHERE e.verification_id = r.id AND e.state IN ('pending', 'processing')
      AND (r.is_outdated OR e.due_at <= now() AND (e.attempts >= $1 OR r.is_idle))
    RETURNING e.verification_id
),
ended AS (
    UPDATE verifications AS v
    SET state = CASE WHEN r.is_outdated THEN 'outdated' ELSE 'done' END, finished_at = now()
    FROM running AS r
    WHERE v.id = r.id
      AND (r.is_outdated
           OR (SELECT count(*) FROM verified_examples AS e
               WHERE e.verification_id = r.id AND e.state IN ('pending', 'processing'))
              = (SELECT count(*) FROM hopeless AS h WHERE h.verification_id = r.id))
    RETURNING pg_notify('deepoj_live', 'verify-' || v.problem_id)
)
SELECT (SELECT count(*) FROM ended) AS ended, (SELECT count(*) FROM hopeless) AS hopeless;
