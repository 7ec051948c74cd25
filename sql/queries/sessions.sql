-- name: open_session
-- Begins a session, and ends the account's oldest beyond $6; the same one sent twice is one session.
WITH oldest AS (
    DELETE FROM web_sessions WHERE digest IN (
        SELECT digest FROM web_sessions WHERE user_id = $2 AND digest <> $1 ORDER BY seen_at DESC, digest OFFSET $6 - 1
    )
)
INSERT INTO web_sessions (digest, user_id, token_epoch, client, address) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (digest) DO NOTHING;

-- name: session
-- The account of a session that has not ended, and marks the session as seen, once a minute. $2: idle time, $3: age, in seconds.
WITH found AS (
    SELECT s.digest, s.seen_at, u.id, u.username, u.email, u.is_admin, u.roles, u.password_hash, u.token_epoch, u.is_disabled
    FROM web_sessions AS s JOIN users AS u ON u.id = s.user_id
    WHERE s.digest = $1 AND s.token_epoch = u.token_epoch AND NOT u.is_disabled
      AND s.seen_at > now() - make_interval(secs => $2) AND s.created_at > now() - make_interval(secs => $3)
),
seen AS (
    UPDATE web_sessions AS s SET seen_at = now() FROM found
    WHERE s.digest = found.digest AND found.seen_at < now() - interval '1 minute'
)
SELECT id, username, email, is_admin, roles, password_hash, token_epoch, is_disabled, login_networks(id, is_admin, roles) AS networks FROM found;

-- name: sessions_of
-- The sessions of an account that have not ended, the latest first.
SELECT s.digest, s.client, s.address, s.created_at, s.seen_at
FROM web_sessions AS s JOIN users AS u ON u.id = s.user_id
WHERE s.user_id = $1 AND s.token_epoch = u.token_epoch
  AND s.seen_at > now() - make_interval(secs => $2) AND s.created_at > now() - make_interval(secs => $3)
ORDER BY s.seen_at DESC, s.digest LIMIT $4;

-- name: close_session
-- Ends one session of an account.
DELETE FROM web_sessions WHERE user_id = $1 AND digest = $2 RETURNING true AS closed;

-- name: close_other_sessions
-- Ends all sessions of an account but one.
WITH closed AS (DELETE FROM web_sessions WHERE user_id = $1 AND digest <> $2 RETURNING 1)
SELECT count(*) FROM closed;

-- name: delete_ended_sessions
-- Deletes sessions that were idle for $1 seconds or are $2 seconds old, at most $3 of them.
WITH ended AS (
    SELECT digest FROM web_sessions
    WHERE seen_at <= now() - make_interval(secs => $1) OR created_at <= now() - make_interval(secs => $2)
    LIMIT $3 FOR UPDATE SKIP LOCKED
),
gone AS (DELETE FROM web_sessions AS s USING ended WHERE s.digest = ended.digest RETURNING 1)
SELECT count(*) FROM gone;

-- name: forget_addresses
-- Forgets the addresses of sessions that began $1 seconds ago, at most $2 of them.
WITH old AS (
    SELECT digest FROM web_sessions WHERE address <> '' AND created_at <= now() - make_interval(secs => $1)
    LIMIT $2 FOR UPDATE SKIP LOCKED
),
forgotten AS (UPDATE web_sessions AS s SET address = '' FROM old WHERE s.digest = old.digest RETURNING 1)
SELECT count(*) FROM forgotten;
