-- name: account
-- Everything about one account but its secrets.
SELECT id, username, email, is_admin, github_id, avatar_url, password_hash <> '' AS has_password,
       password_is_temporary, is_disabled, created_at, updated_at
FROM users WHERE id = $1;

-- name: accounts
-- A page of accounts by name: those after $1 whose names begin with $2, without regard to case.
--
-- Byte by byte a name that begins with $2 is not below $2 and not above $2 with the last of all characters behind it.
SELECT id, username, email, is_admin, github_id, avatar_url, password_hash <> '' AS has_password,
       password_is_temporary, is_disabled, created_at, updated_at
FROM users
WHERE lower(username) COLLATE "C" > lower($1::text) COLLATE "C"
  AND lower(username) COLLATE "C" >= lower($2::text) COLLATE "C"
  AND lower(username) COLLATE "C" <= (lower($2::text) || U&'\+10FFFF') COLLATE "C"
ORDER BY lower(username) COLLATE "C"
LIMIT $3;

-- name: change_password
-- A new password of somebody whose token was of the epoch $3; nothing if the epoch is another by now.
WITH changed AS (
    UPDATE users
    SET password_hash = $2, password_is_temporary = false, token_epoch = token_epoch + 1, updated_at = now()
    WHERE id = $1 AND token_epoch = $3 AND NOT is_disabled
    RETURNING token_epoch
)
SELECT token_epoch FROM changed
UNION ALL
-- a password hash is salted: an equal one is this very call, whose first answer was lost
SELECT token_epoch FROM users WHERE id = $1 AND password_hash = $2;

-- name: lock_administrators
-- The administrators who can act, each held until the transaction ends: one change of rights at a time.
SELECT id FROM users WHERE is_admin AND NOT is_disabled ORDER BY id FOR NO KEY UPDATE;

-- name: change_rights
-- Promotes, demotes, disables, enables; NULL: as it is. Disabling revokes every token, also for after it ends.
UPDATE users
SET is_admin = coalesce($2, is_admin),
    is_disabled = coalesce($3, is_disabled),
    token_epoch = token_epoch + CASE WHEN $3 AND NOT is_disabled THEN 1 ELSE 0 END,
    updated_at = now()
WHERE id = $1
RETURNING id, username, email, is_admin, github_id, avatar_url, password_hash <> '' AS has_password,
          password_is_temporary, is_disabled, created_at, updated_at;

-- name: github_credentials
-- What logging in with GitHub needs of an account that has come this way before; its picture is GitHub's latest.
UPDATE users SET avatar_url = $2
WHERE github_id = $1
RETURNING id, username, email, is_admin, password_hash, token_epoch, is_disabled;

-- name: create_github_user
-- Makes an account without a password for somebody from GitHub, unless its name is taken; it is found by the GitHub
-- account alone, never by the name.
WITH made AS (
    INSERT INTO users (username, password_hash, github_id, avatar_url)
    VALUES ($1, '', $2, $3)
    ON CONFLICT DO NOTHING
    RETURNING id, username, email, is_admin, password_hash, token_epoch, is_disabled
)
SELECT id, username, email, is_admin, password_hash, token_epoch, is_disabled FROM made
UNION ALL
-- made a moment ago: by another login of the same person, or by this very call, whose first answer was lost
SELECT id, username, email, is_admin, password_hash, token_epoch, is_disabled FROM users WHERE github_id = $2;

-- name: database_time
-- The one clock.
SELECT extract(epoch FROM now())::float8 AS now_s;

-- name: spend_oauth_state
-- Spends a state that has come back in time: nothing if it is too old, or was spent by another call than $3.
--
-- Those that would be refused for their age need no row; each call takes away a few, so that the table stays small.
WITH swept AS (
    DELETE FROM oauth_states_spent
    WHERE nonce = ANY (ARRAY (
        SELECT nonce FROM oauth_states_spent WHERE expires_at < now() - interval '1 minute'
        ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED))
)
INSERT INTO oauth_states_spent AS spent (nonce, spent_by, expires_at)
SELECT $1, $3, to_timestamp($2::float8) WHERE to_timestamp($2::float8) > now()
ON CONFLICT (nonce) DO UPDATE SET spent_by = spent.spent_by WHERE spent.spent_by = EXCLUDED.spent_by
RETURNING true AS spent;
