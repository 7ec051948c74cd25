-- Accounts that are switched off, and passwords that somebody else has set. An account from GitHub that has set no
-- password has an empty hash, which nothing verifies against.
ALTER TABLE users ADD COLUMN IF NOT EXISTS is_disabled           boolean NOT NULL DEFAULT false;
ALTER TABLE users ADD COLUMN IF NOT EXISTS password_is_temporary boolean NOT NULL DEFAULT false;

-- The administrators who can act: few, whatever the size of the table.
CREATE INDEX IF NOT EXISTS idx_users_administrators ON users (id) WHERE is_admin AND NOT is_disabled;
-- Lists by name and by the beginning of a name; byte by byte, whatever the database's collation.
CREATE INDEX IF NOT EXISTS idx_users_listed ON users (lower(username) COLLATE "C");

-- OAuth states that have come back, until they would be refused for their age: each is good for one login. spent_by: the
-- call that spent it, whose answer may have been lost.
CREATE TABLE IF NOT EXISTS oauth_states_spent (
    nonce      bytea       PRIMARY KEY,
    spent_by   uuid        NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX IF NOT EXISTS idx_oauth_states_spent_expiry ON oauth_states_spent (expires_at);
