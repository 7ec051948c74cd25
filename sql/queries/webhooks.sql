-- name: webhook_owners
-- The next $2 accounts after $1 with pending deliveries, by id, and whether any delivery is due. Reads one index entry per
-- account.
WITH RECURSIVE waiting AS (
    (SELECT user_id, next_attempt_at, 1 AS place FROM webhook_deliveries
     WHERE status = 'pending' AND user_id > $1 ORDER BY user_id, next_attempt_at LIMIT 1)
    UNION ALL
    SELECT next.user_id, next.next_attempt_at, waiting.place + 1
    FROM waiting CROSS JOIN LATERAL (
        SELECT user_id, next_attempt_at FROM webhook_deliveries
        WHERE status = 'pending' AND user_id > waiting.user_id ORDER BY user_id, next_attempt_at LIMIT 1) AS next
    WHERE waiting.place < $2
)
SELECT user_id, next_attempt_at <= now() AS is_due FROM waiting ORDER BY place;

-- name: due_webhooks
-- The targets with due deliveries of the accounts $1, with the ids of their $5 earliest. Each account's targets begin
-- after the one in $2. Reads at most $3 targets of an account, one index entry each; the last of $3 is always returned.
-- Targets in $4 are left out.
WITH RECURSIVE walk AS (
    SELECT user_id, after COLLATE "C" AS target, CAST(NULL AS timestamptz) AS next_attempt_at, 0::bigint AS step
    FROM unnest($1::bigint[], $2::text[]) AS asked (user_id, after)
    UNION ALL
    SELECT walk.user_id, next.target, next.next_attempt_at, walk.step + 1
    FROM walk CROSS JOIN LATERAL (
        SELECT w.target, w.next_attempt_at FROM webhook_deliveries AS w
        WHERE w.status = 'pending' AND w.user_id = walk.user_id AND w.target > walk.target
        ORDER BY w.target, w.next_attempt_at, w.id LIMIT 1) AS next
    WHERE walk.step < $3::bigint
)
SELECT walk.user_id, walk.target, walk.step = $3 AS is_last,
       CASE WHEN walk.next_attempt_at <= now() AND walk.target <> ALL ($4::text[])
            THEN ARRAY (SELECT w.id FROM webhook_deliveries AS w
                        WHERE w.status = 'pending' AND w.user_id = walk.user_id AND w.target = walk.target
                          AND w.next_attempt_at <= now()
                        ORDER BY w.next_attempt_at, w.id LIMIT $5)
            ELSE '{}' END AS ids
FROM walk
WHERE walk.step > 0 AND (walk.step = $3 OR (walk.next_attempt_at <= now() AND walk.target <> ALL ($4::text[])))
ORDER BY walk.step, walk.user_id;

-- name: take_webhooks
-- Takes those of the deliveries $1 that are still due, and hides them from other nodes for $2 seconds: a node that dies
-- with them only delays them.
--
-- The result is that of the delivery's judging, even if a later judging has replaced it; a dead letter has none.
WITH due AS MATERIALIZED (
    SELECT id FROM webhook_deliveries
    WHERE id = ANY ($1::bigint[]) AND status = 'pending' AND next_attempt_at <= now()
    ORDER BY id
    FOR UPDATE SKIP LOCKED
),
taken AS (
    UPDATE webhook_deliveries AS w
    SET attempts = w.attempts + 1, next_attempt_at = now() + make_interval(secs => $2)
    WHERE w.id = ANY (ARRAY (SELECT id FROM due))
    RETURNING w.*
)
SELECT t.id, t.delivery_id::text, t.job_id::text, t.judging, t.attempt_id, t.event,
       coalesce(override.verdict, t.verdict) AS verdict, t.error_code, t.target,
       t.attempts, t.attempts - t.tried_before AS tries, s.callback_url AS url, s.user_id, s.problem_id, s.language,
       s.trace_id, u.webhook_epoch AS secret_epoch, u.is_disabled AS owner_is_disabled, t.created_at,
       floor(extract(epoch FROM now()))::bigint AS sent_at_s,
       CASE WHEN t.event = 'dead' THEN NULL
            WHEN override.verdict IS NOT NULL THEN jsonb_set(s.result, '{status}', to_jsonb(override.verdict))
            WHEN s.judging = t.judging THEN s.result
            ELSE (SELECT j.result FROM judgings AS j WHERE j.job_id = t.job_id AND j.judging = t.judging) END AS result
FROM taken AS t
JOIN submissions AS s ON s.job_id = t.job_id
JOIN users AS u ON u.id = s.user_id
-- of the present judging of a contest's submission
LEFT JOIN LATERAL (SELECT override_of(s.id, s.judging) AS verdict
                   WHERE s.contest_id IS NOT NULL AND s.judging = t.judging) AS override ON true
ORDER BY t.id;

-- name: settle_webhook
-- Stores the outcome of try $2 of a delivery: 'delivered', 'given_up', or 'pending' for another try in $6 seconds. If that
-- would be later than $7 seconds after the first try, the delivery is given up. Of an older try only 'delivered' counts.
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
-- The latest $2 deliveries of a job, oldest first.
SELECT * FROM (
    SELECT w.id, w.delivery_id::text, w.job_id::text, w.judging, w.event, w.target, w.status, w.attempts, w.http_status,
           w.last_error, w.created_at, w.ended_at,
           -- infinity: a contest keeps the verdict back
           CASE WHEN w.status = 'pending' AND isfinite(w.next_attempt_at) THEN w.next_attempt_at END AS next_attempt_at
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
-- Sends an ended delivery again, with its full time; a pending one stays unchanged.
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
-- The number of times that the owner has changed the signing secret.
SELECT webhook_epoch FROM users WHERE id = $1;

-- name: rotate_webhook_secret
-- Changes the owner's signing secret, if its epoch is still $2: a repeated request changes it once. The row is locked
-- first: without that, a request that waited for another would return the epoch from before it.
WITH seen AS MATERIALIZED (
    SELECT id, webhook_epoch FROM users WHERE id = $1 FOR NO KEY UPDATE
),
rotated AS (
    UPDATE users AS u SET webhook_epoch = u.webhook_epoch + 1, updated_at = now()
    FROM seen WHERE u.id = seen.id AND seen.webhook_epoch = $2
    RETURNING u.webhook_epoch
)
SELECT coalesce((SELECT webhook_epoch FROM rotated), (SELECT webhook_epoch FROM seen)) AS webhook_epoch;
