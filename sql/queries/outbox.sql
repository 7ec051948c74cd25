-- name: take_outbox
-- Takes due events and hides them from other dispatchers for their backoff. At most $1 in all; lane by lane in the order of
-- $4, of each lane at most its number in $5; within a lane by turn (migration 021).
-- (The update names its rows by an array: see mark_delivered.)
-- The commit does not wait for the disk, here and in mark_delivered (unflushed). If PostgreSQL crashes within the next
-- moments, the event is pending and due again, and is sent twice: the claim refuses the second entry of a job.
WITH unflushed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
due AS MATERIALIZED (
    SELECT head.id, lane.place, head.turn
    FROM unnest($4::int[], $5::bigint[]) WITH ORDINALITY AS lane (priority, most, place)
    CROSS JOIN LATERAL (
        SELECT e.id, e.turn FROM outbox_events AS e
        WHERE e.status = 'pending' AND e.priority = lane.priority AND e.next_attempt_at <= now()
        ORDER BY e.turn, e.id
        LIMIT lane.most
        FOR UPDATE SKIP LOCKED) AS head
    ORDER BY lane.place, head.turn, head.id
    LIMIT $1
),
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
FROM taken JOIN due ON due.id = taken.id JOIN submissions AS s ON s.job_id = taken.job_id CROSS JOIN unflushed
ORDER BY due.place, due.turn, taken.id;

-- name: mark_delivered
-- Marks events that are in the stream; an event keeps its first entry.
-- Rows are named by arrays, not joined. A session plans this once, perhaps while the table is almost empty, and a join
-- planned then scans the whole table for each event (measured over 50,000: 1.2 s for 100 events, instead of 5 ms). The
-- status is checked outside: beside the ids it would invite a scan of all pending events.
WITH unflushed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
delivered AS MATERIALIZED (
    SELECT id, status FROM outbox_events WHERE id = ANY ($1::bigint[]) ORDER BY id FOR NO KEY UPDATE
)
UPDATE outbox_events
SET status = 'delivered', stream_entry_id = ($2::text[])[array_position($1::bigint[], id)], dispatched_at = now(),
    last_error = NULL, updated_at = now()
WHERE id = ANY (ARRAY (SELECT id FROM delivered WHERE status = 'pending')) AND EXISTS (SELECT FROM unflushed);

-- name: mark_undelivered
-- Notes why events did not reach the stream; their backoff stays.
WITH undelivered AS MATERIALIZED (
    SELECT id, status FROM outbox_events WHERE id = ANY ($1::bigint[]) ORDER BY id FOR NO KEY UPDATE
)
UPDATE outbox_events SET last_error = $2, updated_at = now()
WHERE id = ANY (ARRAY (SELECT id FROM undelivered WHERE status = 'pending'));

-- name: outbox_waiting
-- For each lane in $1 the number of due events, counted to at most $2, and whether any event is pending, due or not. An event
-- that is due at no time (outbox_hold) waits for a person, here and below, and is no sign of a slow dispatcher.
SELECT lane.priority,
       (SELECT count(*) FROM (
            SELECT FROM outbox_events AS e
            WHERE e.status = 'pending' AND e.priority = lane.priority AND e.next_attempt_at <= now()
            -- in the order of the index the scan ends at the limit
            ORDER BY e.turn, e.id LIMIT $2) AS due
       ) AS due,
       (SELECT count(*) > 0 FROM (
            SELECT FROM outbox_events AS e
            WHERE e.status = 'pending' AND e.priority = lane.priority AND isfinite(e.next_attempt_at)
            ORDER BY e.turn, e.id LIMIT 1) AS one
       ) AS is_waiting
FROM unnest($1::int[]) AS lane (priority);

-- name: outbox_pending
-- For each lane in $1 the number of pending events and the age of the oldest, over the partial index and to at most $2:
-- this gauge is fed every second and must not cost more when there is more to do. In each row also the age of the oldest
-- unfinished submission, without batches, which wait by design; for a rejudge, whose row is old by nature, since its last
-- change. One that waits for a person (an event of it is held, see outbox_waiting) does not count.
SELECT lane.priority, waiting.count, floor(extract(epoch FROM now() - waiting.since) * 1000)::bigint AS age_ms,
       (SELECT floor(extract(epoch FROM now() - min(oldest.since)) * 1000)
        -- Two searches with one condition, each by an index without jobs of batches (migrations 039 and 045). That of
        -- events names no column of a partial index: a plan made in a new database would read all that waits.
        FROM ((SELECT s.created_at AS since
               FROM submissions AS s
               WHERE s.state IN ('pending', 'processing') AND s.judging = 1 AND NOT s.in_batch
                 AND coalesce((SELECT bool_and(isfinite(e.next_attempt_at) OR e.status <> 'pending')
                               FROM outbox_events AS e WHERE e.job_id = s.job_id), true)
               ORDER BY s.id LIMIT 1)
              UNION ALL
              (SELECT s.updated_at AS since
               FROM submissions AS s
               WHERE CASE s.state WHEN 'pending' THEN true WHEN 'processing' THEN true END AND s.judging > 1
                 AND NOT s.in_batch
                 AND coalesce((SELECT bool_and(isfinite(e.next_attempt_at) OR e.status <> 'pending')
                               FROM outbox_events AS e WHERE e.job_id = s.job_id), true)
               ORDER BY s.id LIMIT 1)) AS oldest)::bigint AS unfinished_age_ms
FROM unnest($1::int[]) AS lane (priority)
CROSS JOIN LATERAL (
    SELECT count(*) AS count, min(created_at) AS since FROM (
        SELECT e.created_at FROM outbox_events AS e
        WHERE e.status = 'pending' AND e.priority = lane.priority AND isfinite(e.next_attempt_at)
        ORDER BY e.turn, e.id LIMIT $2) AS counted
) AS waiting;

-- name: outbox_of_job
-- A job's outbox events, newest first.
SELECT status, attempts, last_error, stream_entry_id FROM outbox_events WHERE job_id = $1 ORDER BY id DESC;

-- name: outbox_stuck
-- The events, except rejudges, that have been tried and have not reached the stream for $1 seconds.
SELECT count(*) AS count, max(last_error) AS last_error
FROM outbox_events
WHERE status = 'pending' AND priority > -2 AND attempts > 0 AND created_at <= now() - make_interval(secs => $1);
