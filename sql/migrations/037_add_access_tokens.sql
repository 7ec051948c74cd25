-- Tokens that people make for programs on the page of their account, so that they can be told apart and ended one by one. A
-- row holds no secret: the token itself is signed (JWT_SECRET) and carries the id. A token ends with its row, with its
-- account's token epoch (a new password, a disabled account) and at expires_at; rows of ended ones are deleted later.
CREATE TABLE IF NOT EXISTS access_tokens (
    id          text        PRIMARY KEY,
    user_id     bigint      NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_epoch integer     NOT NULL,
    -- as its owner calls it
    name        text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    -- by the minute; NULL: never
    used_at     timestamptz
);
CREATE INDEX IF NOT EXISTS idx_access_tokens_user_id ON access_tokens (user_id);
-- for the deletion of ended ones
CREATE INDEX IF NOT EXISTS idx_access_tokens_expires_at ON access_tokens (expires_at);
