-- name: webhook_targets
-- The next $2 targets after $1 that anything waits for, in their order: one step down the index for each.
WITH RECURSIVE waiting AS (
    (SELECT target, 1 AS place FROM webhook_deliveries WHERE status = 'pending' AND target > $1 ORDER BY target LIMIT 1)
    UNION ALL
    SELECT next.target, waiting.place + 1
    FROM waiting CROSS JOIN LATERAL (
        SELECT target FROM webhook_deliveries
        WHERE status = 'pending' AND target > waiting.target ORDER BY target LIMIT 1) AS next
    WHERE waiting.place < $2
)
SELECT target FROM waiting ORDER BY place;

-- name: take_webhooks
-- Takes what is due for the targets $1, at most $2 (one number for each) of a target and $3 in all, and hides it from
-- other nodes for $4 seconds: whoever dies with it only delays it.
--
-- The result is that of the judging which is told of, wherever it stands by now; a dead letter has none.
WITH due AS MATERIALIZED (
    SELECT one.id
    FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS room (target, places, position)
    CROSS JOIN LATERAL (
        SELECT picked.id, row_number() OVER (ORDER BY picked.next_attempt_at, picked.id) AS place
        FROM (
            SELECT w.id, w.next_attempt_at FROM webhook_deliveries AS w
            WHERE w.status = 'pending' AND w.target = room.target AND w.next_attempt_at <= now()
            ORDER BY w.next_attempt_at, w.id
            LIMIT $5
            FOR UPDATE SKIP LOCKED) AS picked) AS one
    WHERE one.place <= room.places
    ORDER BY room.position, one.place
    LIMIT $3
),
taken AS (
    UPDATE webhook_deliveries AS w
    SET attempts = w.attempts + 1, next_attempt_at = now() + make_interval(secs => $4)
    WHERE w.id = ANY (ARRAY (SELECT id FROM due))
    RETURNING w.*
)
SELECT t.id, t.delivery_id::text, t.job_id::text, t.judging, t.attempt_id, t.event, t.verdict, t.error_code, t.target,
       t.attempts, t.attempts - t.tried_before AS tries, s.callback_url AS url, s.user_id, s.problem_id, s.language,
       s.trace_id, u.webhook_epoch AS secret_epoch, u.is_disabled AS owner_is_disabled, t.created_at,
       floor(extract(epoch FROM now()))::bigint AS sent_at_s,
       CASE WHEN t.event = 'dead' THEN NULL
            WHEN s.judging = t.judging THEN s.result
            ELSE (SELECT j.result FROM judgings AS j WHERE j.job_id = t.job_id AND j.judging = t.judging) END AS result
FROM taken AS t
JOIN submissions AS s ON s.job_id = t.job_id
JOIN users AS u ON u.id = s.user_id
ORDER BY t.id;

-- name: settle_webhook
-- What became of the try $2 of a delivery: 'delivered', 'given_up', or 'pending' for another one in $6 seconds, unless
-- that would be later than $7 seconds after the first, when it is given up. Of a try that is not the latest only the good
-- news counts.
WITH now_is AS (
    SELECT id, CASE WHEN $3 = 'pending' AND now() + make_interval(secs => $6) > begun_at + make_interval(secs => $7)
                    THEN 'given_up' ELSE $3 END AS status
    FROM webhook_deliveries
    WHERE id = $1 AND status = 'pending' AND (attempts = $2 OR $3 = 'delivered')
    FOR UPDATE
)
UPDATE webhook_deliveries AS w
SET status = now_is.status, http_status = $4, last_error = $5,
    next_attempt_at = CASE WHEN now_is.status = 'pending' THEN now() + make_interval(secs => $6)
                           ELSE w.next_attempt_at END,
    ended_at = CASE WHEN now_is.status <> 'pending' THEN now() END
FROM now_is
WHERE w.id = (SELECT id FROM now_is)
RETURNING w.status;

-- name: webhooks_of_job
-- The latest $2 deliveries of a job, in their order.
SELECT * FROM (
    SELECT w.id, w.delivery_id::text, w.job_id::text, w.judging, w.event, w.target, w.status, w.attempts, w.http_status,
           w.last_error, CASE WHEN w.status = 'pending' THEN w.next_attempt_at END AS next_attempt_at, w.created_at,
           w.ended_at
    FROM webhook_deliveries AS w WHERE w.job_id = $1
    ORDER BY w.id DESC
    LIMIT $2
) AS latest
ORDER BY id;

-- name: given_up_webhooks
-- A page of deliveries that were given up, newest first: rows below the id $1 (NULL: from the top).
SELECT w.id, w.delivery_id::text, w.job_id::text, w.judging, w.event, w.target, w.status, w.attempts, w.http_status,
       w.last_error, CAST(NULL AS timestamptz) AS next_attempt_at, w.created_at, w.ended_at
FROM webhook_deliveries AS w
WHERE w.status = 'given_up' AND w.id < coalesce($1::bigint, 9223372036854775807)
ORDER BY w.id DESC
LIMIT $2;

-- name: redeliver_webhook
-- Sends a delivery round again that has ended, with all its time before it; one that waits is left as it is.
WITH again AS (
    UPDATE webhook_deliveries
    SET status = 'pending', tried_before = attempts, begun_at = now(), next_attempt_at = now(), ended_at = NULL
    WHERE delivery_id = $1 AND status <> 'pending'
    RETURNING job_id
)
SELECT w.job_id::text, EXISTS (SELECT FROM again) AS sent FROM webhook_deliveries AS w WHERE w.delivery_id = $1;

-- name: forget_webhooks
-- Deletes at most $2 deliveries that ended $1 seconds ago.
WITH gone AS (
    DELETE FROM webhook_deliveries
    WHERE id = ANY (ARRAY (
        SELECT id FROM webhook_deliveries
        WHERE status <> 'pending' AND ended_at <= now() - make_interval(secs => $1)
        ORDER BY ended_at LIMIT $2))
      AND status <> 'pending'
    RETURNING id
)
SELECT count(*) FROM gone;

-- name: webhook_secret_epoch
-- How often the owner has changed the signing secret.
SELECT webhook_epoch FROM users WHERE id = $1;

-- name: rotate_webhook_secret
-- Changes the owner's signing secret, once for what was seen ($2): asked twice it is done once.
WITH rotated AS (
    UPDATE users SET webhook_epoch = webhook_epoch + 1, updated_at = now()
    WHERE id = $1 AND webhook_epoch = $2
    RETURNING webhook_epoch
)
SELECT coalesce((SELECT webhook_epoch FROM rotated), (SELECT webhook_epoch FROM users WHERE id = $1)) AS webhook_epoch;
