-- name: take_outbox
-- Takes due events, oldest first, and hides them from other dispatchers for their backoff.
WITH due AS MATERIALIZED (
    SELECT id FROM outbox_events
    WHERE status = 'pending' AND next_attempt_at <= now()
    ORDER BY next_attempt_at, id
    LIMIT $1
    FOR UPDATE SKIP LOCKED
),
taken AS (
    UPDATE outbox_events AS e
    SET attempts = e.attempts + 1,
        next_attempt_at = now() + make_interval(secs => least($2::float8 * power(2, least(e.attempts, 30)), $3::float8)),
        updated_at = now()
    FROM due WHERE e.id = due.id
    RETURNING e.id, e.job_id, e.stream_key, e.enqueue_ts, e.priority, e.payload, e.attempts, e.event_type
)
SELECT taken.id, taken.job_id::text, taken.stream_key, enqueue_ts AS enqueue_ts_ms, priority, payload::text,
       attempts, event_type, s.trace_id
FROM taken JOIN submissions AS s ON s.job_id = taken.job_id
ORDER BY taken.id;

-- name: mark_delivered
-- Events that are in the stream; the first entry of an event stands.
WITH delivered AS MATERIALIZED (
    SELECT e.id, d.entry_id
    FROM outbox_events AS e JOIN unnest($1::bigint[], $2::text[]) AS d (id, entry_id) ON d.id = e.id
    WHERE e.status = 'pending'
    ORDER BY e.id
    FOR NO KEY UPDATE OF e
)
UPDATE outbox_events AS e
SET status = 'delivered', stream_entry_id = delivered.entry_id, dispatched_at = now(), last_error = NULL,
    updated_at = now()
FROM delivered WHERE e.id = delivered.id;

-- name: mark_undelivered
-- Why events did not reach the stream; their backoff stands.
WITH undelivered AS MATERIALIZED (
    SELECT id FROM outbox_events WHERE id = ANY ($1::bigint[]) AND status = 'pending' ORDER BY id FOR NO KEY UPDATE
)
UPDATE outbox_events AS e SET last_error = $2, updated_at = now() FROM undelivered WHERE e.id = undelivered.id;

-- name: outbox_pending
-- How many events wait; over the partial index.
SELECT count(*) FROM outbox_events WHERE status = 'pending';
