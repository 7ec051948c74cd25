-- name: repair_lock
-- Locks repair, which one node does at a time. A separate statement: the next one must see the last holder's writes.
SELECT pg_try_advisory_xact_lock(hashtextextended('deepoj.repair', 0));

-- name: repair
-- Writes an outbox event for each unfinished job that has neither a live entry nor a pending event.
--
-- A job is old enough if it was neither changed nor sent for $2 seconds: an event delivered a moment ago may be missing in
-- the list of live jobs, which was read earlier.
WITH
lost AS MATERIALIZED (
    SELECT s.id
    FROM submissions AS s
    WHERE s.state IN ('pending', 'processing')
      AND s.updated_at <= now() - make_interval(secs => $2)
      AND NOT (s.state = 'processing' AND s.lease_until > now())
      AND s.id > $5 AND s.id <= $6
      AND s.job_id::text NOT IN (SELECT unnest($1::text[]))
      AND NOT EXISTS (
          SELECT FROM outbox_events AS e
          WHERE e.job_id = s.job_id
            AND (e.status = 'pending' OR e.dispatched_at > now() - make_interval(secs => $2)))
    ORDER BY s.id
    LIMIT $3
    FOR NO KEY UPDATE OF s SKIP LOCKED
),
-- the job is sent to the current stream, which may have been renamed since
kept AS (
    UPDATE submissions AS s SET stream_key = $4 WHERE s.id = ANY (ARRAY (SELECT id FROM lost)) RETURNING s.*
),
sent AS (
    INSERT INTO outbox_events (event_type, job_id, stream_key, enqueue_ts, priority, payload)
    SELECT 'repair', k.job_id, k.stream_key, floor(extract(epoch FROM now()) * 1000)::bigint,
           submission_priority(k::submissions), submission_task(k::submissions)
    FROM kept AS k
    ORDER BY k.id
    RETURNING id, job_id::text, pg_notify('deepoj_outbox', '')
)
SELECT job_id FROM sent ORDER BY id;

-- name: strays
-- A page of rows that may need repair, by id, each with its latest stream entries.
SELECT s.id, s.job_id::text, entries.ids AS entry_ids
FROM (
    SELECT id, job_id
    FROM submissions AS s
    WHERE s.state IN ('pending', 'processing')
      AND s.id > $1
      AND s.updated_at <= now() - make_interval(secs => $2)
      AND NOT (s.state = 'processing' AND s.lease_until > now())
    ORDER BY s.id
    LIMIT $3
) AS s
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(stream_entry_id), '{}') AS ids
    FROM (
        SELECT stream_entry_id FROM outbox_events AS e
        WHERE e.job_id = s.job_id AND e.stream_entry_id IS NOT NULL
        ORDER BY e.id DESC LIMIT 8
    ) AS latest
) AS entries
ORDER BY s.id;
