-- name: lock_webhook_owner
-- Locks an account, so that its webhooks are counted for one request after the other.
SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE;

-- name: count_contest_webhooks
-- How many webhooks of the Contest API an account has.
SELECT count(*) FROM contest_webhooks WHERE user_id = $1;

-- name: add_contest_webhook
-- Registers a webhook. It has what each contest has told so far.
WITH made AS (
    INSERT INTO contest_webhooks (user_id, url, target, token, endpoints, contest_ids)
    VALUES ($1, $2, $3, $4, $5, $6)
    RETURNING *
),
known AS MATERIALIZED (
    SELECT c.id FROM contests AS c WHERE $6::text[] = '{}' OR c.key = ANY ($6::text[]) ORDER BY c.id FOR KEY SHARE
),
places AS (
    INSERT INTO contest_webhook_places (webhook_id, contest_id, number)
    SELECT made.id, k.contest_id, k.last
    FROM made CROSS JOIN known JOIN contest_counters AS k ON k.contest_id = known.id
)
SELECT id, url, endpoints, contest_ids, deactivated_at IS NULL AS is_active FROM made;

-- name: contest_webhooks
-- The webhooks of an account, oldest first.
SELECT id, url, endpoints, contest_ids, deactivated_at IS NULL AS is_active
FROM contest_webhooks WHERE user_id = $1 ORDER BY id;

-- name: remove_contest_webhook
-- Removes the webhook $2 of an account.
DELETE FROM contest_webhooks WHERE user_id = $1 AND id = $2 RETURNING id;

-- name: contest_webhook_owners
-- The next $2 accounts after $1 with active webhooks, by id, and whether one of them may be called now.
SELECT user_id, min(next_attempt_at) <= now() AS is_due
FROM contest_webhooks
WHERE deactivated_at IS NULL AND user_id > $1
GROUP BY user_id
ORDER BY user_id
LIMIT $2;

-- name: due_contest_webhooks
-- The targets of the accounts $1 whose webhooks may lack events, with the ids of at most $4 webhooks each. Each account's
-- targets begin after the one in $2. Targets in $3 are left out.
WITH now_is AS MATERIALIZED (SELECT contest_counters_mark() AS mark)
SELECT w.user_id, w.target, (array_agg(w.id ORDER BY w.next_attempt_at, w.id))[1:$4] AS ids
FROM unnest($1::bigint[], $2::text[]) AS asked (user_id, after)
JOIN contest_webhooks AS w ON w.user_id = asked.user_id AND w.target > asked.after COLLATE "C"
WHERE w.deactivated_at IS NULL AND w.next_attempt_at <= now() AND w.target <> ALL ($3::text[])
  AND w.seen_mark <> (SELECT mark FROM now_is)
GROUP BY w.user_id, w.target
ORDER BY w.user_id, w.target;

-- name: take_contest_webhooks
-- Takes those of the webhooks $1 that may be called now, and hides them from other nodes for $2 seconds: a node that dies with
-- them only delays them.
WITH due AS MATERIALIZED (
    SELECT id FROM contest_webhooks
    WHERE id = ANY ($1::bigint[]) AND deactivated_at IS NULL AND next_attempt_at <= now()
    ORDER BY id
    FOR UPDATE SKIP LOCKED
)
UPDATE contest_webhooks AS w
SET attempts = w.attempts + 1, next_attempt_at = now() + make_interval(secs => $2)
WHERE w.id = ANY (ARRAY (SELECT id FROM due))
RETURNING w.id;

-- name: taken_contest_webhooks
-- The webhooks $1, each with the contest that is told next, if it lacks anything. Not a part of the statement that takes them: that one sees places
-- from before another node has let them go, and would send again what was received.
SELECT w.id, w.user_id, w.url, w.target, w.token AS secret, w.endpoints, w.attempts, w.tries,
       c.id AS contest_id, c.key AS contest_key, k.last, coalesce(p.number, 0) AS number, p.token,
       contest_counters_mark() AS mark
FROM contest_webhooks AS w
LEFT JOIN contests AS c ON c.id = contest_of_webhook(w.id, w.contest_ids)
LEFT JOIN contest_counters AS k ON k.contest_id = c.id
LEFT JOIN contest_webhook_places AS p ON p.webhook_id = w.id AND p.contest_id = c.id
WHERE w.id = ANY ($1::bigint[])
ORDER BY w.id;

-- name: settle_contest_webhook
-- Stores the outcome of try $2 of the webhook $1; of an older try it stores nothing.
--
-- $3: the contest; $4, $5: number and token up to which the webhook has its events now. $6: why the receiver failed; it is
-- called again in $8 seconds, or never if $9 or if that would be later than $10 seconds after its first failure. $7: its HTTP
-- status. $11: whether it was called; otherwise there was nothing that its account sees.
-- $12: the mark of the counters at which it lacked nothing.
WITH mine AS (
    UPDATE contest_webhooks
    SET tries = CASE WHEN $6::text IS NOT NULL THEN tries + 1 WHEN $11::boolean THEN 0 ELSE tries END,
        failing_since = CASE WHEN $6::text IS NOT NULL THEN coalesce(failing_since, now())
                             WHEN NOT $11::boolean THEN failing_since END,
        last_error = CASE WHEN $6::text IS NOT NULL OR $11::boolean THEN $6::text ELSE last_error END,
        http_status = CASE WHEN $6::text IS NOT NULL OR $11::boolean THEN $7::integer ELSE http_status END,
        next_attempt_at = now() + make_interval(secs => $8::float8),
        seen_mark = coalesce($12::bigint, seen_mark),
        deactivated_at = CASE WHEN $6::text IS NOT NULL
                                   AND ($9::boolean OR now() + make_interval(secs => $8::float8)
                                        > coalesce(failing_since, now()) + make_interval(secs => $10::float8))
                              THEN now() END
    WHERE id = $1 AND attempts = $2 AND deactivated_at IS NULL
    RETURNING id, deactivated_at
),
told AS MATERIALIZED (SELECT id FROM contests WHERE id = $3 AND $6::text IS NULL FOR KEY SHARE),
place AS (
    INSERT INTO contest_webhook_places (webhook_id, contest_id, number, token)
    SELECT mine.id, told.id, $4, $5 FROM mine CROSS JOIN told
    ON CONFLICT (webhook_id, contest_id) DO UPDATE
    SET number = EXCLUDED.number, token = coalesce(EXCLUDED.token, contest_webhook_places.token), settled_at = now()
)
SELECT deactivated_at IS NOT NULL AS is_deactivated FROM mine;

-- name: forget_contest_webhooks
-- Deletes at most $2 webhooks that were deactivated $1 seconds ago.
WITH gone AS (
    DELETE FROM contest_webhooks
    WHERE id = ANY (ARRAY (
        SELECT id FROM contest_webhooks
        WHERE deactivated_at <= now() - make_interval(secs => $1)
        ORDER BY deactivated_at LIMIT $2))
    RETURNING id
)
SELECT count(*) FROM gone;
