-- name: create_user
-- Creates an account unless its name is taken. $5: this is the second try of a call whose first answer was lost. $6: who
-- creates it for others; NULL: its owner.
WITH made AS (
    INSERT INTO users (username, password_hash, email, is_admin)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING
    RETURNING id, username, email, is_admin, roles
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT $6, 'account_created', username, jsonb_build_object('user_id', id, 'is_admin', is_admin)
    FROM made WHERE $6::text IS NOT NULL
)
SELECT id, username, email, is_admin, roles FROM made
UNION ALL
-- a password hash is salted: equal hashes come from the same call
SELECT id, username, email, is_admin, roles FROM users
WHERE $5::boolean AND lower(username) = lower($1) AND password_hash = $2;

-- name: credentials
-- The credentials for a login, by user name.
SELECT id, username, email, is_admin, roles, password_hash, token_epoch, is_disabled, login_networks(id, is_admin, roles) AS networks
FROM users WHERE lower(username) = lower($1) AND erased_at IS NULL;

-- name: credentials_by_ids
-- The credentials for authorizing tokens, by user ids.
SELECT id, username, email, is_admin, roles, password_hash, token_epoch, is_disabled, login_networks(id, is_admin, roles) AS networks
FROM users WHERE id = ANY($1);

-- name: set_password
-- Sets a password and revokes all tokens: older tokens carry an older epoch. $4: the administrator who does it, or NULL.
WITH changed AS (
    UPDATE users
    SET password_hash = $2, password_is_temporary = $3, token_epoch = token_epoch + 1, updated_at = now()
    WHERE id = $1 AND erased_at IS NULL
    RETURNING id, username, token_epoch
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT $4, 'password_reset', c.username, jsonb_build_object('user_id', c.id)
    -- users: as it was before this statement
    FROM changed AS c JOIN users AS u ON u.id = c.id AND u.password_hash <> $2
    WHERE $4::text IS NOT NULL
)
SELECT token_epoch FROM changed;

-- name: promote
-- Makes an account an administrator. $2: who does it.
WITH changed AS (
    UPDATE users SET is_admin = true, updated_at = now()
    WHERE lower(username) = lower($1) AND erased_at IS NULL
    RETURNING id, username, email, is_admin, roles
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT $2::text, 'promoted', c.username, jsonb_build_object('user_id', c.id)
    -- users: as it was before this statement
    FROM changed AS c JOIN users AS u ON u.id = c.id AND NOT u.is_admin
)
SELECT id, username, email, is_admin, roles FROM changed;
