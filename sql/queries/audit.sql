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
