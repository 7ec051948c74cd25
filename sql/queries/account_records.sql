-- name: account
-- Everything about one account except its secrets.
SELECT id, username, email, is_admin, roles, github_id, avatar_url, password_hash <> '' AS has_password,
       password_is_temporary, is_disabled, created_at, updated_at
FROM users WHERE id = $1 AND erased_at IS NULL;

-- name: accounts
-- A page of accounts by name: those after $1 whose names begin with $2, without regard to case. $4: a group, or NULL: all.
--
-- In byte order, a name begins with $2 if it is between $2 and $2 followed by the last of all characters.
SELECT id, username, email, is_admin, roles, github_id, avatar_url, password_hash <> '' AS has_password,
       password_is_temporary, is_disabled, created_at, updated_at
FROM users
WHERE lower(username) COLLATE "C" > lower($1::text) COLLATE "C"
  AND lower(username) COLLATE "C" >= lower($2::text) COLLATE "C"
  AND lower(username) COLLATE "C" <= (lower($2::text) || U&'\+10FFFF') COLLATE "C"
  AND ($4::bigint IS NULL OR EXISTS (SELECT FROM group_members WHERE group_id = $4 AND user_id = users.id))
  AND erased_at IS NULL
ORDER BY lower(username) COLLATE "C"
LIMIT $3;

-- name: change_password
-- Sets the password of a user whose token has the epoch $3; returns no row if the epoch has changed meanwhile.
WITH changed AS (
    UPDATE users
    SET password_hash = $2, password_is_temporary = false, token_epoch = token_epoch + 1, updated_at = now()
    WHERE id = $1 AND token_epoch = $3 AND NOT is_disabled
    RETURNING token_epoch
)
SELECT token_epoch FROM changed
UNION ALL
-- a password hash is salted: an equal one comes from this call's first try, whose answer was lost
SELECT token_epoch FROM users WHERE id = $1 AND password_hash = $2;

-- name: lock_administrators
-- The enabled administrators, locked until the transaction ends: one change of rights at a time.
SELECT id FROM users WHERE is_admin AND NOT is_disabled ORDER BY id FOR NO KEY UPDATE;

-- name: change_rights
-- Promotes, demotes, gives roles, disables or enables; NULL keeps a value. Disabling revokes every token for good. The log
-- names the administrator $4 (an id), or else $5.
WITH changed AS (
    UPDATE users
    SET is_admin = coalesce($2, is_admin),
        is_disabled = coalesce($3, is_disabled),
        roles = coalesce($6::text[], roles),
        token_epoch = token_epoch + CASE WHEN $3 AND NOT is_disabled THEN 1 ELSE 0 END,
        updated_at = now()
    WHERE id = $1 AND erased_at IS NULL
    RETURNING id, username, email, is_admin, roles, github_id, avatar_url, password_hash <> '' AS has_password,
              password_is_temporary, is_disabled, created_at, updated_at
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT coalesce((SELECT username FROM users WHERE id = $4::bigint), $5::text),
           CASE WHEN c.is_admin AND NOT u.is_admin THEN 'promoted'
                WHEN u.is_admin AND NOT c.is_admin THEN 'demoted'
                WHEN c.roles <> u.roles THEN 'roles_changed'
                WHEN c.is_disabled THEN 'disabled'
                ELSE 'enabled' END,
           c.username, jsonb_build_object('user_id', c.id)
                       || CASE WHEN c.roles <> u.roles THEN jsonb_build_object('roles', c.roles) ELSE '{}' END
    -- users: as it was before this statement
    FROM changed AS c JOIN users AS u ON u.id = c.id
    WHERE (u.is_admin, u.is_disabled, u.roles) IS DISTINCT FROM (c.is_admin, c.is_disabled, c.roles)
)
SELECT id, username, email, is_admin, roles, github_id, avatar_url, has_password, password_is_temporary, is_disabled,
       created_at, updated_at
FROM changed;

-- name: github_credentials
-- The credentials of a known GitHub account; its picture becomes GitHub's latest.
UPDATE users SET avatar_url = $2
WHERE github_id = $1
RETURNING id, username, email, is_admin, roles, password_hash, token_epoch, is_disabled, login_networks(id, is_admin, roles) AS networks;

-- name: create_github_user
-- Creates an account without a password for a GitHub account, unless the name is taken. An account is found by the GitHub
-- id alone, never by the name.
WITH made AS (
    INSERT INTO users (username, password_hash, github_id, avatar_url)
    VALUES ($1, '', $2, $3)
    ON CONFLICT DO NOTHING
    RETURNING id, username, email, is_admin, roles, password_hash, token_epoch, is_disabled
)
SELECT id, username, email, is_admin, roles, password_hash, token_epoch, is_disabled, '{}'::text[] AS networks FROM made
UNION ALL
-- created a moment ago: by a concurrent login of the same person, or by this call's first try, whose answer was lost
SELECT id, username, email, is_admin, roles, password_hash, token_epoch, is_disabled, login_networks(id, is_admin, roles)
FROM users WHERE github_id = $2;

-- name: database_time
-- The database's clock, the only one that counts.
SELECT extract(epoch FROM now())::float8 AS now_s;

-- name: spend_oauth_state
-- Spends a state that is still valid; returns no row if it is too old or was spent by another call than $3.
--
-- Expired states need no row, since their age refuses them; each call deletes a few, so that the table stays small.
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

-- name: taken_names
-- Those of the names $1 that accounts have, without regard to case.
SELECT name FROM unnest($1::text[]) AS wanted (name)
WHERE EXISTS (SELECT FROM users WHERE lower(username) = lower(name));

-- name: create_users
-- Creates accounts with temporary passwords. A taken name gives no row; the caller then rolls back. All callers insert in
-- one order, so that none waits for another that waits for it.
WITH made AS (
    INSERT INTO users (username, password_hash, email, password_is_temporary)
    SELECT username, password_hash, email, true
    FROM unnest($1::text[], $2::text[], $3::text[]) AS one (username, password_hash, email)
    ORDER BY lower(username)
    ON CONFLICT DO NOTHING
    RETURNING id, username
),
event AS (
    INSERT INTO admin_events (actor, act, subject, details)
    SELECT $4::text, 'account_created', username, jsonb_build_object('user_id', id, 'is_admin', false) FROM made
)
SELECT username FROM made;

-- name: created_users
-- Those of the names $1 whose accounts have the password hashes $2: hashes are salted, so the same call created them.
SELECT username FROM unnest($1::text[], $2::text[]) AS one (name, hash)
JOIN users ON lower(username) = lower(name) AND password_hash = hash;
