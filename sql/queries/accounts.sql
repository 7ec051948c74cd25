-- name: create_user
-- Creates an account unless its name is taken. $5: this is the second try of a call whose first answer was lost.
WITH made AS (
    INSERT INTO users (username, password_hash, email, is_admin)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING
    RETURNING id, username, email, is_admin
)
SELECT id, username, email, is_admin FROM made
UNION ALL
-- a password hash is salted: equal hashes come from the same call
SELECT id, username, email, is_admin FROM users
WHERE $5::boolean AND lower(username) = lower($1) AND password_hash = $2;

-- name: credentials
-- The credentials for a login, by user name.
SELECT id, username, email, is_admin, password_hash, token_epoch, is_disabled FROM users WHERE lower(username) = lower($1);

-- name: credentials_by_ids
-- The credentials for authorizing tokens, by user ids.
SELECT id, username, email, is_admin, password_hash, token_epoch, is_disabled FROM users WHERE id = ANY($1);

-- name: set_password
-- Sets a password and revokes all tokens: older tokens carry an older epoch.
UPDATE users
SET password_hash = $2, password_is_temporary = $3, token_epoch = token_epoch + 1, updated_at = now()
WHERE id = $1
RETURNING token_epoch;

-- name: promote
-- Makes an account an administrator.
UPDATE users SET is_admin = true, updated_at = now()
WHERE lower(username) = lower($1)
RETURNING id, username, email, is_admin;
