-- name: take_outbox
-- Takes due events, oldest first, and hides them from other dispatchers for their backoff: at most $1 that somebody
-- waits for, and at most $4 of the background. A lane an index: the conditions on priority are those of the indexes.
-- (The update goes by an array: see mark_delivered.)
WITH waited_for AS MATERIALIZED (
    SELECT id FROM outbox_events
    WHERE status = 'pending' AND priority >= 0 AND next_attempt_at <= now()
    ORDER BY next_attempt_at, id
    LIMIT $1
    FOR UPDATE SKIP LOCKED
),
background AS MATERIALIZED (
    SELECT id FROM outbox_events
    WHERE status = 'pending' AND priority < 0 AND next_attempt_at <= now()
    ORDER BY next_attempt_at, id
    LIMIT $4
    FOR UPDATE SKIP LOCKED
),
due AS MATERIALIZED (SELECT id FROM waited_for UNION ALL SELECT id FROM background),
taken AS (
    UPDATE outbox_events AS e
    SET attempts = e.attempts + 1,
        next_attempt_at = now() + make_interval(secs => least($2::float8 * power(2, least(e.attempts, 30)), $3::float8)),
        updated_at = now()
    WHERE e.id = ANY (ARRAY (SELECT id FROM due))
    RETURNING e.id, e.job_id, e.stream_key, e.enqueue_ts, e.priority, e.payload, e.attempts, e.event_type
)
SELECT taken.id, taken.job_id::text, taken.stream_key, enqueue_ts AS enqueue_ts_ms, priority, payload::text,
       attempts, event_type, s.trace_id
FROM taken JOIN submissions AS s ON s.job_id = taken.job_id
ORDER BY taken.id;

-- name: mark_delivered
-- Events that are in the stream; the first entry of an event stands.
-- Rows are named by arrays, not joined: a session plans this once, perhaps while the table is all but empty, and a join
-- planned then walks the whole table for each event (measured over 50,000: 1.2 s for 100 events, instead of 5 ms).
WITH delivered AS MATERIALIZED (
    SELECT id FROM outbox_events WHERE id = ANY ($1::bigint[]) AND status = 'pending' ORDER BY id FOR NO KEY UPDATE
)
UPDATE outbox_events
SET status = 'delivered', stream_entry_id = ($2::text[])[array_position($1::bigint[], id)], dispatched_at = now(),
    last_error = NULL, updated_at = now()
WHERE id = ANY (ARRAY (SELECT id FROM delivered));

-- name: mark_undelivered
-- Why events did not reach the stream; their backoff stands.
WITH undelivered AS MATERIALIZED (
    SELECT id FROM outbox_events WHERE id = ANY ($1::bigint[]) AND status = 'pending' ORDER BY id FOR NO KEY UPDATE
)
UPDATE outbox_events SET last_error = $2, updated_at = now() WHERE id = ANY (ARRAY (SELECT id FROM undelivered));

-- name: outbox_waiting
-- Whether anything waits in each lane, due or not yet: one look at the head of each index.
SELECT EXISTS (SELECT FROM outbox_events WHERE status = 'pending' AND priority >= 0) AS interactive,
       EXISTS (SELECT FROM outbox_events WHERE status = 'pending' AND priority < 0) AS background;

-- name: outbox_pending
-- How many events wait, over the partial indexes, counted to at most $1 in each lane: a gauge that is fed every second
-- may not cost more the more there is to do.
SELECT (SELECT count(*) FROM (
            SELECT FROM outbox_events WHERE status = 'pending' AND priority >= 0 LIMIT $1) AS waited_for)
     + (SELECT count(*) FROM (
            SELECT FROM outbox_events WHERE status = 'pending' AND priority < 0 LIMIT $1) AS background) AS count;

-- name: oldest_unfinished_age_ms
-- How long the oldest unfinished submission has waited; a rejudge, whose row is old by nature, since it was last touched.
SELECT floor(extract(epoch FROM now() - CASE WHEN judging = 1 THEN created_at ELSE updated_at END) * 1000)::bigint
       AS age_ms
FROM submissions WHERE state IN ('pending', 'processing') ORDER BY id LIMIT 1;

-- name: outbox_of_job
-- What the outbox says of a job, newest first.
SELECT status, attempts, last_error, stream_entry_id FROM outbox_events WHERE job_id = $1 ORDER BY id DESC;

-- name: outbox_stuck
-- The events that somebody waits for, have been tried, and have not reached the stream for $1 seconds.
SELECT count(*) AS count, max(last_error) AS last_error
FROM outbox_events
WHERE status = 'pending' AND priority >= 0 AND attempts > 0 AND created_at <= now() - make_interval(secs => $1);
