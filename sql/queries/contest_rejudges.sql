-- name: contest_rejudge_begin
-- Creates a rejudge of the contest $1. $2: its scope, $3: whether every test is run again, $4: the account that asks.
INSERT INTO contest_rejudges (contest_id, scope, in_full, ordered_by) VALUES ($1, $2::jsonb, $3, $4) RETURNING id;

-- name: contest_jobs_of_host
-- Of the jobs $1, those whose verdict the node $2 has found.
SELECT s.job_id::text
FROM submissions AS s
JOIN attempts AS a ON a.job_id = s.job_id AND a.attempt_id = s.attempt_id AND a.event = 'claimed' AND a.node = $2
WHERE s.job_id = ANY ($1::uuid[]);

-- name: contest_hosts
-- The nodes that have found verdicts of a contest.
SELECT DISTINCT a.node
FROM submissions AS s
JOIN attempts AS a ON a.job_id = s.job_id AND a.attempt_id = s.attempt_id AND a.event = 'claimed'
WHERE s.contest_id = $1 AND a.node IS NOT NULL
ORDER BY 1;

-- name: contest_rejudges
-- The newest $3 rejudges of a contest, or the one with the id $2, with what has been judged. A problem that was changed
-- meanwhile ends the whole, and so does a preview that was cancelled by its age.
SELECT r.id, r.scope, r.in_full, r.created_at, r.decided_at, o.username AS ordered_by, d.username AS decided_by,
       CASE WHEN r.is_applied THEN 'applied'
            WHEN NOT r.is_applied OR v.previews = 0 OR v.is_cancelled THEN 'cancelled'
            WHEN v.is_outdated THEN 'outdated'
            WHEN v.is_running THEN 'running'
            ELSE 'ready' END AS state,
       v.submissions, v.applied, v.preview_ids, j.ended, j.judged, j.changed
FROM contest_rejudges AS r
LEFT JOIN users AS o ON o.id = r.ordered_by
LEFT JOIN users AS d ON d.id = r.decided_by
CROSS JOIN LATERAL (
    SELECT count(*) AS previews, coalesce(sum(submissions), 0)::integer AS submissions,
           coalesce(sum(applied), 0)::integer AS applied, coalesce(bool_or(state = 'running'), false) AS is_running,
           coalesce(bool_or(state = 'outdated'), false) AS is_outdated,
           coalesce(bool_or(state = 'cancelled'), false) AS is_cancelled,
           coalesce(array_agg(id ORDER BY id), '{}') AS preview_ids
    FROM previews WHERE contest_rejudge_id = r.id
) AS v
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state = 'done') AS ended, count(status) AS judged,
           count(*) FILTER (WHERE is_changed) AS changed
    FROM preview_jobs WHERE preview_id = ANY (v.preview_ids)
) AS j
WHERE r.contest_id = $1 AND ($2::bigint IS NULL OR r.id = $2)
ORDER BY r.id DESC
LIMIT $3;

-- name: contest_rejudge_judgements
-- The judgements that a rejudge would write, as their events would have them.
SELECT s.id || '-' || p.judging AS id, contest_judgement_data(p, is_current => true) AS data
FROM previews AS v
JOIN preview_jobs AS j ON j.preview_id = v.id AND j.status IS NOT NULL AND j.result IS NOT NULL
JOIN submissions AS s ON s.job_id = j.job_id AND s.judging = j.judging AND s.attempt_id = j.base_attempt_id
CROSS JOIN LATERAL jsonb_populate_record(s, jsonb_build_object(
    'judging', s.judging + 1, 'status', j.status, 'result', j.result, 'updated_at', j.changed_at)) AS p
WHERE v.contest_rejudge_id = $1 AND s.state = 'done' AND NOT s.is_erased
ORDER BY s.id;

-- name: contest_rejudge_failures
-- Counts the $2 most frequent reasons why submissions of a rejudge were not judged.
SELECT j.why, count(*) AS count
FROM previews AS v JOIN preview_jobs AS j ON j.preview_id = v.id
WHERE v.contest_rejudge_id = $1 AND j.status IS NULL AND j.why <> ''
GROUP BY 1
ORDER BY count DESC, j.why COLLATE "C"
LIMIT $2;

