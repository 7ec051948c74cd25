-- name: submission_list
-- A page of submissions, newest first, before the place ($6, $7): of a user $1, else of a problem $2, else of all.
--
-- Scans at most $8 rows of one index. One of the three branches runs: a NULL parameter matches nothing, and the others have
-- a condition that no row meets. Filters without an index (language $3, verdict $4, a user's problem, members of the group
-- $10, $12: without a verdict) apply to the scanned rows. Without $11 a verdict that a contest keeps back is none. The last scanned row is returned, too, because the next page begins there; 'hit' marks the rows that match.
WITH
walk AS MATERIALIZED (
    (SELECT id, created_at, user_id, problem_id, language, state, status, judging, contest_id FROM submissions
     WHERE user_id = $1 AND (created_at, id) < ($6, $7) AND created_at >= $5
     ORDER BY created_at DESC, id DESC LIMIT $8)
    UNION ALL
    (SELECT id, created_at, user_id, problem_id, language, state, status, judging, contest_id FROM submissions
     WHERE $1::bigint IS NULL AND problem_id = $2 AND (created_at, id) < ($6, $7) AND created_at >= $5
     ORDER BY created_at DESC, id DESC LIMIT $8)
    UNION ALL
    (SELECT id, created_at, user_id, problem_id, language, state, status, judging, contest_id FROM submissions
     WHERE $1::bigint IS NULL AND $2::bigint IS NULL AND (created_at, id) < ($6, $7) AND created_at >= $5
     ORDER BY created_at DESC, id DESC LIMIT $8)
),
step AS (
    SELECT id, created_at, row_number() OVER (ORDER BY created_at DESC, id DESC) AS nth,
           ($2::bigint IS NULL OR problem_id = $2) AND ($3::text IS NULL OR language = $3)
           AND ($4::text IS NULL OR (state IN ('done', 'dead') AND $4 = CASE
               WHEN $11::boolean OR contest_id IS NULL THEN status
               WHEN NOT is_judging_withheld(contest_id, id, judging) THEN coalesce(override_of(id, judging), status) END))
           AND (NOT $12::boolean OR state NOT IN ('done', 'dead')
                OR (NOT $11 AND contest_id IS NOT NULL AND is_judging_withheld(contest_id, id, judging)))
           AND ($10::bigint IS NULL OR EXISTS (
               SELECT FROM group_members AS m WHERE m.group_id = $10 AND m.user_id = walk.user_id)) AS hit
    FROM walk
),
page AS MATERIALIZED (
    SELECT * FROM step WHERE hit OR nth = $8 ORDER BY nth LIMIT $9
)
SELECT page.nth, page.hit, s.id, s.created_at, s.job_id::text, s.user_id, u.username, s.problem_id, s.language, s.state,
       s.status, s.judging, s.updated_at, (s.result->>'score')::float8 AS score,
       (s.result->>'time_used')::float8::bigint AS time_used_ms,
       (s.result->>'memory_used')::float8::bigint AS memory_used_kb,
       s.contest_id IS NOT NULL AND is_judging_withheld(s.contest_id, s.id, s.judging) AS is_withheld,
       CASE WHEN s.contest_id IS NOT NULL THEN override_of(s.id, s.judging) END AS override
FROM page JOIN submissions AS s ON s.id = page.id JOIN users AS u ON u.id = s.user_id
ORDER BY page.nth;

-- name: verdict_counts
-- Counts a problem's newest $2 submissions by state and status.
SELECT state, status, count(*) AS count
FROM (SELECT state, status FROM submissions WHERE problem_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2) AS newest
GROUP BY state, status
ORDER BY count DESC, state, status;

-- name: time_counts
-- Counts those of a problem's newest $2 submissions that were run, by their time in tenths of the problem's time limit; 10:
-- the limit or more. MATERIALIZED: the result, which is large, is read once a row.
WITH
newest AS MATERIALIZED (
    SELECT state, status, (result->>'time_used')::float8 AS time_used_ms
    FROM submissions WHERE problem_id = $1
    ORDER BY created_at DESC, id DESC
    LIMIT $2
)
SELECT least(floor(10 * n.time_used_ms / p.time_limit_ms), 10)::int AS tenth, n.status = 'Accepted' AS is_accepted,
       count(*) AS count
FROM newest AS n JOIN problems AS p ON p.id = $1
WHERE n.state = 'done' AND n.status NOT IN ('Compile Error', 'System Error') AND n.time_used_ms IS NOT NULL
GROUP BY 1, 2
ORDER BY 1, 2;
