-- name: running_jobs
-- Up to $1 submissions in processing, oldest first, each with the time of its claim.
SELECT s.job_id::text, u.username, s.problem_id, s.language, s.lease_owner AS node, s.judging, s.attempt_id,
       s.judging_attempts, s.lease_until > now() AS is_leased, claim.created_at AS claimed_at
FROM submissions AS s
JOIN users AS u ON u.id = s.user_id
LEFT JOIN LATERAL (
    SELECT a.created_at FROM attempts AS a
    WHERE a.job_id = s.job_id AND a.attempt_id = s.attempt_id AND a.event = 'claimed'
    ORDER BY a.id DESC LIMIT 1) AS claim ON true
WHERE s.state = 'processing'
ORDER BY s.id
LIMIT $1;

-- name: last_hour
-- Verdicts of the last hour in twelve parts, oldest first, and how long the $2 latest first claims had waited. Reads the
-- $1 latest events of the ledger, backwards by their key: the ledger itself may be of any size.
WITH latest AS MATERIALIZED (
    SELECT id, job_id, judging, attempt_id, event, created_at FROM attempts ORDER BY id DESC LIMIT $1
),
hour AS MATERIALIZED (
    SELECT * FROM latest WHERE created_at > now() - interval '1 hour'
),
parts AS (
    SELECT least(11, floor(extract(epoch FROM now() - created_at) / 300))::int AS age, count(*) AS verdicts
    FROM hour WHERE event = 'finalized' GROUP BY 1
),
waits AS (
    SELECT extract(epoch FROM first.created_at - s.created_at)::float8 AS wait_s
    FROM (SELECT job_id, created_at FROM hour WHERE event = 'claimed' AND judging = 1 AND attempt_id = 1
          ORDER BY id DESC LIMIT $2) AS first
    JOIN submissions AS s ON s.job_id = first.job_id
)
SELECT ARRAY (SELECT coalesce(p.verdicts, 0)::int FROM generate_series(11, 0, -1) AS age LEFT JOIN parts AS p USING (age)
              ORDER BY age DESC) AS verdicts,
       (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY wait_s) FROM waits) AS median_wait_s,
       (SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY wait_s) FROM waits) AS p95_wait_s,
       (SELECT count(*) FROM hour) = $1 AS is_cut;

-- name: pipeline_times
-- When an event was last sent to the stream, and a submission last claimed, in the $1 latest rows of each table, read
-- backwards by their key.
SELECT (SELECT max(dispatched_at) FROM (SELECT dispatched_at FROM outbox_events ORDER BY id DESC LIMIT $1) AS latest)
       AS dispatched_at,
       (SELECT max(created_at) FROM (SELECT event, created_at FROM attempts ORDER BY id DESC LIMIT $1) AS latest
        WHERE event = 'claimed') AS claimed_at;

-- name: standing
-- Whether there are dead letters; and the age of the last backup in seconds, else that of the database: of its first migration.
SELECT (SELECT min(id) FROM submissions WHERE state = 'dead') IS NOT NULL AS has_letters,
       extract(epoch FROM now() - coalesce(made.at, begun.at, now()))::float8 AS backup_age_s,
       made.at IS NOT NULL AS is_backed_up
FROM (SELECT (SELECT max(at) FROM admin_events WHERE act = 'backed_up') AS at) AS made,
     (SELECT (SELECT applied_at FROM schema_migrations ORDER BY version LIMIT 1) AS at) AS begun;

-- name: interruptions
-- Up to $1 events by which a submission was put back, newest first: of the ledger (lost, given back, refused, dead) and of
-- repair. Reads the $2 latest rows of each table, backwards by their key.
WITH ledger AS MATERIALIZED (
    SELECT job_id, event, node, coalesce(detail, outcome) AS detail, created_at
    FROM (SELECT * FROM attempts ORDER BY id DESC LIMIT $2) AS latest
    WHERE event IN ('lost', 'given_back', 'refused', 'dead')
),
repaired AS MATERIALIZED (
    SELECT job_id, 'repaired' AS event, CAST(NULL AS text) AS node, CAST(NULL AS text) AS detail, created_at
    FROM (SELECT * FROM outbox_events ORDER BY id DESC LIMIT $2) AS latest
    WHERE event_type = 'repair'
)
SELECT job_id::text, event, node, detail, created_at
FROM (SELECT * FROM ledger UNION ALL SELECT * FROM repaired) AS put_back
ORDER BY created_at DESC, job_id
LIMIT $1;
