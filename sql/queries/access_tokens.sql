-- name: add_access_token
-- Notes a token $1, and ends the account's oldest beyond $6; the same one sent twice is one token.
WITH oldest AS (
    DELETE FROM access_tokens WHERE id IN (
        SELECT id FROM access_tokens WHERE user_id = $2 AND id <> $1 ORDER BY created_at DESC, id OFFSET $6 - 1
    )
)
INSERT INTO access_tokens (id, user_id, token_epoch, name, expires_at)
VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))
ON CONFLICT (id) DO NOTHING;

-- name: use_access_token
-- Whether an account still has a token, which is marked as used, once a minute.
WITH found AS (SELECT id, used_at FROM access_tokens WHERE id = $2 AND user_id = $1),
used AS (
    UPDATE access_tokens AS t SET used_at = now() FROM found
    WHERE t.id = found.id AND (found.used_at IS NULL OR found.used_at < now() - interval '1 minute')
)
SELECT true AS is_there FROM found;

-- name: access_tokens_of
-- The tokens of an account that have not ended, the newest first.
SELECT t.id, t.name, t.created_at, t.expires_at, t.used_at
FROM access_tokens AS t JOIN users AS u ON u.id = t.user_id
WHERE t.user_id = $1 AND t.token_epoch = u.token_epoch AND t.expires_at > now()
ORDER BY t.created_at DESC, t.id LIMIT $2;

-- name: end_access_token
-- Ends one token of an account.
DELETE FROM access_tokens WHERE user_id = $1 AND id = $2 RETURNING true AS ended;

-- name: delete_ended_access_tokens
-- Deletes tokens that have expired, at most $1 of them.
WITH ended AS (SELECT id FROM access_tokens WHERE expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED),
gone AS (DELETE FROM access_tokens AS t USING ended WHERE t.id = ended.id RETURNING 1)
SELECT count(*) FROM gone;
