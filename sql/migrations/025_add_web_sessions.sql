-- Logins in a browser. The cookie holds a secret, of which the row keeps the SHA-256: who reads the table cannot log in.
-- A session ends with its account's token epoch (a new password, a disabled account), by logging out, when it was idle for
-- too long, or at its maximum age; the row of an ended one is deleted later.
CREATE TABLE IF NOT EXISTS web_sessions (
    digest      bytea       PRIMARY KEY,
    user_id     bigint      NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_epoch integer     NOT NULL,
    -- for the list of one's own sessions: the browser as it named itself, and its address
    client      text        NOT NULL,
    address     text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    seen_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS idx_web_sessions_user_id ON web_sessions (user_id);
-- for the deletion of ended ones
CREATE INDEX IF NOT EXISTS idx_web_sessions_seen_at ON web_sessions (seen_at);
