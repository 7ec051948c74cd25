-- New passwords for the accounts of a contest's teams, which take effect when the administrator says that he has them: hashes
-- alone. Those that were made at once are a set. Rows of the last day count; older ones are deleted.
CREATE TABLE IF NOT EXISTS pending_passwords (
    set_id        text        NOT NULL,
    user_id       bigint      NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    contest_id    bigint      NOT NULL REFERENCES contests (id) ON DELETE CASCADE,
    -- empty once it has taken effect
    password_hash text        NOT NULL,
    made_by       bigint      REFERENCES users (id) ON DELETE SET NULL,
    made_at       timestamptz NOT NULL DEFAULT now(),
    applied_at    timestamptz,
    PRIMARY KEY (set_id, user_id)
);
CREATE INDEX IF NOT EXISTS idx_pending_passwords_contest ON pending_passwords (contest_id);
-- for the erasure of accounts
CREATE INDEX IF NOT EXISTS idx_pending_passwords_user ON pending_passwords (user_id);
-- for the deletion of old ones
CREATE INDEX IF NOT EXISTS idx_pending_passwords_made_at ON pending_passwords (made_at);
