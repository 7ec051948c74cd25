-- name: audit_page
-- The next $2 submissions above the id $1, each with all its ledger events, in one snapshot.
WITH page AS MATERIALIZED (
    SELECT id, job_id, state, status, judging, attempt_id, lease_owner, lease_until, result ->> 'status' AS result_status,
           result ->> 'attempt_id' AS result_attempt, result ->> 'job_id' AS result_job, created_at
    FROM submissions WHERE id > $1
    ORDER BY id
    LIMIT $2
)
SELECT p.id, p.job_id::text, p.state, p.status, p.judging, p.attempt_id, p.lease_owner, p.result_status,
       p.result_attempt, p.result_job, coalesce(p.lease_until > now(), false) AS leased, extract(epoch FROM now() - p.created_at)::float8 AS age_s,
       a.judging AS a_judging, a.attempt_id AS a_attempt_id, a.event AS a_event, a.node AS a_node,
       a.outcome AS a_outcome, a.created_at < a.lease_until AS a_in_lease
FROM page AS p LEFT JOIN attempts AS a ON a.job_id = p.job_id
ORDER BY p.id, a.id;

-- name: audit_start
-- The ids after which the audit since the time $1 begins: of submissions, and of the ledger.
-- OFFSET 0 keeps the planner from scanning the primary key through all older rows.
SELECT coalesce((SELECT min(id) FROM (SELECT id FROM submissions WHERE created_at >= $1 OFFSET 0) AS s) - 1,
                9223372036854775807) AS submission_id,
       coalesce((SELECT min(id) FROM (SELECT id FROM attempts WHERE created_at >= $1 OFFSET 0) AS a) - 1,
                9223372036854775807) AS ledger_id;

-- name: audit_older
-- The submissions up to the id $3 that are named by the next $4 ledger events above $2. Each comes once: with the first
-- of its events above $1. Read like a page of the audit; the last column is the last event's id.
WITH events AS MATERIALIZED (
    SELECT id, job_id FROM attempts WHERE id > $2 ORDER BY id LIMIT $4
),
page AS MATERIALIZED (
    SELECT s.id, s.job_id, s.state, s.status, s.judging, s.attempt_id, s.lease_owner, s.lease_until,
           s.result ->> 'status' AS result_status, s.result ->> 'attempt_id' AS result_attempt,
           s.result ->> 'job_id' AS result_job, s.created_at
    FROM events AS e JOIN submissions AS s ON s.job_id = e.job_id
    WHERE s.id <= $3
      AND NOT EXISTS (SELECT FROM attempts AS b WHERE b.job_id = e.job_id AND b.id > $1 AND b.id < e.id)
),
reached AS (SELECT max(id) AS id FROM events)
SELECT p.id, p.job_id::text, p.state, p.status, p.judging, p.attempt_id, p.lease_owner, p.result_status,
       p.result_attempt, p.result_job, coalesce(p.lease_until > now(), false) AS leased, extract(epoch FROM now() - p.created_at)::float8 AS age_s,
       a.judging AS a_judging, a.attempt_id AS a_attempt_id, a.event AS a_event, a.node AS a_node,
       a.outcome AS a_outcome, a.created_at < a.lease_until AS a_in_lease, reached.id AS reached
FROM reached LEFT JOIN page AS p ON true LEFT JOIN attempts AS a ON a.job_id = p.job_id
ORDER BY p.id, a.id;

-- name: audit_rowless
-- The next $3 ledger events above $2, without those that belong to a submission. Each job comes once: with the first of its
-- events above $1. A refusal may be of a job that retention has deleted, and does not count. Read like audit_older.
WITH events AS MATERIALIZED (
    SELECT * FROM attempts WHERE id > $2 ORDER BY id LIMIT $3
),
page AS MATERIALIZED (
    SELECT e.*
    FROM events AS e
    WHERE e.event <> 'refused'
      AND NOT EXISTS (SELECT FROM submissions AS s WHERE s.job_id = e.job_id)
      AND NOT EXISTS (SELECT FROM attempts AS b
                      WHERE b.job_id = e.job_id AND b.id > $1 AND b.id < e.id AND b.event <> 'refused')
),
reached AS (SELECT max(id) AS id FROM events)
SELECT p.job_id::text, p.judging AS a_judging, p.attempt_id AS a_attempt_id, p.event AS a_event, p.node AS a_node,
       p.outcome AS a_outcome, p.created_at < p.lease_until AS a_in_lease, reached.id AS reached
FROM reached LEFT JOIN page AS p ON true
ORDER BY p.id;

-- name: audit_contests
-- The contests, or those with an event since $1.
SELECT id FROM contests AS c
WHERE $1::timestamptz IS NULL OR $1 <= (
    SELECT at FROM contest_events WHERE contest_id = c.id ORDER BY number DESC LIMIT 1)
ORDER BY id;