-- name: contest_rejudge_lock
-- A rejudge of a contest, locked, and whether the contest is finalized.
SELECT r.id, r.is_applied, c.finalized_at IS NOT NULL AS is_final
FROM contest_rejudges AS r JOIN contests AS c ON c.id = r.contest_id
WHERE r.contest_id = $1 AND r.id = $2
FOR NO KEY UPDATE OF r;

-- name: contest_rejudge_problems
-- The previews of a rejudge, with the versions that their problems have now. The problems are locked first.
WITH locked AS MATERIALIZED (
    SELECT id, version FROM problems
    WHERE id = ANY (ARRAY (SELECT problem_id FROM previews WHERE contest_rejudge_id = $1))
    ORDER BY id
    FOR NO KEY UPDATE
)
SELECT v.id, v.problem_id, v.state, v.problem_version, l.version
FROM locked AS l JOIN previews AS v ON v.problem_id = l.id
WHERE v.contest_rejudge_id = $1
ORDER BY v.problem_id
FOR NO KEY UPDATE OF v;

-- name: contest_rejudge_submissions
-- Apply: locks the submissions of all previews $1 in the order in which everything else does, before each is applied.
SELECT id
FROM submissions
WHERE id = ANY (ARRAY (SELECT s.id FROM preview_jobs AS j JOIN submissions AS s ON s.job_id = j.job_id
                       WHERE j.preview_id = ANY ($1::bigint[])))
ORDER BY id
FOR NO KEY UPDATE;

-- name: contest_rejudge_marks
-- Apply: as preview_marks, for all previews $1.
SELECT m.user_id
FROM solved AS m
WHERE EXISTS (
    SELECT FROM preview_jobs AS j JOIN submissions AS s ON s.job_id = j.job_id
    WHERE j.preview_id = ANY ($1::bigint[]) AND j.is_applied AND s.user_id = m.user_id AND s.problem_id = m.problem_id)
ORDER BY m.user_id, m.problem_id
FOR UPDATE;

-- name: contest_rejudge_end
-- Writes the decision about a rejudge. $2: whether it is applied, $3: the account that decides.
UPDATE contest_rejudges SET is_applied = $2, decided_by = $3, decided_at = now() WHERE id = $1;

-- name: close_unchanged_rejudges
-- Cancels the rejudges of contests whose submissions were all judged again with the result that they had: nothing is left
-- to decide. One with a submission that could not be judged waits for a person.
WITH
finished AS MATERIALIZED (
    SELECT r.id FROM contest_rejudges AS r
    WHERE r.is_applied IS NULL
      AND EXISTS (SELECT FROM previews AS v WHERE v.contest_rejudge_id = r.id)
      AND NOT EXISTS (SELECT FROM previews AS v LEFT JOIN preview_jobs AS j ON j.preview_id = v.id
                      WHERE v.contest_rejudge_id = r.id AND (v.state <> 'ready' OR j.is_changed OR j.status IS NULL))
    FOR NO KEY UPDATE OF r SKIP LOCKED
),
ended AS (
    UPDATE contest_rejudges SET is_applied = false, decided_at = now() WHERE id = ANY (ARRAY (SELECT id FROM finished))
    RETURNING id
),
closed AS (
    UPDATE previews SET state = 'cancelled', decided_at = now()
    WHERE contest_rejudge_id = ANY (ARRAY (SELECT id FROM ended))
    RETURNING id, pg_notify('deepoj_live', 'preview-' || id)
),
emptied AS (
    UPDATE preview_jobs SET result = NULL WHERE preview_id = ANY (ARRAY (SELECT id FROM closed))
)
SELECT count(*) AS closed FROM closed;

-- name: contest_is_final
-- Whether the result of a contest is final; locks its counter, so it is asked last.
SELECT is_final FROM contest_counters WHERE contest_id = $1 FOR UPDATE;