-- name: audit_contest
-- The first $2 differences between the ledger of the contest $1 and its rows. Both sides are lists of object and value, so
-- each is read once, in one snapshot. What a rejudge wrote after the contest was finalized is no difference.
WITH
last AS MATERIALIZED (
    SELECT DISTINCT ON (type, object_id) type, object_id, data
    FROM contest_events WHERE contest_id = $1
    ORDER BY type, object_id, number DESC
),
theirs AS MATERIALIZED (
    SELECT s.id, s.job_id, s.contest_team, s.language, s.judging, s.state, s.status, p.label,
           c.finalized_at IS NOT NULL AND s.updated_at >= c.finalized_at AS is_later
    FROM contests AS c JOIN submissions AS s ON s.contest_id = c.id
    LEFT JOIN contest_problems AS p ON p.contest_id = c.id AND p.problem_id = s.problem_id
    WHERE c.id = $1
),
side AS (
    SELECT 'numbers' AS object, NULL::text AS job_id, '1..' || count(*) AS told, NULL::text AS stored, false AS is_later
    FROM contest_events WHERE contest_id = $1
    UNION ALL
    SELECT 'numbers', NULL, NULL, (SELECT min(number) FROM contest_events WHERE contest_id = $1) || '..' || last, false
    FROM contest_counters WHERE contest_id = $1
    UNION ALL
    SELECT type, NULL, data::text, NULL, false FROM last WHERE type IN ('contest', 'state')
    UNION ALL
    SELECT 'contest', NULL, NULL, contest_data(c)::text, false FROM contests AS c WHERE c.id = $1
    UNION ALL
    SELECT 'state', NULL, NULL, contest_state_data(c)::text, false FROM contests AS c WHERE c.id = $1
    UNION ALL
    SELECT 'problem ' || object_id, NULL, concat_ws(', ', data ->> 'problem_id', nullif(data ->> 'is_paused', 'false')),
           NULL, false
    FROM last WHERE type = 'problems' AND data IS NOT NULL
    UNION ALL
    SELECT 'problem ' || label, NULL, NULL, concat_ws(', ', problem_id, nullif(is_paused, false)::text), false
    FROM contest_problems WHERE contest_id = $1
    UNION ALL
    SELECT 'interval ' || object_id, NULL,
           concat_ws(', ', data ->> 'start_at', data ->> 'end_at', data ->> 'is_restored'), NULL, false
    FROM last WHERE type = 'intervals'
    UNION ALL
    SELECT 'interval ' || id, NULL, NULL,
           concat_ws(', ', contest_time_text(start_at), contest_time_text(end_at), is_restored::text), false
    FROM contest_intervals WHERE contest_id = $1
    UNION ALL
    SELECT 'extension ' || object_id, NULL, data ->> 'extra_ms', NULL, false
    FROM last WHERE type = 'extensions' AND data IS NOT NULL
    UNION ALL
    SELECT 'extension ' || team_id, NULL, NULL, extra_ms::text, false FROM contest_extensions WHERE contest_id = $1
    UNION ALL
    SELECT 'review ' || object_id, NULL, data::text, NULL, false FROM last WHERE type = 'reviews'
    UNION ALL
    SELECT 'review ' || submission_id, NULL, NULL, data::text, false FROM contest_reviews WHERE contest_id = $1
    UNION ALL
    SELECT 'account ' || object_id, NULL, data ->> 'team_id', NULL, false
    FROM last WHERE type = 'accounts' AND data ->> 'type' = 'team'
    UNION ALL
    SELECT 'account ' || user_id, NULL, NULL, team_id, false FROM contest_members WHERE contest_id = $1
    UNION ALL
    SELECT 'submission ' || object_id, data ->> 'job_id',
           concat_ws(', ', data ->> 'team_id', data ->> 'problem_id', data ->> 'language'), NULL, false
    FROM last WHERE type = 'submissions' AND data IS NOT NULL
    UNION ALL
    SELECT 'submission ' || id, job_id::text, NULL, concat_ws(', ', contest_team, label, language), false FROM theirs
    UNION ALL
    SELECT 'judgement ' || (data ->> 'submission_id'), NULL, object_id || ' ' || (data ->> 'verdict'), NULL, false
    FROM last WHERE type = 'judgements' AND (data ->> 'is_current')::boolean
    UNION ALL
    SELECT 'judgement ' || id, job_id::text, NULL, CASE WHEN state = 'done' THEN id || '-' || judging || ' ' || status END,
           is_later
    FROM theirs
)
SELECT (SELECT key FROM contests WHERE id = $1) AS contest, coalesce(max(job_id), '') AS job_id, object,
       string_agg(told, ' | ') AS told, string_agg(stored, ' | ') AS stored
FROM side
GROUP BY object
HAVING string_agg(told, ' | ') IS DISTINCT FROM string_agg(stored, ' | ') AND NOT bool_or(is_later)
ORDER BY object
LIMIT $2;
